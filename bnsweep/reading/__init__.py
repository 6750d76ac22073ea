"""Results read back, in a notebook or a script."""

from bnsweep.reading.load import load_network, load_sweep
from bnsweep.reading.store import ReadingError

__all__ = ["ReadingError", "load_network", "load_sweep"]
