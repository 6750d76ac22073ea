"""Batch Normalization under a sweep: NumPy networks, Hydra multiruns, MLflow records."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bnsweep.reading import load_data, load_network, load_sweep
    from bnsweep.report import figures

__version__ = "0.1.0"
__all__ = ["__version__", "figures", "load_data", "load_network", "load_sweep"]


def __getattr__(name: str) -> object:
    # Imported on first use, because a run needs none of them.
    if name in ("load_data", "load_network", "load_sweep"):
        from bnsweep import reading

        return getattr(reading, name)
    if name == "figures":
        from bnsweep.report import figures

        return figures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
