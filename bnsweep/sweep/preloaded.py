"""Imports that every run needs and that are slow, made before the workers are forked."""

import gc
import os

import mlflow.store.tracking.sqlalchemy_store
import numpy as np

from bnsweep.report.figures import single_run
from bnsweep.run import execute, folder
from bnsweep.sweep import job
from bnsweep.sweep.local_workers import watch_from_the_start
from bnsweep.tracking import run_log

__all__ = ["execute", "folder", "job", "mlflow", "run_log", "single_run"]

os.register_at_fork(after_in_child=watch_from_the_start)
# A user's own layer may use NumPy's global generator: seed it differently in each worker.
os.register_at_fork(after_in_child=np.random.seed)
# Keep the garbage collector away from a million objects that will stay.
gc.collect()
gc.freeze()
