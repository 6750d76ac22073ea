"""Make the pictures and the numbers of the documentation again.

    python docs/make.py --mnist FOLDER                  # all of it: some twenty minutes
    python docs/make.py --mnist FOLDER learning_rate    # one sweep, one measurement, or mlflow

Writes the summary of each sweep and the text of each measurement to docs/results/, and the pictures
to docs/pictures/. The numbers in docs/ and README.md are quoted from there by hand, and
tests/test_docs.py holds them to it. `mlflow` takes the pictures of the MLflow UI, and is skipped
with a message where there is no chromium.
"""

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import measurements
import numpy as np
import screenshots

import bnsweep

DOCS = Path(__file__).resolve().parent
# Of each sweep: its command line, and the figures that the documentation shows, by picture.
SWEEPS = {
    "digits": (
        ["-m", "seed=range(10)", "report.figures=[final_train_accuracy]"],
        {"digits": "final_train_accuracy"},
    ),
    "figure_6_18": (
        ["experiment=figure_6_18"],
        {"figure_6_18": "curves", "final_accuracy": "final_accuracy"},
    ),
    "learning_rate": (
        ["experiment=learning_rate"],
        {"learning_rate": "final_accuracy", "learning_rate_epochs": "epochs_to_target"},
    ),
    "overfitting": (["experiment=overfitting"], {"overfitting": "final_accuracy"}),
    "activations": (["experiment=activations"], {"activations": "activations"}),
}


def main() -> None:
    """Make what the command line names, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, required=True, help="folder with MNIST's four files")
    known = [*SWEEPS, "mlflow", *measurements.MEASUREMENTS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"out of {', '.join(known)}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(known):
        parser.error(f"{', '.join(sorted(unknown))}: unknown; choose from {', '.join(known)}")
    for name in options.names or known:
        if name in SWEEPS:
            run_sweep(name, options.mnist.resolve())
        elif name == "mlflow":
            screenshots.take()
        else:
            measurements.write(name, options.mnist.resolve())


def run_sweep(name: str, mnist: Path) -> None:
    """Run a sweep in a folder of its own, and store its summary and its pictures."""
    arguments, pictures = SWEEPS[name]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bnsweep", *arguments, "tracking=none"]
        subprocess.run(
            [*command, f"output_dir={folder}", f"data.root='{mnist}'"], cwd=folder, check=True
        )
        (sweep,) = Path(folder, "sweeps").iterdir()
        store(f"{name}.md", (sweep / "summary.md").read_text())
        for picture, figure in pictures.items():
            shutil.copy(sweep / "figures" / f"{figure}.png", DOCS / "pictures" / f"{picture}.png")
        if name == "figure_6_18":
            store("published.md", published(sweep))


def store(name: str, text: str) -> None:
    """Write a text to docs/results/."""
    measurements.RESULTS.mkdir(exist_ok=True)
    (measurements.RESULTS / name).write_text(text)


def published(sweep: Path) -> str:
    """Hold a run of the chapter's own program against the seeds of a sweep, curve by curve.

    Each of the eleven curves, the published one among them, is held against the mean of the ten
    others: the distance is the mean absolute difference over epochs 1 to 19.
    """
    epochs = bnsweep.load_sweep(sweep, rows="epochs")
    scales = sorted(epochs["weight_std"].unique(), reverse=True)
    rows, inside = [], 0
    for model, scale, curve in read_published():
        runs = epochs[(epochs["model"] == model) & (epochs["weight_std"] == scales[scale])]
        table = runs.pivot_table("train_accuracy", index="seed", columns="epoch")
        # A run that diverged keeps its last accuracy, as it does in the figures.
        seeds = table.reindex(columns=range(20)).ffill(axis="columns").to_numpy()
        curves = np.vstack([curve, seeds])[:, 1:]
        others = (curves.sum(axis=0) - curves) / (len(curves) - 1)
        distance, *of_seeds = np.abs(curves - others).mean(axis=1)
        is_inside = bool(distance <= max(of_seeds))
        inside += is_inside
        cells = [f"{scales[scale]:.3g}", model, f"{distance:.4f}", f"{max(of_seeds):.4f}"]
        rows.append(f"| {' | '.join(cells)} | {'yes' if is_inside else 'no'} |")
    return (
        f"{inside} of {len(rows)} published curves lie no further from the mean of the ten seeds "
        "than the furthest seed does from the mean of the ten other curves.\n\n"
        "| W | model | published | furthest seed | inside |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )


def read_published() -> list[tuple[str, int, np.ndarray]]:
    """Return model, index of the scale and accuracies of each published curve."""
    with (DOCS / "published.csv").open() as file:
        _, *rows = csv.reader(file)
    return [(model, int(scale), np.array(values, float)) for model, scale, *values in rows]


if __name__ == "__main__":
    main()
