"""What a sweep compares: the key that spans the panels, those of the lines, and the seeds.

All of it is read off the keys that were swept and their values; no experiment is known by
its name.
"""

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from bnsweep.records import RunResult
from bnsweep.report.labels import (
    Value,
    frozen,
    is_number,
    key_label,
    key_name,
    look_up,
    phrase,
    value_label,
)
from bnsweep.run.config import DEPENDENT_KEYS, settings

MODEL_KEYS = ("model", "model.batch_norm")
SPEAKING_KEYS = ("model", "optimizer", "data", "model.activation")  # "adam" says what it is
MAX_HUES = 8
MAX_DASHES = 4

Place = tuple[Value, tuple[Value, ...]]


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep: its place, the value of each swept key, and what came out.

    `swept` maps each swept key to its value as typed in the configuration; for a config group
    (`model`, `optimizer`, `data`) that is what its node is called. A `reused` run was not run
    again: an earlier one with the same fingerprint stands for it. `chosen` are swept keys whose
    value was chosen on the validation samples (see `choose`).
    """

    number: int
    name: str
    swept: Mapping[str, Any]
    result: RunResult
    run_id: str | None
    reused: bool = False
    chosen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """What became of the run in this sweep: its status, or that it was reused."""
        return "reused" if self.reused else self.result.status

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

    def phrase(self, value: Value) -> str:
        """Return `value` as a line's label says it: with its key, unless it speaks for itself."""
        if isinstance(value, str) and self.key in SPEAKING_KEYS:
            return self.text(value)
        return phrase(self.label, self.text(value))


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
    """The runs of a sweep that ended, each in its place: a value of `across` and a line.

    `free` are the keys whose value was chosen for each place by itself.
    """

    across: Axis | None
    line_axes: tuple[Axis, ...]
    lines: tuple[Line, ...]
    cells: Mapping[Place, tuple[RunResult, ...]]
    free: tuple[str, ...] = ()

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
        values = (*line.values[:index], value, *line.values[index + 1 :])
        return next((other for other in self.lines if other.values == values), None)

    def contrast(self, key: str) -> list[tuple[Line, Line]]:
        """Return the pairs of lines that differ in `key` and in nothing else.

        What counts is the configuration that was run, not what the lines are called. Keys that
        do nothing unless `key` is set differ with it; those in `free` may differ too. Of several
        lines that a line could be paired with, it is the one with the most swept values in
        common, and pairs of equal configurations are one. The first of a pair has the value that
        is true, or else comes first.
        """
        allowed = {key, *DEPENDENT_KEYS.get(key, ()), *self.free}
        # Lines of one kin are alike at one value, but for the keys that may differ.
        kin: dict[Any, list[Line]] = {}
        reduced = {
            line: [
                (value, frozenset(item for item in found if not _within(item[0], allowed)))
                for value, found in self._settings[line.values].items()
            ]
            for line in self.lines
        }
        for line, places in reduced.items():
            for place in places:
                kin.setdefault(place, []).append(line)
        pairs: dict[Any, tuple[Line, Line]] = {}
        for line, places in reduced.items():
            others = [
                other
                for other in dict.fromkeys(other for place in places for other in kin[place])
                if _rank(self._value_of(line, key)) < _rank(self._value_of(other, key))
                and all(_within(name, allowed) for name in self._differing(line, other))
            ]
            nearest = max((_in_common(line, other) for other in others), default=0)
            for other in others:
                if _in_common(line, other) == nearest:
                    both = (self._settings[each.values] for each in (line, other))
                    same = tuple(frozenset(found.items()) for found in both)
                    pairs.setdefault(same, (line, other))
        return list(pairs.values())

    @cached_property
    def with_and_without(self) -> list[tuple[Line, Line]]:
        """The pairs that differ in Batch Normalization alone: with it, without it."""
        return self.contrast("model.batch_norm")

    def _differing(self, line: Line, other: Line) -> set[str]:
        """Return the keys in which the runs of two lines differ, at the values both have."""
        ours, theirs = self._settings[line.values], self._settings[other.values]
        return {
            key for value in ours.keys() & theirs.keys() for key, _ in ours[value] ^ theirs[value]
        }

    @cached_property
    def _settings(self) -> dict[tuple[Value, ...], dict[Value, frozenset[tuple[str, Value]]]]:
        """The settings of each line's runs, by the value across."""
        of_lines: dict[tuple[Value, ...], dict[Value, frozenset[tuple[str, Value]]]] = {}
        found = _settings([results[0] for results in self.cells.values()])
        for (value, line), setting in zip(self.cells, found, strict=True):
            of_lines.setdefault(line, {})[value] = frozenset(setting.items())
        return of_lines

    def _value_of(self, line: Line, key: str) -> Value:
        results = next(r for v in self.values if (r := self.results(v, line)))
        return look_up(results[0].config, key)


def _within(key: str, keys: Collection[str]) -> bool:
    """Whether `key` is one of `keys`, or lies below one of them."""
    return any(key == other or key.startswith(f"{other}.") for other in keys)


def _in_common(line: Line, other: Line) -> int:
    return sum(a == b for a, b in zip(line.values, other.values, strict=True))


