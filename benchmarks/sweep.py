"""What a sweep costs beyond its training: whole processes, timed beside the bare products.

    python benchmarks/sweep.py                   # digits, and MNIST with --mnist FOLDER
    python benchmarks/sweep.py --sizes 32,256,1024

Prints tables and writes benchmarks/results/sweep.json. Times wander on shared machines, so
each is the median of several and is set against the matrix products of the same networks,
timed in the same call.
"""

import argparse
import contextlib
import ctypes
import functools
import inspect
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCALES = 16
NETWORKS = 2 * SCALES
CONTENDERS = {
    "local": [],
    "local, untracked": ["tracking=none", "tracking.figures=false"],
    "basic": ["hydra/launcher=basic"],
}
# A run with next to nothing to train: what it costs is what every run costs.
TINY = [
    "data.train_size=100", "data.test_size=100", "training.epochs=1", "model=batchnorm",
    "model.hidden_sizes=[10]", "weight_std=0.1",
]  # fmt: skip


def main() -> None:
    """Measure, print, and write."""
    options = arguments()
    if options.timed is not None:
        timed_sweep(options.timed)
        return
    collect_orphans()
    results = {
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "whole_sweep": whole_sweep(options.mnist, options.repeat),
        "split": split(options.mnist),
        "cost_per_run": cost_per_run([int(size) for size in options.sizes.split(",")]),
    }
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps(results, indent=2))


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", help="folder with MNIST's files; without it: digits")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sizes", default="32,256", help="numbers of runs to find the cost at")
    parser.add_argument("--timed", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser.parse_args()


def data_overrides(mnist: str | None) -> list[str]:
    """Return the overrides that choose the data."""
    return ["data=mnist", f"data.root={mnist}"] if mnist else []


def sweep(folder: Path, *overrides: str) -> tuple[float, float]:
    """Return the wall and the processor seconds of a sweep, from its start to the report."""
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "bnsweep", "-m", f"output_dir={folder}", *overrides]
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    # The workers are children of the process that forks them, which ends after the sweep.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    after = os.times()
    used = after.children_user + after.children_system
    return seconds, used - before.children_user - before.children_system


def collect_orphans() -> None:
    """Become the parent of what outlives its own, so that its processor time counts here."""
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def products_seconds() -> float:
    """Return the seconds of one network's bare matrix products, in a process of its own."""
    command = [sys.executable, str(HERE / "training.py"), "--products"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def whole_sweep(mnist: str | None, repeat: int) -> dict[str, float]:
    """Time the default sweep against the products of its networks, in turn."""
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sweep(folder, "weight_std=0.1", "training.epochs=1")  # makes the database
        for _ in range(repeat):
            seconds["products"].append(NETWORKS * products_seconds())
            for name, options in CONTENDERS.items():
                took, processor = sweep(folder, *options, *data_overrides(mnist))
                seconds[name].append(took)
                seconds[f"{name}, processor"].append(processor)
    median = {key: statistics.median(values) for key, values in seconds.items()}
    for name in CONTENDERS:
        ratios = [a / b for a, b in zip(seconds[name], seconds["products"], strict=True)]
        median[f"{name} / products"] = statistics.median(ratios)
    show("the default sweep, 32 runs", median)
    return median


def split(mnist: str | None) -> dict[str, float]:
    """Split the time of the default sweep in one process by what it is spent on."""
    with tempfile.TemporaryDirectory() as name:
        sweep(Path(name), "weight_std=0.1", "training.epochs=1")
        command = [sys.executable, __file__, "--timed", "-m", f"output_dir={name}"]
        command += ["hydra/launcher=basic", *data_overrides(mnist)]
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        whole = time.perf_counter() - start
    parts = json.loads(done.stdout.splitlines()[-1])
    parts["start and the rest"] = whole - sum(parts.values())
    show("where the seconds of 32 runs in one process go", parts)
    return {str(key): float(value) for key, value in parts.items()}


def cost_per_run(sizes: list[int]) -> dict[str, float]:
    """Find what one more run costs on one worker, by sweeps that train next to nothing."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common = [*TINY, "hydra/launcher=basic"]
        sweep(folder, *common)  # makes the database
        for figures in ("true", "false"):
            for size in sizes:
                costs = []
                # A start that is slow by chance weighs on a short sweep alone.
                for _round in range(5 if size < 100 else 1):
                    one, _ = sweep(folder, *common, f"tracking.figures={figures}")
                    seeds = f"seed=range({size})"
                    many, _ = sweep(folder, *common, seeds, f"tracking.figures={figures}")
                    costs.append(1000 * (many - one) / (size - 1))
                found[f"{size} runs, figures={figures}: ms a run"] = statistics.median(costs)
    show("what one more run costs", found)
    return found


def timed_sweep(overrides: list[str]) -> None:
    """Run a sweep in this process, and print the seconds of each part as JSON."""
    spent: dict[str, float] = defaultdict(float)
    of_thread = threading.local()  # the recorder works in a thread of its own

    def timed(owner: object, name: str, part: str) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def wrapper(*args: object, **kwargs: object) -> object:
            inside = of_thread.__dict__.setdefault("inside", [])
            start = time.perf_counter()
            inside.append(part)
            try:
                return original(*args, **kwargs)
            finally:
                took = time.perf_counter() - start
                inside.pop()
                spent[part] += took
                if inside:
                    # Time within a part of a part counts for the inner one alone.
                    spent[inside[-1]] -= took

        setattr(owner, name, wrapper)

    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    from bnsweep.cli import app
    from bnsweep.report import output
    from bnsweep.report.figures import single_run
    from bnsweep.run import execute
    from bnsweep.tracking.store import Store

    timed(ConfigLoaderImpl, "load_configuration", "composing")
    timed(ConfigLoaderImpl, "load_sweep_config", "composing")
    timed(execute.Experiment, "run", "training")
    timed(single_run, "draw_run", "figures")
    timed(output, "write_report", "report")
    for name, member in list(vars(Store).items()):
        if inspect.isfunction(member) and not name.startswith("_"):
            timed(Store, name, "tracking")
    sys.argv[1:] = overrides
    status = app.run_command_line()
    print(json.dumps(spent))
    sys.exit(status)


def show(title: str, rows: dict[str, float]) -> None:
    """Print a table of two columns."""
    print(f"\n{title}")
    for key, value in rows.items():
        print(f"  {key:<36} {value:8.2f}")


if __name__ == "__main__":
    main()
