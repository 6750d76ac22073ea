"""A SQLite file as the tracking store.

Relies on MLflow's logger names, on MLflow creating its tables at the first query and the folder of
a URI without decoding it, on how it sets the time to wait for a lock, and on the columns that hold
the places of artifacts; remove when MLflow can create a database explicitly, safe against several
processes at once, lets that time be set, and can move artifacts.
"""

import contextlib
import functools
import logging
import os
import sqlite3
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnsweep.errors import StoreRefused
from bnsweep.records import absolute
from bnsweep.records.folder import lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

# How long to wait while another process writes. MLflow would wait for 20 seconds at each call.
BUSY_SECONDS = 4.0


def uri_of(path: Path) -> str:
    """Return the URI of a database file, whatever characters its path has."""
    from sqlalchemy.engine import URL

    uri = URL.create("sqlite", database=str(path)).render_as_string()
    # MLflow makes the folder of a `sqlite:///...` as it is written there. Where characters are
    # encoded, that would be one more beside the right one; in this form it does not.
    return uri if uri == f"sqlite:///{path}" else uri.replace("sqlite:", "sqlite+pysqlite:", 1)


def path_of(uri: str) -> Path | None:
    """Return the absolute path of a SQLite URI; None for another kind of store.

    Raises:
        StoreRefused: it names no file, or something beside it.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    if url.get_backend_name() != "sqlite":
        return None
    if url.host or url.query or url.database in (None, "", ":memory:"):
        raise StoreRefused(
            f"tracking.uri={uri}: is not the URI of a file, which keeps what is written; give "
            "sqlite:///relative/path.db or sqlite:////absolute/path.db"
        )
    return absolute(str(url.database))


def quiet_client(uri: str) -> "MlflowClient":
    """Return a client of the store `uri` that logs nothing below warnings."""
    # MLflow takes the texts of some warnings from docstrings, which `python -OO` leaves out.
    warnings.filterwarnings("ignore", "Failed to register a dataset source", UserWarning)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It logs each error of a database with its traceback, and raises it as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    _wait_less()
    return MlflowClient(tracking_uri=uri)


@functools.cache
def _wait_less() -> None:
    from sqlalchemy import Engine, event

    # With `retval`, what is returned is executed in the place of the statement.
    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def shorten(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        if statement == "PRAGMA busy_timeout = 20000;":  # MLflow's, and nobody else's
            statement = f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}"
        return statement, parameters


def create(path: Path) -> None:
    """Create the database if there is none.

    Two drivers may do so at once: each creates a complete database in a folder of its own beside
    `path`, and the first to link it to `path`, under the lock of that folder, wins.
    """
    if path.exists():
        return
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".database-") as folder:
            fresh = Path(folder) / path.name
            fresh.touch()
            check(fresh)
            quiet_client(uri_of(fresh)).search_experiments()
            with contextlib.closing(sqlite3.connect(fresh)) as connection:
                # Readers and a writer then do not block each other. The file keeps this mode.
                connection.execute("PRAGMA journal_mode=WAL")
            with lock(path.parent, wait=True):
                if not path.exists():
                    # What a removed database has left would be read as a part of the new one.
                    for rest in ("-wal", "-shm", "-journal"):
                        path.with_name(path.name + rest).unlink(missing_ok=True)
                    os.link(fresh, path)
    except BaseException:
        for empty in made:
            with contextlib.suppress(OSError):
                empty.rmdir()
        raise


def check(path: Path, *, writing: bool = True) -> None:
    """Check that a database can be read, and written, which MLflow tries for minutes.

    Raises:
        sqlite3.Error: it cannot be opened, is not a database, or is locked for some seconds.
    """
    with _opened(path) as connection:
        connection.execute("PRAGMA schema_version")
        if writing:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("PRAGMA user_version = 1")  # fails if the file is read-only
            connection.execute("ROLLBACK")


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None if there is no file."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def move_artifacts(path: Path, before: str, after: str) -> None:
    """Let a database know that the artifacts below a place, given as a URI, lie in another."""
    with _opened(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (after, len(before) + 1, before, len(before) + 1, f"{before}/"),
            )
        connection.execute("COMMIT")


def _opened(path: Path) -> contextlib.closing[sqlite3.Connection]:
    # As a URI, because a path alone creates a file where there is none.
    uri = f"{path.as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    return contextlib.closing(connection)
