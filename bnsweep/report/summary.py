"""What came out of a sweep, in words and tables: the Markdown text beside its figures."""

from collections import Counter
from collections.abc import Callable, Sequence

from bnsweep import measures
from bnsweep.comparison import Axis, Line, SweepRun, compare, swept_axes
from bnsweep.labels import Value, look_up, setting
from bnsweep.measures import IN_PART, LEARNS, TARGET
from bnsweep.report import claims, gaps
from bnsweep.report.markdown import listing, table, with_range

MAX_ROWS = 40
MAX_COLUMNS = 4
MAX_NAMES = 10

THRESHOLDS = (
    f"A network *learns* where its final training accuracy, averaged over the seeds, is at "
    f"least {LEARNS}, and learns *in part* from {IN_PART}."
)


def summarise(runs: Sequence[SweepRun], figures: Sequence[str]) -> str:
    """Return the summary of a sweep, with a section for each of the named figures."""
    parts = [f"# {_heading(runs)}", _outcome(runs)]
    if missing := [run for run in runs if not run.ended]:
        parts.append(_missing(missing))
    ended = [run for run in runs if run.ended]
    if ended:
        parts.append(f"The same in all runs: {setting([run.result for run in ended])}.")
        if {"curves", "epochs_to_target"} & {*figures} and compare(ended).across:
            parts.append(THRESHOLDS)
        for name in figures:
            title, section = SECTIONS[name]
            if text := section(ended):
                parts.append(f"## {title}\n\n{text}")
    return "\n\n".join(parts) + "\n"


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


def _outcome(runs: Sequence[SweepRun]) -> str:
    found = Counter("reused" if run.reused else run.result.status for run in runs)
    order = ("finished", "diverged", "reused", "failed", "killed")
    listed = ", ".join(f"{found[status]} {status}" for status in order if found[status])
    return f"{_counted(len(runs))}: {listed}." if runs else "No runs."


def _missing(runs: Sequence[SweepRun]) -> str:
    lines = [f"Without a result, and left out of what follows: {_counted(len(runs))}.", ""]
    for run in runs[:MAX_NAMES]:
        error = (run.result.error or "").strip().splitlines()
        lines.append(f"- `{run.name}`: {run.result.status}" + (f", {error[-1]}" if error else ""))
    if len(runs) > MAX_NAMES:
        lines.append(f"- and {len(runs) - MAX_NAMES} more, in results.csv")
    return "\n".join(lines)


def _which_learn(runs: Sequence[SweepRun]) -> str:
    """Say at which values each line learns, in part learns, or does not."""
    comparison = compare(runs)
    if not comparison.across:
        results = [run.result for run in runs]
        train = measures.final(measures.accuracy_on_train, results)
        test = measures.final(measures.accuracy_on_test, results)
        return f"Final accuracy: {with_range(train)} on training, {with_range(test)} on test set."
    axis, lines = comparison.across, []
    for line in comparison.lines:
        finals = claims.finals(comparison, line)
        learn = [value for value, spread in finals.items() if spread.mean >= LEARNS]
        partly = [v for v, spread in finals.items() if IN_PART <= spread.mean < LEARNS]
        text = f"- {_who(line)} learns at {len(learn)} of {len(finals)} values of {axis.label}"
        text += f" ({listing(axis, learn)})" if 0 < len(learn) < len(finals) else ""
        text += f", in part at {listing(axis, partly)}" if partly else ""
        lines.append(text + ".")
    return "\n".join([*lines, *_after_blank(claims.initial_weights(comparison))])


