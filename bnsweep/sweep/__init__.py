"""A whole multirun: planned, launched, resumed, interrupted, accounted for."""
