"""What a sweep compares: one key across the panels, the other keys as lines, seeds in each place.

This follows from the swept keys and their values alone; no experiment is known by its name.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from bnsweep.records import RunResult, RunSpec, SweepRun, with_results
from bnsweep.records.keys import Value, dependents, hashable, is_number
from bnsweep.report.labels import key_label, key_name, phrase, value_label

MODEL_KEYS = ("model", "model.batch_norm")
# Values of these keys need no name before them: "adam", not "optimizer adam".
SELF_EXPLANATORY_KEYS = ("model", "optimizer", "data", "model.activation")
MAX_OVERLAID = 8

Values = tuple[Value, ...]  # of a line's keys
Place = tuple[Value, Values]  # the value across and the line
Items = frozenset[tuple[str, Value]]  # keys with their values


@dataclass(frozen=True)
class Axis:
    """A swept key and its values, in the order of display."""

    key: str
    values: tuple[Value, ...]

    @property
    def label(self) -> str:
        """The key's short name."""
        return key_label(self.key)

    @property
    def name(self) -> str:
        """The key's name in a title."""
        return key_name(self.key)

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(is_number(value) for value in self.values)

    @cached_property
    def _digits(self) -> int:
        numbers = {value for value in self.values if is_number(value)}
        enough = (n for n in range(3, 15) if len({f"{x:.{n}g}" for x in numbers}) == len(numbers))
        return next(enough, 15)

    def text(self, value: Value) -> str:
        """Return `value` to three significant digits, or as many as distinguish the values."""
        return value_label(value, self._digits)

    def equation(self, value: Value) -> str:
        """Return `value` with the name of its key: `W = 0.0464`."""
        return f"{self.label} = {self.text(value)}"

    def phrase(self, value: Value) -> str:
        """Return `value` for a line's label: after its key, unless the value needs no name."""
        if isinstance(value, str) and self.key in SELF_EXPLANATORY_KEYS:
            return self.text(value)
        return phrase(self.label, self.text(value))


@dataclass(frozen=True)
class Line:
    """One combination of the keys that are not on the panels.

    Attributes:
        values: the combination.
        label: its name.
        kin: a number shared by the lines that differ only in the model.
        variant: the number of its model among its kin: even with Batch Normalization, odd
            without it.
        batch_norm: whether it has Batch Normalization.
        model: the name of its model.
    """

    values: tuple[Value, ...]
    label: str
    kin: int
    variant: int
    batch_norm: bool
    model: str


