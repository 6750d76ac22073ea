"""The summary of a sweep: Markdown text beside its figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bnsweep.records import SweepRun, with_results
from bnsweep.report.claims import MAX_PAIRS, choice_text
from bnsweep.report.comparison import Axis, swept_axes
from bnsweep.report.estimates import MIN_SEEDS
from bnsweep.report.findings import Findings
from bnsweep.report.labels import key_label, setting
from bnsweep.report.markdown import counted, table
from bnsweep.report.measures import LEARNS
from bnsweep.report.sections import MAX_ROWS, SweepFigure

MAX_NAMES = 10

THRESHOLDS = (
    f"A network *learns* where its training accuracy ends at {LEARNS} or more. Intervals are "
    f"Student's, at 95 % over the seeds; differences are those of runs of one seed, and a verdict "
    f"takes {MIN_SEEDS} seeds. Where a claim is judged for several pairs or scales, its intervals "
    "hold for all of them at once. A run that diverged counts with its last accuracies."
)


def summarise(
    findings: Findings, figures: Sequence[SweepFigure], drawn: Mapping[str, Sequence[Path]]
) -> str:
    """Return the summary of a sweep: its answer first, then a section for each figure.

    `drawn` holds the files of each figure, by its name.
    """
    runs = findings.compared
    parts = [f"# {_heading(findings.runs)}", *findings.answer, findings.how_runs_ended]
    if findings.missing:
        parts.append(_missing(findings.missing))
    if runs:
        parts.append(f"The same in all runs: {setting(with_results(findings.runs))}.")
        parts.append(THRESHOLDS)
        if any(run.chosen for run in runs):
            parts.append(_choices(runs))
        parts += _claims(findings, with_gaps=any(f.name == "generalization_gap" for f in figures))
        for figure in figures:
            if texts := [text for text in figure.section(runs) if text]:
                files = ", ".join(f"figures/{path.name}" for path in drawn.get(figure.name, ()))
                parts += [f"## {figure.title}" + (f" ({files})" if files else ""), *texts]
    return "\n\n".join(parts) + "\n"


def _claims(findings: Findings, *, with_gaps: bool) -> list[str]:
    """Return the section of the claims that the answer does not mention."""
    judged = findings.claims
    if with_gaps and not findings.swept_dropout:
        judged = [*judged, *findings.gap_claims]
    texts = [claim.text for claim in judged] or findings.on_test
    new = [text for text in texts if text not in findings.answer]
    if not new:
        return []
    most = max(Counter(claim.claimed for claim in judged).values(), default=0)
    cut = [f"Each claim is judged for {MAX_PAIRS} pairs at most."] if most >= MAX_PAIRS else []
    return ["## Claims, pair by pair", *cut, *new]


def _choices(runs: Sequence[SweepRun]) -> str:
    """Return what was chosen for each combination of the other keys."""
    axes = {
        key: axis for key, axis in swept_axes([run.spec for run in runs]).items() if key != "seed"
    }
    chosen = {
        ", ".join(axis.phrase(run.spec.value(key)) for key, axis in axes.items()): run.chosen
        for run in runs
    }
    keys = dict.fromkeys(key for run in runs for key in run.chosen)
    names = ", ".join(key_label(key) for key in keys)
    rows = [[who or "the network", choice_text(choice)] for who, choice in chosen.items()]
    return (
        f"Chosen for each by the accuracy on the validation samples, mean over the seeds: {names}."
        f"\n\n{table(['', 'chosen'], rows[:MAX_ROWS])}"
    )


def _heading(runs: Sequence[SweepRun]) -> str:
    axes = swept_axes([run.spec for run in runs])
    parts = [_named_values(axis) for key, axis in axes.items() if key != "seed"]
    if seeds := axes.get("seed"):
        parts.append(f"{len(seeds.values)} seeds")
    return "Sweep of " + (" x ".join(parts) or "one configuration")


def _named_values(axis: Axis) -> str:
    if len(axis.values) <= 4:
        return f"{axis.name} ({', '.join(axis.text(value) for value in axis.values)})"
    first, last = axis.text(axis.values[0]), axis.text(axis.values[-1])
    return f"{axis.name} ({len(axis.values)} values, {first} to {last})"


def _missing(runs: Sequence[SweepRun]) -> str:
    lines = [f"Without a result, and left out of what follows: {counted(len(runs), 'run')}.", ""]
    for run in runs[:MAX_NAMES]:
        why = f", {run.reason}" if run.reason else ""
        lines.append(f"- `{run.spec.name}`: {run.status}{why}")
    if len(runs) > MAX_NAMES:
        lines.append(f"- and {len(runs) - MAX_NAMES} more, in results.csv")
    return "\n".join(lines)
