"""Which room may know of which package: read from the imports, function bodies included."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bnsweep"
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))
MLFLOW_ROOMS = {"preloaded", "run_facts", "run_log", "sqlite_store", "stored_runs", "tracking"}
CORE = ("initializers", "layers", "losses", "network", "optimizers", "results", "training")


def imports(module):
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(module):
    return {name.partition(".")[0] for name in imports(module)}


def reached(module):
    """Return the module and all of ours that it imports, and they in turn."""
    seen, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in seen and current in MODULES:
            seen.add(current)
            waiting += [n.split(".")[1] for n in imports(current) if n.startswith("bnsweep.")]
    return seen


@pytest.mark.parametrize("module", CORE)
def test_the_numerical_core_knows_no_hydra_mlflow_or_matplotlib(module):
    for room in reached(module):
        assert not packages(room) & {"hydra", "omegaconf", "mlflow", "matplotlib"}, room


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        (
            "mlflow",
            {"preloaded", "tracking", "run_log", "run_facts", "sqlite_store", "stored_runs"},
        ),
        ("matplotlib", {"figures", "sheet"}),
        ("hydra", {"app", "build", "composing", "sweep", "plan", "launching"}),
        ("omegaconf", {"app", "build", "cluster", "composing", "sweep", "plan", "launching"}),
    ],
)
def test_each_large_package_stays_at_its_edge(package, rooms):
    assert {module for module in MODULES if package in packages(module)} <= rooms


def test_imports_form_no_circle():
    for module in MODULES:
        direct = {n.split(".")[1] for n in imports(module) if n.startswith("bnsweep.")}
        for other in direct & set(MODULES) - {module}:
            assert module not in reached(other), f"{module} and {other} import each other"
