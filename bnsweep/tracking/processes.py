"""Which process on which host, so that a later one can tell whether it still lives."""

import os
import socket
from pathlib import Path


def here() -> dict[str, str]:
    """Return host and process as tags of a run."""
    return {"bnsweep.host": socket.gethostname(), "bnsweep.pid": _process(os.getpid())}


def is_dead(tags: dict[str, str]) -> bool:
    """Tell whether the process that `here` described is known to be gone.

    Of another host nothing is known.
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
    """Return a process' id with its start in the system's ticks, for ids come round again.

    Where the system does not say (it is no Linux), the id alone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return str(pid)
    state, *rest = stat.rpartition(")")[2].split()
    # A process that ended and that nobody has waited for is a zombie: it does nothing more.
    return f"{pid} {rest[18]}" if state != "Z" else f"{pid} ended"
