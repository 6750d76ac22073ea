"""How a path is read from a configuration, and shown to a reader."""

from pathlib import Path


def from_here(path: Path) -> Path:
    """Return a path relative to the working directory if it lies below, otherwise as it is."""
    here = Path.cwd()
    return path.relative_to(here) if here in path.parents else path


def absolute(path: str | Path) -> Path:
    """Return a path in full, a `~` at its front replaced by the user's folder if there is one."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:  # a name may begin with it
        return Path(path).absolute()