@dataclass(frozen=True)
class Comparison:
    """The runs of a sweep that ended, each in its place: a value of `across` and a line.

    The values of the keys in `free` were chosen for each place separately.
    """

    across: Axis | None
    line_axes: tuple[Axis, ...]
    lines: tuple[Line, ...]
    cells: Mapping[Place, tuple[RunResult, ...]]
    free: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[Value, ...]:
        """The values of the panels; a single None if there is only one panel."""
        return self.across.values if self.across else (None,)

    def results(self, value: Value, line: Line) -> tuple[RunResult, ...]:
        """Return the runs of one place, which differ only in their seeds."""
        return self.cells.get((value, line.values), ())

    @property
    def repeats(self) -> int:
        """The largest number of runs in one place."""
        return max((len(results) for results in self.cells.values()), default=0)

    @property
    def model_axis(self) -> int | None:
        """The index of the axis in `line_axes` that chooses between models."""
        return next((i for i, axis in enumerate(self.line_axes) if axis.key in MODEL_KEYS), None)

    def row_axis(self, most: int) -> Axis | None:
        """Return the key by which to split more than `most` lines; None if there are not so many.

        It is never the model: it is the key with the fewest values that leaves no more than
        `most` lines, or else the one with the most values.
        """
        axes = [axis for axis in self.line_axes if axis.key not in MODEL_KEYS]
        if len(self.lines) <= most or not axes:
            return None
        enough = [axis for axis in axes if len(self.lines) <= most * len(axis.values)]
        fewest = min(enough, key=lambda axis: len(axis.values), default=None)
        return fewest or max(axes, key=lambda axis: len(axis.values))

    def split(self, axis: Axis) -> tuple["Comparison", ...]:
        """Return a comparison for each value of a key of the lines.

        All have the same lines, without the key.
        """
        at = self.line_axes.index(axis)
        by_value: dict[Value, dict[Place, tuple[RunResult, ...]]] = {v: {} for v in axis.values}
        for (value, line), results in self.cells.items():
            by_value[line[at]][value, (*line[:at], *line[at + 1 :])] = results
        union = {place: results for cells in by_value.values() for place, results in cells.items()}
        rest = (*self.line_axes[:at], *self.line_axes[at + 1 :])
        whole = _with_lines(Comparison(self.across, rest, (), union, self.free))
        return tuple(replace(whole, cells=cells) for cells in by_value.values())

    def only(self, axis: Axis, values: Collection[Value]) -> "Comparison":
        """Return the comparison of the runs with some of the values of one key."""
        fewer = replace(axis, values=tuple(value for value in axis.values if value in values))
        if axis == self.across:
            cells = {place: r for place, r in self.cells.items() if place[0] in values}
            return _with_lines(replace(self, across=fewer, cells=cells))
        at = self.line_axes.index(axis)
        cells = {place: r for place, r in self.cells.items() if place[1][at] in values}
        axes = (*self.line_axes[:at], fewer, *self.line_axes[at + 1 :])
        return _with_lines(replace(self, line_axes=axes, cells=cells))

    @property
    def seeds(self) -> str:
        """How many runs there are in a place: `10`, or `1 to 10` if some are missing."""
        counts = {len(results) for results in self.cells.values()} or {0}
        return " to ".join(str(n) for n in sorted({min(counts), max(counts)}))

    @property
    def together(self) -> int:
        """How many lines differ in nothing but the model; 1 if there is nothing but the model."""
        several = any(line.kin for line in self.lines)
        return len({line.variant for line in self.lines}) if several else 1

    @property
    def normalisation_differs(self) -> bool:
        """Whether some lines have Batch Normalization and others do not."""
        return len({line.batch_norm for line in self.lines}) == 2

    def changed(self, line: Line, index: int, value: Value) -> Line | None:
        """Return the line with `value` at `index` and otherwise the values of `line`, if any."""
        values = (*line.values[:index], value, *line.values[index + 1 :])
        return next((other for other in self.lines if other.values == values), None)

    def contrast(self, key: str) -> list[tuple[Line, Line]]:
        """Return the pairs of lines that differ in `key` and in nothing else.

        The configurations that were run count, not the names of the lines. Keys that do nothing
        unless `key` is set may differ too, and so may those in `free`. A line is paired with the
        candidates that share the most swept values with it, and pairs of equal configurations
        appear once. The first of a pair has the value of `key` that is on, the smaller number, or
        the name that comes first in the alphabet.
        """
        allowed = {key, *dependents(lambda needed: needed == key), *self.free}
        # Only lines that agree somewhere in all other keys can be a pair: look up, not compare all.
        fixed = {
            line: [
                (value, frozenset(item for item in items if not _within(item[0], allowed)))
                for value, items in self._settings[line.values].items()
            ]
            for line in self.lines
        }
        agreeing: dict[tuple[Value, Items], list[Line]] = {}
        for line, places in fixed.items():
            for place in places:
                agreeing.setdefault(place, []).append(line)
        pairs: dict[tuple[frozenset[tuple[Value, Items]], ...], tuple[Line, Line]] = {}
        for line, places in fixed.items():
            others = [
                other
                for other in dict.fromkeys(other for place in places for other in agreeing[place])
                if _rank(self._value_of(line, key)) < _rank(self._value_of(other, key))
                and all(_within(name, allowed) for name in self._differing(line, other))
            ]
            nearest = max((_in_common(line, other) for other in others), default=0)
            for other in others:
                if _in_common(line, other) == nearest:
                    configurations = tuple(
                        frozenset(self._settings[each.values].items()) for each in (line, other)
                    )
                    pairs.setdefault(configurations, (line, other))
        return list(pairs.values())

    @cached_property
    def with_and_without(self) -> list[tuple[Line, Line]]:
        """The pairs that differ only in Batch Normalization: with it, without it."""
        return self.contrast("model.batch_norm")

    def _differing(self, line: Line, other: Line) -> set[str]:
        """Return the keys in which the runs of two lines differ, at the values that both have."""
        ours, theirs = self._settings[line.values], self._settings[other.values]
        return {
            key for value in ours.keys() & theirs.keys() for key, _ in ours[value] ^ theirs[value]
        }

    @cached_property
    def _settings(self) -> dict[Values, dict[Value, Items]]:
        """The settings of each line's runs, by the value across."""
        by_line: dict[Values, dict[Value, Items]] = {}
        settings = _settings([results[0].spec for results in self.cells.values()])
        for (value, line), setting in zip(self.cells, settings, strict=True):
            by_line.setdefault(line, {})[value] = frozenset(setting.items())
        return by_line

    def _value_of(self, line: Line, key: str) -> Value:
        results = next(r for v in self.values if (r := self.results(v, line)))
        return results[0].spec.value(key)


