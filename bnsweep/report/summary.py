"""What came out of a sweep, in words and tables: the Markdown text beside its figures."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from bnsweep.report import claims, gaps, measures
from bnsweep.report.answer import MAX_LINES, answer, claims_of, how_runs_ended, on_test
from bnsweep.report.claims import MAX_PAIRS, choice_text
from bnsweep.report.comparison import Axis, Line, SweepRun, choose, compare, swept_axes
from bnsweep.report.estimates import MIN_SEEDS
from bnsweep.report.final_table import diverged_text, final_table
from bnsweep.report.labels import Value, frozen, key_label, look_up, setting
from bnsweep.report.markdown import counted, table, with_interval
from bnsweep.report.measures import LEARNS, TARGET

MAX_ROWS = 128
MAX_GAPS = 40
MAX_NAMES = 10

THRESHOLDS = (
    f"A network *learns* where its training accuracy ends at {LEARNS} or more. Intervals are "
    f"Student's, at 95 % over the seeds; differences are those of runs of one seed, and a verdict "
    f"takes {MIN_SEEDS} seeds. Where a claim is judged for several pairs or scales, its intervals "
    "hold for all of them at once. A run that diverged counts with its last accuracies."
)


def summarise(
    runs: Sequence[SweepRun], figures: Sequence[str], keys_to_choose: Sequence[str] = ()
) -> str:
    """Return the summary of a sweep: its answer first, then a section for each named figure."""
    ended = [run for run in runs if run.ended]
    shown = choose(ended, keys_to_choose)
    said = answer(shown)
    parts = [f"# {_heading(runs)}", *said, how_runs_ended(runs)]
    if missing := [run for run in runs if not run.ended]:
        parts.append(_missing(missing))
    if ended:
        parts.append(f"The same in all runs: {setting([run.result for run in ended])}.")
        parts.append(THRESHOLDS)
        if any(run.chosen for run in shown):
            parts.append(_choices(shown))
        parts += _claims(shown, said, figures)
        for name in figures:
            title, section = SECTIONS[name]
            if texts := [text for text in section(shown) if text]:
                parts += [f"## {title}", *texts]
    return "\n\n".join(parts) + "\n"


def _claims(runs: Sequence[SweepRun], answered: Sequence[str], figures: Sequence[str]) -> list[str]:
    """Return the section of what was judged and is not told in the answer."""
    judged = claims_of(runs, with_gaps="generalization_gap" in figures)
    texts = [claim.text for claim in judged] or on_test(runs)
    new = [text for text in texts if text not in answered]
    if not new:
        return []
    most = max(Counter(claim.claimed for claim in judged).values(), default=0)
    cut = [f"Each claim is judged for {MAX_PAIRS} pairs at most."] if most >= MAX_PAIRS else []
    return ["## Claims, pair by pair", *cut, *new]


def _choices(runs: Sequence[SweepRun]) -> str:
    """Say what was chosen for each combination of the other keys."""
    axes = {key: axis for key, axis in swept_axes(runs).items() if key != "seed"}
    chosen = {
        ", ".join(axis.phrase(frozen(run.swept[key])) for key, axis in axes.items()): run.chosen
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
    axes = swept_axes(runs)
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
        error = (run.result.error or "").strip().splitlines()
        lines.append(f"- `{run.name}`: {run.result.status}" + (f", {error[-1]}" if error else ""))
    if len(runs) > MAX_NAMES:
        lines.append(f"- and {len(runs) - MAX_NAMES} more, in results.csv")
    return "\n".join(lines)


def _which_learn(runs: Sequence[SweepRun]) -> list[str]:
    """Say at which values each line learns, where the answer has no room for it."""
    learns = claims.where_it_learns(compare(runs))
    return ["\n".join(f"- {text}" for text in learns)] if len(learns) > MAX_LINES else []


def _final_table(runs: Sequence[SweepRun]) -> list[str]:
    found = final_table(compare(runs))
    if len(found.rows) > MAX_ROWS:
        found = replace(found, rows=found.rows[:MAX_ROWS], note=f"{found.note}; first rows")
    return [f"{found.note}.", table(found.head, found.rows)]


def _speed(runs: Sequence[SweepRun]) -> list[str]:
    comparison = compare(runs)
    axis = comparison.across
    if not axis or not axis.numeric:
        return []
    rows = []
    for line in comparison.lines[:MAX_ROWS]:
        row = [line.label or "the network"]
        for threshold in (LEARNS, TARGET):
            largest = claims.largest_rates(comparison, axis, line, threshold).values()
            ends = dict.fromkeys(axis.text(pick(largest)) for pick in (min, max)) if largest else {}
            row += [" to ".join(ends) or "none", str(len(largest))]
        rows.append(row)
    head = ["", f"largest {axis.label} that learns", "seeds"]
    head += [f"that ends at {TARGET:.0%} or more", "seeds"]
    note = "Of each seed the largest; smallest to largest over the seeds that have one."
    return [note, table(head, rows)]


def _gaps(runs: Sequence[SweepRun]) -> list[str]:
    comparison = compare(runs, overlay="all")
    rows = []
    for line in comparison.lines[:MAX_GAPS]:
        results = comparison.results(None, line)
        quantities = (measures.accuracy_on_train, measures.accuracy_on_test, measures.gap)
        estimates = [measures.final(quantity, results) for quantity in quantities]
        train, test, gap = (with_interval(estimate) for estimate in estimates)
        mark = diverged_text(estimates[0].diverged, estimates[0].n)
        rows.append([line.label or "the network", train + mark, test, gap])
    parts = [table(["", "training", "test", "gap"], rows)]
    if left := len(comparison.lines) - len(rows):
        parts.append(f"{left} more combinations are in results.csv.")
    return [*parts, *gaps.changes(comparison)]


def _health(runs: Sequence[SweepRun]) -> list[str]:
    """Count the layers of each place that are collapsed, saturated and so on."""
    comparison = compare(runs)
    axis = comparison.across

    def cell(value: Value, line: Line) -> str:
        before: Counter[str] = Counter()
        after: Counter[str] = Counter()
        for result in comparison.results(value, line):
            activation = str(look_up(result.config, "model.activation"))
            before.update(measures.health(h, activation) for h in result.initial_activations)
            after.update(measures.health(h, activation) for h in result.final_activations)
        stages = [
            ", ".join(f"{n} {kind}" for kind, n in sorted(c.items())) for c in (before, after)
        ]
        return " \N{RIGHTWARDS ARROW} ".join(dict.fromkeys(stages)) or "-"

    lines, values = comparison.lines, comparison.values
    if len(lines) <= len(values):
        head = [axis.label if axis else "", *(claims.who(line) for line in lines)]
        rows = [[axis.text(v) if axis else "", *(cell(v, line) for line in lines)] for v in values]
    else:
        head = ["", *(axis.equation(v) if axis else "" for v in values)]
        rows = [[claims.who(line), *(cell(v, line) for v in values)] for line in lines]
    seeds = f", over {comparison.repeats} seeds" if comparison.repeats > 1 else ""
    note = "How many layers are what, before \N{RIGHTWARDS ARROW} after training where that differs"
    return [f"{note}{seeds}.", table(head, rows[:MAX_GAPS])]


SECTIONS: dict[str, tuple[str, Callable[[Sequence[SweepRun]], list[str]]]] = {
    "curves": ("Training accuracy over the epochs (figures/curves.png)", _which_learn),
    "final_accuracy": ("Final accuracy (figures/final_accuracy.png)", _final_table),
    "epochs_to_target": ("Speed (figures/epochs_to_target.png)", _speed),
    "generalization_gap": ("Generalisation gap (figures/generalization_gap.png)", _gaps),
    "activations": ("Outputs of the hidden layers (figures/activations.png)", _health),
}
