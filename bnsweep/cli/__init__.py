"""The command line: arguments, the Hydra entry, and messages."""
