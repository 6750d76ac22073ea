"""Which room may know of which package: read from the imports, function bodies included."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bnsweep"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
CORE = ("initializers", "layers", "losses", "network", "optimizers", "results", "training")


def imports(module):
    tree = ast.parse(MODULES[module].read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(module):
    return {name.partition(".")[0] for name in imports(module)}


def ours(module):
    """Return the modules of ours that a module imports."""
    names = {name.removeprefix("bnsweep.") for name in imports(module)}
    return names & set(MODULES)


def reached(module):
    """Return the module and all of ours that it imports, and they in turn."""
    seen, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += ours(current)
    return seen


@pytest.mark.parametrize("module", CORE)
def test_the_numerical_core_knows_no_hydra_mlflow_or_matplotlib(module):
    for room in reached(module):
        assert not packages(room) & {"hydra", "omegaconf", "mlflow", "matplotlib"}, room


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("mlflow", ("tracking.", "sweep.preloaded")),
        ("matplotlib", ("figures.",)),
        ("hydra", ("app", "build", "sweep.")),
        ("omegaconf", ("app", "build", "sweep.")),
        ("rich", ("terminal",)),
        ("ray", ("sweep.cluster",)),
        ("joblib", ("sweep.local_workers",)),
    ],
)
def test_each_large_package_stays_at_its_edge(package, rooms):
    found = [module for module in MODULES if package in packages(module)]
    assert found
    assert [module for module in found if not module.startswith(rooms)] == []


@pytest.mark.parametrize(
    ("room", "closed"),
    [
        ("figures", ("app", "build", "report", "sweep", "tracking")),
        ("report", ("app", "build", "sweep", "tracking")),
        ("tracking", ("app", "build", "figures", "report", "sweep")),
        ("reading", ("app", "figures", "report", "sweep")),
    ],
)
def test_data_flows_one_way(room, closed):
    for module in MODULES:
        if module.startswith(f"{room}."):
            entered = {name.partition(".")[0] for name in ours(module)}
            assert not entered & set(closed), module


def test_imports_form_no_circle():
    for module in MODULES:
        for other in ours(module) - {module}:
            assert module not in reached(other), f"{module} and {other} import each other"
