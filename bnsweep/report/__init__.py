"""The report of a sweep: its table, its figures, and what came out in words."""
