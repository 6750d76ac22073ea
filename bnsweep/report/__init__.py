"""What a sweep is made into: its table, its figures, and in words what came out."""
