"""Change one place of the program at a time, and see whether the tests of its room notice.

    python tests/support/mutate.py                              # 167 changes of the default modules
    python tests/support/mutate.py --sample 40 bnsweep/sweep/plan.py

A change that no test notices survives, and is printed: it is harmless, or a test is missing. The
changes are made in copies of the project, never in the project itself.
"""

import argparse
import ast
import contextlib
import copy
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEFAULT = (
    *("bnsweep/nn/*.py", "bnsweep/report/comparison.py", "bnsweep/records/keys.py"),
    *("bnsweep/run/config.py", "bnsweep/sweep/composing.py", "bnsweep/sweep/plan.py"),
)
# Modules whose promises the tests of other rooms check, too.
ELSEWHERE = {
    "bnsweep/records/keys.py": ("tests/run", "tests/cli", "tests/sweep", "tests/report"),
    "bnsweep/run/config.py": ("tests/run", "tests/sweep"),
}
NOT_COPIED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "outputs", "results", "venv", "pictures"
)
MEMORY = 16 * 2**20  # KiB of address space: a change may allocate without end

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One change: the bytes from `start` to `end` of a module become `new`."""

    module: str
    line: int
    start: int
    end: int
    new: str

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]

    def shown(self, source: bytes) -> str:
        old = " ".join(source[self.start : self.end].decode().split())
        old, new = (textwrap.shorten(text, 90, placeholder=" ...") for text in (old, self.new))
        return f"{self.module}:{self.line}: - {old}  + {new}"


def plus_one(node: ast.expr) -> ast.expr:
    return ast.BinOp(node, ast.Add(), ast.Constant(1))


def changed(node: ast.AST, **fields) -> ast.AST:
    clone = copy.copy(node)
    for name, value in fields.items():
        setattr(clone, name, value)
    return clone


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of `node`."""
    match node:
        case ast.Compare():
            for i, op in enumerate(node.ops):
                for other in COMPARISONS[type(op)]:
                    yield changed(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])
        case ast.BinOp() | ast.AugAssign() if type(node.op) in ARITHMETIC:
            yield changed(node, op=ARITHMETIC[type(node.op)]())
        case ast.BoolOp():
            yield changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(node.value + 1)
            yield ast.Constant(node.value - 1)
        case ast.Call(func=ast.Name(id="range")) if not isinstance(node.args[-1], ast.Constant):
            yield changed(node, args=[*node.args[:-1], plus_one(node.args[-1])])
        case ast.Call():
            if isinstance(node.func, ast.Name) and node.func.id in NAMES:
                yield changed(node, func=ast.Name(NAMES[node.func.id]))
            elif len(node.args) >= 2 and not any(isinstance(a, ast.Starred) for a in node.args):
                yield changed(node, args=[node.args[1], node.args[0], *node.args[2:]])
        case ast.Slice():
            for name in ("lower", "upper"):
                bound = getattr(node, name)
                if bound is not None and not isinstance(bound, ast.Constant):
                    yield changed(node, **{name: plus_one(bound)})
        case ast.If() | ast.IfExp() | ast.While():
            if not isinstance(node.test, ast.Compare | ast.UnaryOp):
                yield changed(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Return(value=ast.expr()):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.Raise():
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is worth a change: no annotation, no `strict` of a zip, which only guards.

    Nor an f-string, inside which Python 3.11 gives wrong positions.
    """
    if isinstance(tree, ast.JoinedStr) or (isinstance(tree, ast.keyword) and tree.arg == "strict"):
        return
    yield tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from nodes(child)


def mutants(module: str) -> list[Mutant]:
    """Return every change of `module`, whose path is relative to the project's folder."""
    source = (ROOT / module).read_bytes()
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    found = {}
    for node in nodes(ast.parse(source)):
        for new in changes(node):
            # Of what has a condition, the condition alone is replaced.
            conditional = isinstance(node, ast.If | ast.IfExp | ast.While)
            place, new = (node.test, new.test) if conditional else (node, new)
            text = ast.unparse(ast.fix_missing_locations(new))
            if isinstance(new, ast.BinOp | ast.BoolOp | ast.Compare | ast.UnaryOp):
                text = f"({text})"
            start = lines[place.lineno - 1] + place.col_offset
            end = lines[place.end_lineno - 1] + place.end_col_offset
            mutant = Mutant(module, place.lineno, start, end, text)
            with contextlib.suppress(SyntaxError):  # such as a pattern of `match` in parentheses
                compile(mutant.applied(source), module, "exec")
                found[mutant] = None
    return list(found)


def tests_of(module: str) -> list[str]:
    """Return pytest's arguments for the tests of a module's room; its own file comes first."""
    _, *room, name = Path(module).with_suffix("").parts
    own = sorted((ROOT / "tests").rglob(f"test_*{name}*.py"))
    rooms = ELSEWHERE.get(module, (str(Path("tests", *room)),))
    return [*(str(path.relative_to(ROOT)) for path in own), *rooms, "--ignore=tests/system"]


def passes(project: Path, module: str, limit: float) -> bool:
    """Return whether the tests of a module pass, in a copy of the project, within `limit`."""
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command = ["sh", "-c", f'ulimit -v {MEMORY}; exec "$@"', "sh", *pytest, *tests_of(module)]
    # Without bytecode: it could not tell two changes made within a second from each other.
    kept = {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command,
        cwd=project,
        env=os.environ | kept,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(limit) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def survives(mutant: Mutant, copies: queue.Queue, limit: float) -> bool:
    project = copies.get()
    path = project / mutant.module
    source = path.read_bytes()
    try:
        path.write_bytes(mutant.applied(source))
        return passes(project, mutant.module, limit)
    finally:
        path.write_bytes(source)
        copies.put(project)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=DEFAULT, help="paths or patterns")
    parser.add_argument("--sample", type=int, default=167, help="how many changes to try")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    return parser.parse_args()


def main() -> None:
    given = options()
    modules = sorted({str(p.relative_to(ROOT)) for m in given.modules for p in ROOT.glob(m)})
    every = [mutant for module in modules for mutant in mutants(module)]
    sample = random.Random(given.seed).sample(every, min(given.sample, len(every)))
    if not sample:
        sys.exit("nothing to change: name modules by their paths in the project")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        copies: queue.Queue = queue.Queue()
        for number in range(given.jobs):
            copies.put(shutil.copytree(ROOT, Path(folder, str(number)), ignore=NOT_COPIED))
        limits: dict[tuple, float] = {}
        for module in sorted({mutant.module for mutant in sample}):
            key = tuple(tests_of(module))
            if key not in limits:
                before = time.monotonic()
                if not passes(copies.queue[0], module, 3600):
                    sys.exit(f"{module}: its tests fail as it is")
                limits[key] = 10 + 5 * (time.monotonic() - before)
        jobs = {
            pool.submit(survives, mutant, copies, limits[tuple(tests_of(mutant.module))]): mutant
            for mutant in sample
        }
        survivors = 0
        for done in as_completed(jobs):
            if done.result():
                survivors += 1
                mutant = jobs[done]
                print(mutant.shown((ROOT / mutant.module).read_bytes()), flush=True)
    print(f"{survivors} of {len(sample)} survive ({100 * survivors / len(sample):.0f} %)")


if __name__ == "__main__":
    main()
