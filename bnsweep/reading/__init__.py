"""Results read back, in a notebook or a script."""

from bnsweep.errors import ReadingError
from bnsweep.reading.load import load_network, load_sweep

__all__ = ["ReadingError", "load_network", "load_sweep"]
