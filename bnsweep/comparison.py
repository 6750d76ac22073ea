"""What a sweep compares: the key that spans the panels, those of the lines, and the seeds.

All of it is read off the keys that were swept and their values; no experiment is known by
its name.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from bnsweep.config import deciding_part, flatten
from bnsweep.labels import Value, frozen, is_number, key_label, key_name, look_up, value_label
from bnsweep.results import RunResult

MODEL_KEYS = ("model", "model.batch_norm")
SPEAKING_KEYS = ("model", "optimizer", "data", "model.activation")  # "adam" says what it is
MAX_HUES = 8
MAX_DASHES = 4

Place = tuple[Value, tuple[Value, ...]]


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep: its place, the value of each swept key, and what came out.

    `swept` maps each swept key to its value as typed in the configuration; for a config group
    (`model`, `optimizer`, `data`) that is the option's name. A `reused` run was not run again:
    an earlier one with the same fingerprint stands for it.
    """

    number: int
    name: str
    swept: Mapping[str, Any]
    result: RunResult
    run_id: str | None
    reused: bool = False
    tracked: bool = True

    @property
    def ended(self) -> bool:
        """Whether the run came to its own end, so that its numbers can be compared."""
        return self.result.status in ("finished", "diverged") and bool(self.result.epochs)


@dataclass(frozen=True)
class Axis:
    """A swept key and its values, in the order in which they are shown."""

    key: str
    values: tuple[Value, ...]

    @property
    def label(self) -> str:
        """The key as a reader would call it."""
        return key_label(self.key)

    @property
    def name(self) -> str:
        """The key as a title names it."""
        return key_name(self.key)

    @property
    def numeric(self) -> bool:
        """Whether the values lie on a number line."""
        return all(is_number(value) for value in self.values)

    @cached_property
    def _digits(self) -> int:
        numbers = {value for value in self.values if is_number(value)}
        enough = (n for n in range(3, 17) if len({f"{x:.{n}g}" for x in numbers}) == len(numbers))
        return next(enough, 17)

    def text(self, value: Value) -> str:
        """Return `value` to three significant digits, or as many as tell the values apart."""
        return value_label(value, self._digits)

    def equation(self, value: Value) -> str:
        """Return `value` with the name of its key: `W = 0.0464`."""
        return f"{self.label} = {self.text(value)}"


@dataclass(frozen=True)
class Line:
    """One combination of the keys that are not on the panels.

    Where models are compared, an even `dash` has Batch Normalization and an odd one has not,
    and lines of one `hue` differ in the model only.
    """

    values: tuple[Value, ...]
    label: str
    hue: int
    dash: int
    batch_norm: bool


@dataclass(frozen=True)
class Comparison:
    """The runs of a sweep that ended, each in its place: a value of `across` and a line."""

    across: Axis | None
    line_axes: tuple[Axis, ...]
    lines: tuple[Line, ...]
    cells: Mapping[Place, tuple[RunResult, ...]]

    @property
    def values(self) -> tuple[Value, ...]:
        """What the panels stand for; a single None when one panel holds everything."""
        return self.across.values if self.across else (None,)

    def results(self, value: Value, line: Line) -> tuple[RunResult, ...]:
        """Return the runs of one place, which differ in their seeds only."""
        return self.cells.get((value, line.values), ())

    @property
    def repeats(self) -> int:
        """The largest number of runs in one place."""
        return max((len(results) for results in self.cells.values()), default=0)

    @property
    def model_axis(self) -> int | None:
        """Which of `line_axes` chooses between models."""
        return next((i for i, axis in enumerate(self.line_axes) if axis.key in MODEL_KEYS), None)

    @property
    def normalisation_differs(self) -> bool:
        """Whether some lines have Batch Normalization and others have not."""
        return len({line.batch_norm for line in self.lines}) == 2

    def changed(self, line: Line, index: int, value: Value) -> Line | None:
        """Return the line that has `value` at `index` and is else as `line`, if there is one."""
        wanted = (*line.values[:index], value, *line.values[index + 1 :])
        return next((other for other in self.lines if other.values == wanted), None)

    def pairs(self) -> list[tuple[Line, Line]]:
        """Return each line with Batch Normalization with each one that lacks nothing but that."""
        if (model := self.model_axis) is None:
            return []
        models = self.line_axes[model].values
        found = (
            (line, self.changed(line, model, value))
            for line in self.lines
            if line.batch_norm
            for value in models
        )
        return [(line, other) for line, other in found if other and not other.batch_norm]


def swept_axes(runs: Sequence[SweepRun]) -> dict[str, Axis]:
    """Return the keys that take more than one value in `runs`, in order of appearance."""
    keys = list(dict.fromkeys(key for run in runs for key in run.swept))
    keys += distinguishing_keys(runs, keys)
    axes = {key: Axis(key, _ordered(key, (_value(run, key) for run in runs))) for key in keys}
    return {key: axis for key, axis in axes.items() if len(axis.values) > 1}


