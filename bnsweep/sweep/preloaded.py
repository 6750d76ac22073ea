"""What every run needs and is slow to import: loaded before the workers are forked."""

import gc

import mlflow.store.tracking.sqlalchemy_store

from bnsweep import app, experiment, keeping
from bnsweep.figures import run as figures
from bnsweep.tracking import run_log

__all__ = ["app", "experiment", "figures", "keeping", "mlflow", "run_log"]

# A worker's garbage is searched for every second: not among a million objects that will stay.
gc.collect()
gc.freeze()
