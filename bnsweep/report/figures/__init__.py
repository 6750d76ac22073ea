"""The figures of a run and of a sweep: no other package imports matplotlib."""
