"""A SQLite file as tracking store: made whole, by whoever comes first."""

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
    """Return the file that `uri` means; None where it means another kind of store."""
    return Path(uri.removeprefix(PREFIX)) if uri.startswith(PREFIX) else None


def quiet_client(uri: str) -> "MlflowClient":
    """Return a client of the store `uri` that tells of problems alone."""
    from mlflow import MlflowClient

    for name in ("mlflow", "mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def create(path: Path) -> None:
    """Create the database, complete, if there is none.

    Two drivers may do so at the same moment: each makes its own beside the place, and the
    first to link it there wins.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".database-") as folder:
        fresh = Path(folder) / path.name
        quiet_client(f"{PREFIX}{fresh}").search_experiments()
        with contextlib.closing(sqlite3.connect(fresh)) as connection:
            # Readers and a writer then never wait for each other; the file remembers it.
            connection.execute("PRAGMA journal_mode=WAL")
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
