"""What figures cost in processor time.

    python benchmarks/figures.py

Draws the figures of a default sweep and of its runs, and a sweep of 16 x 16 panels with 8 lines
of 64 seeds. A figure of a run that is blitted is set against a fresh one of the same run, in turns:
times wander on shared machines, their ratio does not.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import bnsweep
from bnsweep import figures
from bnsweep.records import RunResult, SweepRun
from bnsweep.report.figures.saving import save
from bnsweep.report.figures.single_run import draw_run

SCALES, RATES, SEEDS = 16, 16, 64
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        command = [sys.executable, "-m", "bnsweep", "-m", "tracking=none", "tracking.figures=false"]
        subprocess.run([*command, f"output_dir={folder}"], check=True, capture_output=True)
        (sweep,) = (folder / "sweeps").iterdir()
        runs = bnsweep.load_sweep(sweep).sweep_runs()
        results = [run.result for run in runs if run.result is not None]

        def blitted() -> None:
            for result in results:
                draw_run(result, folder)

        def fresh() -> None:
            for result in results[:4]:
                for draw in (figures.learning_curves, figures.activation_distributions):
                    save(draw(result), folder, "fresh", ["png"])

        first = seconds(blitted) / len(results)
        pairs = [(seconds(blitted) / len(results), seconds(fresh) / 4) for _ in range(repeat)]
        again = statistics.median(a for a, _ in pairs)
        print(f"a run's two figures: {1000 * again:.0f} ms; in a new process, over the 32 runs of")
        print(f"a sweep: {1000 * first:.0f} ms; fresh figures take", end=" ")
        print(f"{statistics.median(b / a for a, b in pairs):.1f} times as long")
        for draw in (figures.curves, figures.final_accuracy):
            took = statistics.median(seconds(lambda d=draw: drawn(d, runs, folder)) for _ in pairs)
            print(f"the default sweep's {draw.__name__}: {took:.2f} s")
    large = large_sweep(results[0])
    with tempfile.TemporaryDirectory() as place:
        took = seconds(lambda: drawn(figures.curves, large, Path(place)))
    print(f"curves of {SCALES} x {RATES} panels, 8 lines, {SEEDS} seeds: {took:.1f} s")


def seconds(work: Callable[[], None]) -> float:
    """Return the processor time of `work`."""
    start = time.process_time()
    work()
    return time.process_time() - start


def drawn(draw: Callable[..., object], runs: Sequence[SweepRun], folder: Path) -> None:
    """Draw and save a figure."""
    with figures.applied("screen"):
        save(draw(runs), folder, "figure", ["png"])


def large_sweep(result: RunResult) -> list[SweepRun]:
    """Return a run for each combination, with the curves of one under noise."""
    rng, runs = np.random.default_rng(0), []
    scales, rates = np.geomspace(1e-4, 1, SCALES), np.geomspace(1e-4, 1, RATES)
    models = ("batchnorm", "plain")
    for scale, rate, model, optimizer, seed in itertools.product(
        scales.tolist(), rates.tolist(), models, OPTIMIZERS, range(SEEDS)
    ):
        swept = {"weight_std": scale, "optimizer.lr": rate, "model": model}
        swept |= {"optimizer": optimizer, "seed": seed}
        parts = {
            "model": result.spec.config["model"] | {"batch_norm": model == "batchnorm"},
            "optimizer": result.spec.config["optimizer"] | {"lr": rate, "_target_": optimizer},
        }
        spec = replace(
            result.spec,
            config=result.spec.config | parts | {"weight_std": scale, "seed": seed},
            options=dict(result.spec.options) | {"model": model, "optimizer": optimizer},
            number=len(runs),
            swept=swept,
        )
        noise = 0.05 * rng.standard_normal(result.epochs_run + 1)
        accuracy = np.clip(result.curves["train_accuracy"] + noise, 0, 1)
        own = replace(result, spec=spec, curves={**result.curves, "train_accuracy": accuracy})
        runs.append(SweepRun(spec, own))
    return runs


if __name__ == "__main__":
    main()
