"""The summary of a sweep: its answer first, then a section for each figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnsweep.records import SweepRun, with_results
from bnsweep.report.claims import choice_text
from bnsweep.report.comparison import Axis, swept_axes
from bnsweep.report.estimates import CONFIDENCE, MIN_SEEDS
from bnsweep.report.findings import Findings
from bnsweep.report.labels import key_label, setting
from bnsweep.report.markdown import long_table
from bnsweep.report.measures import LEARNS
from bnsweep.report.sections import SweepFigure
from bnsweep.report.words import capitalised, counted, in_words

MAX_NAMES = 10


@dataclass(frozen=True)
class Section:
    """A part of the summary, in Markdown.

    Attributes:
        title: its heading.
        paragraphs: its text and its tables.
        figure: the name of the figure that belongs here; empty if there is none.
    """

    title: str
    paragraphs: Sequence[str]
    figure: str = ""


@dataclass(frozen=True)
class Summary:
    """What a sweep has shown, in Markdown.

    Attributes:
        title: what was compared.
        paragraphs: the answer, how the runs ended, and what holds for all numbers.
        sections: the rest.
    """

    title: str
    paragraphs: Sequence[str]
    sections: Sequence[Section]

    def text(self, drawn: Mapping[str, Sequence[Path]]) -> str:
        """Return all but the title; `drawn` holds the files of each figure, by its name."""
        parts = [*self.paragraphs]
        for section in self.sections:
            if section.paragraphs:
                files = ", ".join(f"figures/{path.name}" for path in drawn.get(section.figure, ()))
                parts.append(f"## {section.title}" + (f" ({files})" if files else ""))
                parts += section.paragraphs
        return "\n\n".join(parts) + "\n"

    def markdown(self, drawn: Mapping[str, Sequence[Path]]) -> str:
        """Return the whole of `summary.md`."""
        return f"# {self.title}\n\n{self.text(drawn)}"


def summarise(findings: Findings, figures: Sequence[SweepFigure]) -> Summary:
    """Return the summary of a sweep, with a section for each of the figures."""
    runs = findings.compared
    parts, sections = [*findings.answer, findings.how_runs_ended], []
    if findings.missing:
        parts.append(_missing(findings.missing))
    if runs:
        parts.append(f"The same in all runs: {setting(with_results(findings.runs))}.")
        parts.append(_how_to_read(findings))
        with_gaps = any(figure.name == "generalization_gap" for figure in figures)
        sections += _claims(findings, with_gaps=with_gaps)
        if any(run.chosen for run in runs):
            sections.append(Section("Chosen on the validation samples", _choices(runs)))
        for figure in figures:
            texts = [text for text in figure.section(runs) if text]
            sections.append(Section(figure.title, texts, figure.name))
    return Summary(_heading(findings.runs), parts, sections)


def _how_to_read(findings: Findings) -> str:
    """Return how the numbers of this sweep are defined."""
    results = with_results(findings.compared)
    text = [f"A network *learns* where its training accuracy ends at {LEARNS} or more."]
    if len({result.spec.seed for result in results}) > 1:
        text.append(
            f"Intervals are Student's, at {CONFIDENCE * 100:.0f} % over the seeds; differences are "
            f"those of runs of one seed, and a verdict takes {MIN_SEEDS} seeds. Where a claim is "
            "judged for several pairs or scales, its intervals hold for all of them at once."
        )
    elif findings.claims:
        text.append(f"A verdict takes {MIN_SEEDS} seeds.")
    if any(result.status == "diverged" for result in results):
        text.append("A run that diverged counts with its last accuracies.")
    return " ".join(text)


def _claims(findings: Findings, *, with_gaps: bool) -> list[Section]:
    """Return the claims that the answer does not mention, and the tables of all claims."""
    claims, paragraphs = findings.claims, []
    if with_gaps and not findings.swept_dropout:
        claims = [*claims, *findings.gap_claims]
    for claim in claims:
        new = [] if claim.text in findings.answer else [claim.outcome]
        if new or claim.table:
            paragraphs += [f"### {capitalised(claim.claimed)}", *new, *claim.table]
    sections = [Section("Claims", paragraphs)] if paragraphs else []
    compared = [text for claim in findings.on_test for text in claim.table]
    if compared and not findings.claims:
        sections.append(Section("Test accuracy, pair by pair", compared))
    return sections


def _choices(runs: Sequence[SweepRun]) -> list[str]:
    """Return what was chosen for each combination of the other keys."""
    axes = {
        key: axis for key, axis in swept_axes([run.spec for run in runs]).items() if key != "seed"
    }
    chosen = {
        ", ".join(axis.phrase(run.spec.value(key)) for key, axis in axes.items()): run.chosen
        for run in runs
    }
    names = in_words(
        [key_label(key) for key in dict.fromkeys(key for run in runs for key in run.chosen)]
    )
    rows = [[who or "the network", choice_text(choice)] for who, choice in chosen.items()]
    note = f"The {names} with the highest accuracy there, mean over the seeds, of each network."
    return [note, *long_table(["", "chosen"], rows, "row")]


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