def _within(key: str, keys: Collection[str]) -> bool:
    """Whether `key` is one of `keys` or lies below one."""
    return any(key == other or key.startswith(f"{other}.") for other in keys)


def _in_common(line: Line, other: Line) -> int:
    return sum(a == b for a, b in zip(line.values, other.values, strict=True))


def _rank(value: Value) -> tuple[int, Value]:
    """Return the sorting key of a value: true, numbers by size, names, false, none."""
    if value is True:
        return 0, 0
    if is_number(value):
        return 1, value
    if value is False or value is None:
        return 3, value is None
    return 2, str(value)


def swept_axes(specs: Sequence[RunSpec]) -> dict[str, Axis]:
    """Return the keys that take more than one value, in order of appearance."""
    keys = list(dict.fromkeys(key for spec in specs for key in spec.swept))
    differing = list({_but_for_the_seed(spec): spec for spec in specs}.values())
    keys += distinguishing_keys(differing, keys)
    axes = {
        key: ordered_axis(key, (s.value(key) for s in (specs if key == "seed" else differing)))
        for key in keys
    }
    return {key: axis for key, axis in axes.items() if len(axis.values) > 1}


def _but_for_the_seed(spec: RunSpec) -> str:
    """Return a text that is the same for runs that differ in nothing but the seed."""
    parts = spec.config, spec.swept, spec.options
    return repr([[item for item in part.items() if item[0] != "seed"] for part in parts])


def distinguishing_keys(specs: Sequence[RunSpec], keys: Sequence[str]) -> list[str]:
    """Return the further keys that distinguish runs of equal `keys` and different settings.

    Together with `keys` they leave only repetitions: runs of equal values differ in their seeds
    and in keys that do nothing. Each is the one that splits the runs into the most groups.
    """
    places = [tuple(spec.value(key) for key in keys if key != "seed") for spec in specs]
    settings = _settings(specs)
    candidates = list(dict.fromkeys(key for setting in settings for key in setting))
    pairs = list(zip(places, settings, strict=True))
    distinct = len({(place, frozenset(setting.items())) for place, setting in pairs})
    further: list[str] = []
    while len({place for place, _ in pairs}) < distinct:
        split = {key: [(*place, s.get(key)) for place, s in pairs] for key in candidates}
        further.append(max(candidates, key=lambda key: len(set(split[key]))))
        pairs = list(zip(split[further[-1]], settings, strict=True))
    return further


def _settings(specs: Sequence[RunSpec]) -> list[dict[str, Value]]:
    """Return the settings that decide each run's numbers, except the seed, by dotted key.

    The place of the data counts if nothing else explains why fingerprints differ: the data do.
    """
    settings = [
        {key: hashable(value) for key, value in spec.settings.items() if value is not None}
        for spec in specs
    ]
    explained = {
        (spec.seed, frozenset(setting.items()))
        for spec, setting in zip(specs, settings, strict=True)
    }
    if len({spec.fingerprint for spec in specs}) > len(explained):
        for spec, setting in zip(specs, settings, strict=True):
            setting["data.root"] = spec.value("data.root")
    return settings


def compare(
    runs: Sequence[SweepRun], *, overlay: Literal["no", "names", "all"] = "no"
) -> Comparison:
    """Arrange the runs of a sweep: one key across, the others as lines, seeds in each place.

    The key across is the weight scale if it has three values or more, else a numeric key (the
    weight scale before others), else the weight scale, else a key other than the model; of
    equals, the one with the most values. With `overlay="all"` no key goes across; with
    `overlay="names"` a single key with few values that are not all numbers
    (`optimizer=sgd,adam`) does not.
    """
    axes = [axis for key, axis in swept_axes([run.spec for run in runs]).items() if key != "seed"]
    across = max(axes, key=_panel_priority, default=None)
    few_names = len(axes) == 1 and not axes[0].numeric and len(axes[0].values) <= MAX_OVERLAID
    if overlay == "all" or (overlay == "names" and few_names):
        across = None
    others = [axis for axis in axes if axis is not across]

    cells: dict[Place, dict[Value, RunResult]] = {}
    for result in with_results(runs):
        spec = result.spec
        value = spec.value(across.key) if across else None
        line = tuple(spec.value(axis.key) for axis in others)
        # A seed given twice is one run, not a repetition.
        cells.setdefault((value, line), {}).setdefault(spec.seed, result)
    free = tuple(dict.fromkeys(key for run in runs for key in run.chosen))
    filled = {place: tuple(by_seed.values()) for place, by_seed in cells.items()}
    return _with_lines(Comparison(across, tuple(others), (), filled, free))


