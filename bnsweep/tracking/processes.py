"""Identify a process, so that a later one can check whether it is still alive."""

import os
import socket
from pathlib import Path


def here() -> dict[str, str]:
    """Return this host and process as tags of a run."""
    return {"bnsweep.host": socket.gethostname(), "bnsweep.pid": _process(os.getpid())}


def is_dead(tags: dict[str, str]) -> bool:
    """Return whether the process that `here` described is known to be dead.

    A process of another host is never known to be.
    """
    if tags.get("bnsweep.host") != socket.gethostname():
        return False
    pid = int(tags["bnsweep.pid"].partition(" ")[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return tags["bnsweep.pid"] != _process(pid)


def _process(pid: int) -> str:
    """Return a process id with the process' start time, because process ids are reused.

    The start time is in clock ticks; where there is no `/proc`, return the id alone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return str(pid)
    state, *rest = stat.rpartition(")")[2].split()
    # A zombie has ended, and only waits for its parent to collect its status.
    return f"{pid} {rest[18]}" if state != "Z" else f"{pid} ended"
