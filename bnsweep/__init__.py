"""Batch Normalization under a sweep: NumPy networks, Hydra multiruns, MLflow records."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bnsweep.reading import load_network, load_sweep

__version__ = "0.1.0"
__all__ = ["__version__", "load_network", "load_sweep"]


def __getattr__(name: str) -> object:
    # Imported on first use, because a run needs neither.
    if name in ("load_network", "load_sweep"):
        from bnsweep import reading

        return getattr(reading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