def _rank(value: Value) -> tuple[bool, Value]:
    """Return what orders the values of a key: what is switched on, numbers by size, names."""
    if isinstance(value, bool) or value is None:
        return False, not value
    return (False, value) if is_number(value) else (True, str(value))


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
    found = [
        {key: frozen(value) for key, value in settings(result.config).items() if value is not None}
        for result in results
    ]
    explained = {
        (result.seed, frozenset(setting.items()))
        for result, setting in zip(results, found, strict=True)
    }
    if len({result.fingerprint for result in results}) > len(explained):
        for result, setting in zip(results, found, strict=True):
            setting["data.root"] = look_up(result.config, "data.root")
    return found


def compare(
    runs: Sequence[SweepRun], *, overlay: Literal["no", "names", "all"] = "no"
) -> Comparison:
    """Arrange the runs of a sweep: one key across, the others as lines, `seed` within them.

    Across go three weight scales or more, else the numeric key with most values, else the weight
    scales, else the key with most values that is not the model. With `overlay` of `all`, none
    goes across; of `names`, not the few values of a single key that span no number line
    (`optimizer=sgd,adam`).
    """
    axes = [axis for key, axis in swept_axes(runs).items() if key != "seed"]
    across = max(axes, key=_fitness_to_go_across, default=None)
    few_names = len(axes) == 1 and not axes[0].numeric and len(axes[0].values) <= MAX_HUES
    if overlay == "all" or (overlay == "names" and few_names):
        across = None
    others = [axis for axis in axes if axis is not across]

    cells: dict[Place, dict[Value, RunResult]] = {}
    for run in (run for run in runs if run.ended):
        value = _value(run, across.key) if across else None
        line = tuple(_value(run, axis.key) for axis in others)
        # A seed that was given twice is one run, and no repetition.
        cells.setdefault((value, line), {}).setdefault(run.result.seed, run.result)
    free = tuple(dict.fromkeys(key for run in runs for key in run.chosen))
    filled = {place: tuple(by_seed.values()) for place, by_seed in cells.items()}
    return _with_lines(Comparison(across, tuple(others), (), filled, free))


def choose(runs: Sequence[SweepRun], keys: Collection[str]) -> list[SweepRun]:
    """Return the runs that have the best values of `keys`, for each combination of the others.

    The best have the highest accuracy on the validation samples after the last epoch, averaged
    over the seeds that all of them have; of equals, those that come first. What was chosen stands
    in each run's `chosen`, and no longer in its `swept`. Combinations in which no run ended are
    left out.

    Without `keys` there is nothing to choose, and all runs are returned as they are.

    Raises:
        ValueError: not all runs have validation samples to choose by.
    """
    if not keys:
        return list(runs)
    groups: dict[tuple[Any, ...], dict[tuple[Any, ...], dict[Value, SweepRun]]] = {}
    for run in (run for run in runs if run.ended):
        if run.result.epochs[-1].validation_accuracy is None:
            raise ValueError("data.validation_size: not all runs have samples to choose by")
        places: tuple[list[Any], list[Any]] = [], []
        for key, value in run.swept.items():
            if key != "seed":
                places[key in keys].append((key, frozen(value)))
        others, picked = (tuple(place) for place in places)
        by_seed = groups.setdefault(others, {}).setdefault(picked, {})
        by_seed.setdefault(run.result.seed, run)
    return [
        replace(
            run,
            swept={key: value for key, value in run.swept.items() if key not in keys},
            chosen={**run.chosen, **{k: v for k, v in run.swept.items() if k in keys}},
        )
        for candidates in groups.values()
        for run in _best(list(candidates.values())).values()
    ]


def _best(candidates: Sequence[Mapping[Value, SweepRun]]) -> Mapping[Value, SweepRun]:
    """Return the candidate that is best on the validation samples, each given by its seeds."""
    shared = set.intersection(*(set(runs) for runs in candidates))

    def accuracy(runs: Mapping[Value, SweepRun]) -> tuple[float, int]:
        seeds = shared or set(runs)
        records = [runs[seed].result.epochs[-1] for seed in seeds]
        total = math.fsum(record.validation_accuracy or 0.0 for record in records)
        return total / len(seeds), len(runs)

    return max(candidates, key=accuracy)


def _value(run: SweepRun, key: str) -> Value:
    return frozen(run.swept[key]) if key in run.swept else look_up(run.result.config, key)


def _ordered(key: str, values: Iterable[Value]) -> tuple[Value, ...]:
    """Numbers by size, the weight scales from the largest as the chapter has them; then names."""
    distinct = list(dict.fromkeys(values))
    numbers = sorted((v for v in distinct if is_number(v)), reverse=key == "weight_std")
    return (*numbers, *(v for v in distinct if not is_number(v)))


def _fitness_to_go_across(axis: Axis) -> tuple[bool, bool, bool, bool, int]:
    scales = axis.key == "weight_std"
    # Two scales are a comparison, not a range: another number may then span the panels.
    return (
        scales and len(axis.values) > 2,
        axis.numeric,
        scales,
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
            label=", ".join(axis.phrase(value) for axis, value in zip(axes, line, strict=True)),
            hue=hue,
            dash=dash,
            batch_norm=line in normalised,
        )
        for line, (hue, dash) in styles.items()
    )
    return replace(comparison, lines=tuple(sorted(lines, key=lambda line: (line.hue, line.dash))))
