"""Which room may import which, and which package: read from the imports, function bodies included.

A room is a module or a package right below `bnsweep`; `hydra_plugins` is one, too. The table
below is the whole of it, from the ground up: no room imports one that stands below it there.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Room: the rooms it imports, and the large packages it alone, or it beside others, may import.
WALLS = {
    "errors": ("", ""),
    "redact": ("", ""),
    "records": ("errors", ""),
    "data": ("errors records", "sklearn pooch requests platformdirs"),
    "nn": ("records data", ""),
    "report": ("errors records nn", "matplotlib rich scipy"),
    "run": ("errors redact records data nn report", "hydra omegaconf"),
    "tracking": ("errors redact records data", "hydra omegaconf mlflow requests"),
    "sweep": (
        "errors redact records data report run tracking",
        "hydra omegaconf mlflow joblib ray",
    ),
    "hydra_plugins": ("sweep", "hydra omegaconf"),
    "cli": ("errors redact records run sweep hydra_plugins", "hydra omegaconf"),
    "reading": ("errors redact records nn run tracking", "pandas"),
    "__init__": ("reading", ""),
    "__main__": ("cli", ""),
}
PACKAGES = {name for _, names in WALLS.values() for name in names.split()}
FILES = {
    path: path.relative_to(ROOT / "bnsweep").parts[0] for path in (ROOT / "bnsweep").rglob("*.py")
}
FILES |= dict.fromkeys((ROOT / "hydra_plugins").rglob("*.py"), "hydra_plugins")
ROOMS = {path: part.removesuffix(".py") for path, part in FILES.items()}


def imported(path):
    """Return the full names of all that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def entered(path):
    """Return the rooms that a file imports, but for its own."""
    names = (name.split(".") for name in imported(path))
    rooms = {
        parts[1] if parts[0] == "bnsweep" else parts[0]
        for parts in names
        if parts[0] in ("bnsweep", "hydra_plugins")
    }
    return (rooms & set(WALLS)) - {ROOMS[path]}


def test_every_room_stands_in_the_table():
    assert set(ROOMS.values()) == set(WALLS)


@pytest.mark.parametrize("room", WALLS)
def test_a_room_imports_what_the_table_allows(room):
    rooms, packages = (set(names.split()) for names in WALLS[room])
    files = [path for path, own in ROOMS.items() if own == room]
    assert {name for path in files for name in entered(path)} <= rooms
    found = {name.partition(".")[0] for path in files for name in imported(path)}
    assert found & PACKAGES <= packages