def choose(runs: Sequence[SweepRun], keys: Collection[str]) -> list[SweepRun]:
    """Return the runs with the best values of `keys`, for each combination of the other keys.

    The best values have the highest accuracy on the validation samples after the last epoch,
    averaged over the seeds that all of them have; of equals the one with more seeds wins, then
    the first. The values move from each run's `swept` to its `chosen`. Runs that did not end are
    left out.

    Without `keys`, return all runs as they are.

    Raises:
        ValueError: a run has no validation samples.
    """
    if not keys:
        return list(runs)
    groups: dict[Items, dict[Items, dict[Value, SweepRun]]] = {}
    for run in (run for run in runs if run.comparable):
        if run.result is None or "validation_accuracy" not in run.result.curves:
            raise ValueError("data.validation_size: not all runs have samples to choose by")
        swept = {k: hashable(v) for k, v in run.spec.swept.items() if k != "seed"}
        others = frozenset(item for item in swept.items() if item[0] not in keys)
        picked = frozenset(item for item in swept.items() if item[0] in keys)
        by_seed = groups.setdefault(others, {}).setdefault(picked, {})
        by_seed.setdefault(run.spec.seed, run)
    return [
        _without_keys(run, keys)
        for candidates in groups.values()
        for run in _best(list(candidates.values())).values()
    ]


def _without_keys(run: SweepRun, keys: Collection[str]) -> SweepRun:
    """Return `run` with its values of `keys` moved from `swept` to `chosen`."""
    swept = {key: value for key, value in run.spec.swept.items() if key not in keys}
    chosen = {key: value for key, value in run.spec.swept.items() if key in keys}
    return replace(run.with_swept(swept), chosen={**run.chosen, **chosen})


def _best(candidates: Sequence[Mapping[Value, SweepRun]]) -> Mapping[Value, SweepRun]:
    """Return the candidate that is best on the validation samples; each is its runs by seed."""
    shared = set.intersection(*(set(runs) for runs in candidates))

    def accuracy(runs: Mapping[Value, SweepRun]) -> tuple[float, int]:
        seeds = shared or set(runs)
        results = [result for seed in seeds if (result := runs[seed].result) is not None]
        return math.fsum(r.last("validation_accuracy") for r in results) / len(seeds), len(runs)

    return max(candidates, key=accuracy)


def ordered_axis(key: str, values: Iterable[Value]) -> Axis:
    """Return a key with its values: numbers by size, weight scales from the largest, then names."""
    distinct = list(dict.fromkeys(values))
    numbers = sorted((v for v in distinct if is_number(v)), reverse=key == "weight_std")
    return Axis(key, (*numbers, *(v for v in distinct if not is_number(v))))


def _panel_priority(axis: Axis) -> tuple[bool, bool, bool, bool, int]:
    scales = axis.key == "weight_std"
    # A few names such as `he` are no range: a numeric key is better across.
    return (
        scales and len(axis.values) > 2,
        axis.numeric,
        scales,
        axis.key not in MODEL_KEYS,
        len(axis.values),
    )


def _with_lines(comparison: Comparison) -> Comparison:
    """Return `comparison` with the lines that its cells have, sorted by kin and model."""
    axes, model = comparison.line_axes, comparison.model_axis
    present = {line for _, line in comparison.cells}
    normalised: set[Values] = set()
    models: dict[Values, str] = {}
    for (_, line), results in comparison.cells.items():
        models.setdefault(line, results[0].spec.model)
        if line not in normalised and results[0].spec.batch_norm:  # as in its other seeds
            normalised.add(line)
    combinations = [
        line for line in itertools.product(*(a.values for a in axes)) if line in present
    ]
    variants: dict[Value, int] = {}
    if model is not None:
        for parity, group in enumerate((normalised, present - normalised)):
            of_group = [v for v in axes[model].values if v in {line[model] for line in group}]
            variants |= {v: parity + 2 * i for i, v in enumerate(of_group) if v not in variants}
    kin_of = {
        line: line if model is None else (*line[:model], *line[model + 1 :])
        for line in combinations
    }
    kins = {kin: i for i, kin in enumerate(dict.fromkeys(kin_of.values()))}
    lines = (
        Line(
            values=line,
            label=", ".join(axis.phrase(value) for axis, value in zip(axes, line, strict=True)),
            kin=kins[kin_of[line]],
            variant=0 if model is None else variants[line[model]],
            batch_norm=line in normalised,
            model=models[line],
        )
        for line in combinations
    )
    in_order = sorted(lines, key=lambda line: (line.kin, line.variant))
    return replace(comparison, lines=tuple(in_order))
