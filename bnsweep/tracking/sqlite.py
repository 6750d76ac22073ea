"""A SQLite file as the tracking store.

Relies on MLflow's logger names, and on MLflow creating its tables at the first query; remove when
MLflow can create a database explicitly, safe against several processes at once.
"""

import contextlib
import logging
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "sqlite:///"


def path_of(uri: str) -> Path | None:
    """Return the file of a SQLite URI; None for another kind of store."""
    return Path(uri.removeprefix(PREFIX)) if uri.startswith(PREFIX) else None


def quiet_client(uri: str) -> "MlflowClient":
    """Return a client of the store `uri` that logs warnings and errors only."""
    from mlflow import MlflowClient

    for name in ("mlflow", "mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def create(path: Path) -> None:
    """Create the database if there is none.

    Two drivers may do so at once: each creates a complete database in a folder of its own beside
    `path`, and the first to link it to `path` wins.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".database-") as folder:
        fresh = Path(folder) / path.name
        quiet_client(f"{PREFIX}{fresh}").search_experiments()
        with contextlib.closing(sqlite3.connect(fresh)) as connection:
            # Readers and a writer then do not block each other. The file keeps this mode.
            connection.execute("PRAGMA journal_mode=WAL")
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
