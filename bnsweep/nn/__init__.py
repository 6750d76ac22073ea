"""The chapter: layers, losses, initial weights, optimizers, networks and their training."""
