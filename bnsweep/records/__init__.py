"""What goes from room to room: a run as asked for, its folder, its result, its place in a sweep."""

from bnsweep.records.folder import (
    CONFIG_FILE,
    ERROR_FILE,
    HISTORY_FILE,
    LOCK_FILE,
    WEIGHTS_FILE,
    Attempt,
    RunFolder,
    lock,
    write_whole,
)
from bnsweep.records.history import (
    ENDED,
    Curve,
    Histogram,
    Measurements,
    RunResult,
    Status,
    curves_of,
    decode,
    encode,
)
from bnsweep.records.paths import absolute, from_here
from bnsweep.records.spec import Kept, RunSpec, fingerprint
from bnsweep.records.sweep_plan import SweepPlan, SweepRun, SweepTable, runs_of, with_results

__all__ = [
    "CONFIG_FILE",
    "ENDED",
    "ERROR_FILE",
    "HISTORY_FILE",
    "LOCK_FILE",
    "WEIGHTS_FILE",
    "Attempt",
    "Curve",
    "Histogram",
    "Kept",
    "Measurements",
    "RunFolder",
    "RunResult",
    "RunSpec",
    "Status",
    "SweepPlan",
    "SweepRun",
    "SweepTable",
    "absolute",
    "curves_of",
    "decode",
    "encode",
    "fingerprint",
    "from_here",
    "lock",
    "runs_of",
    "with_results",
    "write_whole",
]
