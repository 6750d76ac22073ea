"""Scales of a figure's axes: where values lie between the two ends, and where the ticks are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from bnsweep.records.keys import Value, is_number, rounded
from bnsweep.report.measures import Floats


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, with (value, label) for each tick."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    log: bool = False

    def __call__(self, values: ArrayLike) -> Floats:
        """Return where `values` lie, from 0 at the low end to 1 at the high end, clipped."""
        x = np.asarray(values, float)
        low, high = self.low, self.high
        if self.log:
            x, low, high = np.log(np.maximum(x, low)), math.log(low), math.log(high)
        return np.clip((x - low) / (high - low), 0.0, 1.0)


def linear(low: float, high: float, *, ticks: int = 5, whole: bool = False) -> Scale:
    """Return a linear scale with about `ticks` ticks at round values, or at whole numbers."""
    if not high > low:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / max(1, ticks)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Scale(low, high, tuple((k * step, f"{k * step:.6g}") for k in range(first, last + 1)))


def logarithmic(low: float, high: float, *, ticks: int = 6) -> Scale:
    """Return a logarithmic scale with ticks at powers of ten, or at 1, 2, 5 if it is short."""
    if high / low < 3:
        low, high = low / 2, high * 2
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [10.0**k for k in decades if low <= 10.0**k <= high]
    if len(values) < 3:
        candidates = (factor * 10.0**k for k in decades for factor in (1, 2, 5))
        values = [value for value in candidates if low <= value <= high]
    values = values[:: math.ceil(len(values) / ticks)] if values else []
    return Scale(low, high, tuple((value, rounded(value, 2)) for value in values), log=True)


def named(labels: Sequence[str], *, ticks: int = 24) -> Scale:
    """Return a scale with labels side by side, at 0, 1, 2, ..."""
    step = math.ceil(len(labels) / ticks)
    shown = [(float(i), text) for i, text in enumerate(labels)][::step]
    return Scale(-0.5, len(labels) - 0.5, tuple(shown))


def fitting(values: Sequence[Value], labels: Sequence[str]) -> Scale:
    """Return the scale that suits `values`: logarithmic, linear, or of names side by side.

    It is logarithmic if the numbers are positive and span more than a decade. If one value is
    a name, all are treated as names.
    """
    if not all(is_number(value) for value in values):
        return named(labels)
    low, high = min(values), max(values)
    if low > 0 and high / low > 10:
        room = (high / low) ** 0.04
        return logarithmic(low / room, high * room)
    room = 0.05 * (high - low)
    scale = linear(low - room, high + room)
    own_ticks = tuple(zip(map(float, values), labels, strict=True))
    return replace(scale, ticks=own_ticks) if len(values) <= 6 else scale
