"""The files of a finished sweep: its table, its figures, its summary and its page."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from bnsweep.errors import UserError
from bnsweep.records import RunSpec, SweepRun, write_whole
from bnsweep.records.keys import hashable
from bnsweep.report import sections
from bnsweep.report.findings import Findings
from bnsweep.report.sections import SweepFigure
from bnsweep.report.summary import summarise
from bnsweep.report.webpage import Picture, html_page

FINAL_METRICS = (
    "final_train_accuracy",
    "final_test_accuracy",
    "final_validation_accuracy",
    "best_test_accuracy",
    "train_seconds",
    "diverged",
    "epochs_run",
)
MAX_REMARK = 1000  # characters
MAX_NOTE = 8000  # characters; a longer tag is refused
PIXELS_PER_INCH = 96  # of a browser


@dataclass(frozen=True)
class Report:
    """What was written.

    `note` is the summary without its title, cut to the length of a note of the tracking store.
    """

    csv: Path
    figures: tuple[Path, ...]
    note: str


@dataclass(frozen=True)
class ReportOptions:
    """What a report is asked to hold.

    Attributes:
        figures: what is drawn.
        formats: of the figures' files.
        style: of the figures.
        choose: keys whose value is chosen on the validation samples.
    """

    figures: Sequence[SweepFigure] = ()
    formats: Sequence[str] = ("png",)
    style: str = "screen"
    choose: Sequence[str] = ()

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Self:
        """Return what the part `report` of a configuration asks for, given as plain values.

        Raises:
            UserError: a figure is unknown, or two of them would be written to one file.
        """
        given = {field.name: report[field.name] for field in fields(cls) if field.name in report}
        return cls(**{**given, "figures": sections.sweep_figures(given.get("figures", ()))})


def write_report(
    findings: Findings, folder: Path, options: ReportOptions, remarks: Sequence[str] = ()
) -> Report:
    """Write `results.csv`, `summary.md`, `report.html` and the figures into `folder`.

    The table holds all runs; the figures and the summary hold those with the chosen values.
    Figures with nothing to show are left out: all of them if no run ended, and those against
    a key if only seeds were swept. The note has paragraphs of the caller's own, `remarks`, below
    the answer.
    """
    table = folder / "results.csv"
    write_whole(table, results_csv(findings.runs).encode())
    drawn: dict[str, list[Path]] = {}
    pictures: dict[str, Picture] = {}
    try:
        for name, files, picture in _draw(findings.chosen, folder / "figures", options):
            drawn[name], pictures[name] = files, picture
    finally:  # a figure of the user's own that fails does not take the summary with it
        summary = summarise(findings, options.figures)
        write_whole(folder / "summary.md", summary.markdown(drawn).encode())
        page = html_page(summary, pictures, name=folder.name)
        write_whole(folder / "report.html", page.encode())
    written = tuple(path for paths in drawn.values() for path in paths)
    answer = len(findings.answer)
    brief = [t if len(t) <= MAX_REMARK else f"{t[:MAX_REMARK]} ..." for t in remarks]
    paragraphs = [*summary.paragraphs[:answer], *brief, *summary.paragraphs[answer:]]
    return Report(table, written, shortened(replace(summary, paragraphs=paragraphs).text(drawn)))


def check_choice(keys: Sequence[str], specs: Sequence[RunSpec]) -> None:
    """Check the value of `report.choose`.

    Args:
        keys: the value.
        specs: the runs of the sweep.

    Raises:
        UserError: a key cannot be chosen, or a data set has no validation samples.
    """
    known = {key for spec in specs for key in spec.leaves}
    if unknown := [key for key in keys if key not in known]:
        raise UserError(f"report.choose={list(keys)}: there is no key {unknown[0]}")
    if "seed" in keys:
        raise UserError(
            f"report.choose={list(keys)}: a seed is not chosen, it is what results are averaged "
            "over; leave it out"
        )
    if keys and not all(spec.data.get("validation_samples") for spec in specs):
        raise UserError(
            f"report.choose={list(keys)}: values are chosen by the accuracy on validation samples, "
            "and there are none; set data.validation_size, or report.choose=[]"
        )


def results_csv(runs: Sequence[SweepRun]) -> str:
    """Return the table of a sweep: one row for each run, one column for each swept key."""
    keys = list(dict.fromkeys(key for run in runs for key in run.spec.swept))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "fingerprint", "run_id", "name", "status", *keys, *FINAL_METRICS])
    for run in runs:
        final = run.result.final_metrics() if run.result is not None else {}
        swept = (hashable(run.spec.swept.get(key)) for key in keys)
        writer.writerow(
            [
                run.spec.number,
                run.spec.fingerprint,
                run.run_id or "",
                run.spec.name,
                run.outcome,
                *(list(v) if isinstance(v, tuple) else v for v in swept),
                *(final.get(name, "") for name in FINAL_METRICS),
            ]
        )
    return text.getvalue()


def shortened(summary: str) -> str:
    """Return as many whole lines of `summary` as fit into a note of the tracking store."""
    if len(summary) <= MAX_NOTE:
        return summary
    more = "\n\nThe rest is in `summary.md` in the folder of the sweep.\n"
    return summary[: MAX_NOTE - len(more)].rpartition("\n")[0] + more


def _draw(
    runs: Sequence[SweepRun], folder: Path, options: ReportOptions
) -> Iterator[tuple[str, list[Path], Picture]]:
    """Draw the figures that apply: of each its name, its files, and its picture for the page."""
    if not any(run.comparable for run in runs):
        return
    # Importing matplotlib takes a third of a second, so wait until there is something to draw.
    from bnsweep.report.figures.saving import picture, save
    from bnsweep.report.figures.style import applied

    with applied(options.style, math=True):
        for kind in options.figures:
            if figure := kind.draw(runs):
                files = save(figure, folder, kind.name, options.formats)
                width = round(figure.get_figwidth() * PIXELS_PER_INCH)
                caption, titled = str(figure.get_label()), bool(figure.texts)
                yield kind.name, files, Picture(*picture(figure, files), width, caption, titled)
