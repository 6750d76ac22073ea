"""Runs and sweeps in MLflow: the store, and the recorder that brings run folders to it."""
