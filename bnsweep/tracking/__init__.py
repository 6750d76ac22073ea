"""Runs and sweeps in a tracking store, or in none: MLflow stays in here."""

from bnsweep.tracking.mlflow_tracker import MlflowTracker
from bnsweep.tracking.no_tracker import NoTracker

Tracker = NoTracker  # of which both are

__all__ = ["MlflowTracker", "NoTracker", "Tracker"]