def distinguishing_keys(runs: Sequence[SweepRun], keys: Sequence[str]) -> list[str]:
    """Return the further keys that part runs which `keys` would take for repetitions.

    With them, runs of equal values differ in their seeds, and in keys that do nothing, alone.
    Each of them is the one that parts most of what the keys before it leave together.
    """
    places = [tuple(_value(run, key) for key in keys if key != "seed") for run in runs]
    settings = _settings([run.result for run in runs])
    candidates = list(dict.fromkeys(key for setting in settings for key in setting))
    pairs = list(zip(places, settings, strict=True))
    distinct = len({(place, frozenset(setting.items())) for place, setting in pairs})
    found: list[str] = []
    while len({place for place, _ in pairs}) < distinct:
        parted = {key: [(*place, s.get(key)) for place, s in pairs] for key in candidates}
        found.append(max(candidates, key=lambda key: len(set(parted[key]))))
        pairs = list(zip(parted[found[-1]], settings, strict=True))
    return found


def _settings(results: Sequence[RunResult]) -> list[dict[str, Value]]:
    """Return what decides each result's numbers, but for the seed, by its dotted keys.

    The place of the data counts where nothing else explains that fingerprints differ: other
    data lie there.
    """
    settings = [
        {
            key: frozen(value)
            for key, value in flatten(deciding_part(result.config)).items()
            if key != "seed" and value is not None
        }
        for result in results
    ]
    explained = {
        (result.config.get("seed"), frozenset(setting.items()))
        for result, setting in zip(results, settings, strict=True)
    }
    if len({result.fingerprint for result in results}) > len(explained):
        for result, setting in zip(results, settings, strict=True):
            setting["data.root"] = look_up(result.config, "data.root")
    return settings


def compare(
    runs: Sequence[SweepRun], *, overlay: Literal["no", "names", "all"] = "no"
) -> Comparison:
    """Arrange the runs of a sweep: one key across, the others as lines, `seed` within them.

    Across go the weight scales, else the numeric key with most values, else the key with most
    values that is not the model. With `overlay` of `all`, none goes across; of `names`, not
    the few values of a single key that span no number line (`optimizer=sgd,adam`).
    """
    axes = [axis for key, axis in swept_axes(runs).items() if key != "seed"]
    across = max(axes, key=_fitness_to_go_across, default=None)
    few_names = len(axes) == 1 and not axes[0].numeric and len(axes[0].values) <= MAX_HUES
    if overlay == "all" or (overlay == "names" and few_names):
        across = None
    others = [axis for axis in axes if axis is not across]

    cells: dict[Place, list[RunResult]] = {}
    for run in (run for run in runs if run.ended):
        value = _value(run, across.key) if across else None
        line = tuple(_value(run, axis.key) for axis in others)
        cells.setdefault((value, line), []).append(run.result)
    return _with_lines(
        Comparison(across, tuple(others), (), {place: tuple(r) for place, r in cells.items()})
    )


def _value(run: SweepRun, key: str) -> Value:
    return frozen(run.swept[key]) if key in run.swept else look_up(run.result.config, key)


def _ordered(key: str, values: Iterable[Value]) -> tuple[Value, ...]:
    """Numbers by size, the weight scales from the largest as the chapter has them; then names."""
    distinct = list(dict.fromkeys(values))
    numbers = sorted((v for v in distinct if is_number(v)), reverse=key == "weight_std")
    return (*numbers, *(v for v in distinct if not is_number(v)))


def _fitness_to_go_across(axis: Axis) -> tuple[bool, bool, bool, int]:
    return (
        axis.key == "weight_std",
        axis.numeric,
        axis.key not in MODEL_KEYS,
        len(axis.values),
    )


def _with_lines(comparison: Comparison) -> Comparison:
    """Return `comparison` with the lines that its cells hold, and a style for each."""
    axes, model = comparison.line_axes, comparison.model_axis
    present = {line for _, line in comparison.cells}
    normalised = {
        line
        for (_, line), results in comparison.cells.items()
        if any(look_up(result.config, "model.batch_norm") is True for result in results)
    }
    combinations = [
        line for line in itertools.product(*(a.values for a in axes)) if line in present
    ]
    if model is None:
        styles = {line: (i, i % MAX_DASHES) for i, line in enumerate(combinations)}
    else:
        dashes: dict[Value, int] = {}
        for parity, group in enumerate((normalised, present - normalised)):
            models = [v for v in axes[model].values if v in {line[model] for line in group}]
            dashes |= {v: parity + 2 * i for i, v in enumerate(models) if v not in dashes}
        kin = {line: (*line[:model], *line[model + 1 :]) for line in combinations}
        hues = {others: i for i, others in enumerate(dict.fromkeys(kin.values()))}
        alone = len(axes) == 1
        styles = {
            line: (dashes[line[model]] if alone else hues[kin[line]], dashes[line[model]])
            for line in combinations
        }
    lines = (
        Line(
            values=line,
            label=", ".join(_part(axis, value) for axis, value in zip(axes, line, strict=True)),
            hue=hue,
            dash=dash,
            batch_norm=line in normalised,
        )
        for line, (hue, dash) in styles.items()
    )
    return replace(comparison, lines=tuple(sorted(lines, key=lambda line: (line.hue, line.dash))))


def _part(axis: Axis, value: Value) -> str:
    speaks_for_itself = isinstance(value, str) and axis.key in SPEAKING_KEYS
    if speaks_for_itself:
        return axis.text(value)
    return axis.equation(value) if len(axis.label) == 1 else f"{axis.label} {axis.text(value)}"