def _final_table(runs: Sequence[SweepRun]) -> str:
    comparison = compare(runs)
    axis = comparison.across
    if not axis:
        return ""

    def cell(value: Value, line: Line) -> str:
        results = comparison.results(value, line)
        if not results:
            return "-"
        train = measures.final(measures.accuracy_on_train, results)
        test = measures.final(measures.accuracy_on_test, results)
        diverged = sum(result.status == "diverged" for result in results)
        of = f" of {len(results)}" if len(results) > 1 else ""
        mark = f", {diverged}{of} diverged" if diverged else ""
        return f"{with_range(train)} / {with_range(test)}{mark}"

    lines, values = comparison.lines, axis.values
    if len(lines) <= MAX_COLUMNS:
        head = [axis.label, *(_who(line) for line in lines)]
        rows = [[axis.text(v), *(cell(v, line) for line in lines)] for v in values]
    elif len(values) <= MAX_COLUMNS:
        head = ["", *(axis.equation(value) for value in values)]
        rows = [[_who(line), *(cell(v, line) for v in values)] for line in lines]
    if min(len(lines), len(values)) > MAX_COLUMNS or len(rows) > MAX_ROWS:
        return f"{len(runs)} runs are too many for a table here: results.csv has them all."
    note = "Final accuracy on training / test set"
    if comparison.repeats > 1:
        note += f", mean of {comparison.repeats} seeds (smallest to largest)"
    return f"{note}.\n\n{table(head, rows)}"


def _speed(runs: Sequence[SweepRun]) -> str:
    comparison = compare(runs)
    axis = comparison.across
    if not axis:
        return ""
    rows = []
    for line in comparison.lines:
        best = claims.fastest(comparison, line)
        row = [_who(line)]
        if axis.numeric:
            row.append(_or_none(axis, claims.largest(comparison, line, LEARNS)))
            row.append(_or_none(axis, claims.largest(comparison, line, TARGET)))
        row += [axis.text(best[0]), f"{best[1].mean:g}"] if best else ["none", "-"]
        rows.append(row)
    head = [""]
    if axis.numeric:
        head += [f"largest {axis.label} that learns", f"that ends at {TARGET:.0%} or more"]
    head += [f"fastest {axis.label}", f"epochs to {TARGET:.0%} there"]
    note = "Epochs are the median over the seeds." if comparison.repeats > 1 else ""
    sentences = claims.learning_rate(comparison) if axis.key == "optimizer.lr" else []
    return "\n".join([note, "", table(head, rows[:MAX_ROWS]), *_after_blank(sentences)]).strip()


def _gaps(runs: Sequence[SweepRun]) -> str:
    comparison = compare(runs, overlay="all")
    rows = []
    for line in comparison.lines[:MAX_ROWS]:
        results = comparison.results(None, line)
        quantities = (measures.accuracy_on_train, measures.accuracy_on_test, measures.gap)
        spreads = [measures.final(quantity, results) for quantity in quantities]
        rows.append([_who(line), *(with_range(spread) for spread in spreads)])
    parts = [table(["", "training", "test", "gap"], rows)]
    if left := len(comparison.lines) - len(rows):
        parts.append(f"{left} more combinations are in results.csv.")
    for lines in (gaps.gap_changes(comparison), gaps.overfitting(comparison)):
        parts += ["\n".join(lines)] if lines else []
    return "\n\n".join(parts)


def _health(runs: Sequence[SweepRun]) -> str:
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
        head = [axis.label if axis else "", *(_who(line) for line in lines)]
        rows = [[axis.text(v) if axis else "", *(cell(v, line) for line in lines)] for v in values]
    else:
        head = ["", *(axis.equation(v) if axis else "" for v in values)]
        rows = [[_who(line), *(cell(v, line) for v in values)] for line in lines]
    seeds = f", over {comparison.repeats} seeds" if comparison.repeats > 1 else ""
    note = "How many layers are what, before \N{RIGHTWARDS ARROW} after training where that differs"
    return f"{note}{seeds}.\n\n{table(head, rows[:MAX_ROWS])}"


SECTIONS: dict[str, tuple[str, Callable[[Sequence[SweepRun]], str]]] = {
    "curves": ("Training accuracy over the epochs (figures/curves.png)", _which_learn),
    "final_accuracy": ("Final accuracy (figures/final_accuracy.png)", _final_table),
    "epochs_to_target": ("Speed (figures/epochs_to_target.png)", _speed),
    "generalization_gap": ("Generalisation gap (figures/generalization_gap.png)", _gaps),
    "activations": ("Outputs of the hidden layers (figures/activations.png)", _health),
}


def _who(line: Line) -> str:
    return line.label or "the network"


def _or_none(axis: Axis, value: Value) -> str:
    return "none" if value is None else axis.text(value)


def _after_blank(lines: Sequence[str]) -> list[str]:
    return ["", *lines] if lines else []


def _counted(runs: int) -> str:
    return f"{runs} run" + ("s" if runs != 1 else "")
