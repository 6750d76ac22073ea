"""Runs and sweeps in MLflow, or in no store."""

from bnsweep.tracking.mlflow_tracker import MlflowTracker
from bnsweep.tracking.no_tracker import NoTracker

Tracker = NoTracker  # the base class of both

__all__ = ["MlflowTracker", "NoTracker", "Tracker"]
