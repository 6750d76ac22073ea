"""Imports that every run needs and that are slow, made before the workers are forked."""

import gc

from bnsweep.report.figures import single_run
from bnsweep.sweep import local

__all__ = ["local", "single_run"]

# Keep the garbage collector away from the many objects that will stay.
gc.collect()
gc.freeze()
