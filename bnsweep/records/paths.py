"""How a path is shown to a reader."""

from pathlib import Path


def from_here(path: Path) -> Path:
    """Return a path relative to the working directory if it lies below, otherwise as it is."""
    here = Path.cwd()
    return path.relative_to(here) if here in path.parents else path
