"""Which room may import which, and which package: read from the imports, function bodies included.

A room is a module or a package right below `bnsweep`; `hydra_plugins` is one, too.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Room: the rooms that it imports, which all stand above it here, and the large packages.
WALLS = {
    "errors": ("", ""),
    "redact": ("", ""),
    "screen": ("", ""),
    "hydra_inside": ("errors", "hydra omegaconf"),
    "records": ("errors", ""),
    "data": ("errors records", "sklearn pooch requests platformdirs"),
    "nn": ("errors records", ""),
    "report": ("errors records nn", "markdown_it matplotlib PIL rich scipy"),
    "run": ("errors redact hydra_inside records data nn report", "hydra omegaconf"),
    "tracking": (
        "errors redact hydra_inside records nn report run",
        "hydra omegaconf mlflow requests sqlalchemy",
    ),
    "sweep": (
        "errors redact screen records data report run tracking",
        "hydra omegaconf cloudpickle ray",
    ),
    "hydra_plugins": ("hydra_inside sweep", "hydra omegaconf"),
    "cli": (
        "errors redact hydra_inside records nn report run tracking sweep hydra_plugins",
        "hydra omegaconf",
    ),
    "reading": ("errors records data nn run tracking", "pandas"),
    "__init__": ("report reading", ""),
    "__main__": ("redact screen sweep cli", ""),
}
# Packages that only one part of a room imports, because they are slow or rest on inside knowledge.
PARTS = {
    "markdown_it": "report/webpage.py",
    "matplotlib": ("report/figures/", "report/sections.py"),
    "PIL": "report/figures/",
    "rich": "report/terminal.py",
    "scipy": "report/estimates.py",
    "pandas": "reading.py",
    "ray": "sweep/cluster.py",
    "mlflow": ("tracking/store.py", "tracking/sqlite.py", "tracking/model.py"),
    "sqlalchemy": ("tracking/store.py", "tracking/sqlite.py"),
    "cloudpickle": "sweep/local.py",
    "hydra._internal": "hydra_inside.py",
}
# None imports joblib: only Hydra's own launcher of that name needs it.
PACKAGES = {name for _, names in WALLS.values() for name in names.split()} | {"joblib"}
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


def test_no_room_imports_one_that_stands_below_it_in_the_table():
    places = list(WALLS)
    for room, (rooms, _) in WALLS.items():
        assert all(places.index(other) < places.index(room) for other in rooms.split()), room


@pytest.mark.parametrize("package", PARTS)
def test_a_slow_package_stays_in_its_part_of_a_room(package):
    files = [
        str(path.relative_to(ROOT / "bnsweep"))
        for path in ROOMS
        if any(f"{name}.".startswith(f"{package}.") for name in imported(path))
    ]
    assert files
    assert [file for file in files if not file.startswith(PARTS[package])] == []


def test_modules_import_each_other_in_no_circle():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in ROOMS
    }
    needs = {}
    for name, path in modules.items():
        targets = {full if full in modules else full.rpartition(".")[0] for full in imported(path)}
        needs[name] = targets & modules.keys() - {name}
    while free := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in free:
            del needs[name]
    assert not needs


def test_the_picture_of_the_architecture_has_each_room_above_all_that_it_imports():
    text = (ROOT / "docs" / "architecture.md").read_text()
    picture = text.split("```text\n")[1].partition("```")[0]
    floors = {
        room: number
        for number, line in enumerate(picture.splitlines())
        for room in line.partition("  ")[0].replace(",", " ").split()
    }
    assert floors.keys() == WALLS.keys()
    for room, (rooms, _) in WALLS.items():
        assert all(floors[other] > floors[room] for other in rooms.split()), room
