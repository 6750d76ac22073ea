"""Means over seeds and paired differences, with their intervals and verdicts."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

CONFIDENCE = 0.95
MIN_SEEDS = 5  # fewer give an interval but no verdict
ROUNDING = 1e-9  # smaller differences come from floating-point arithmetic

Verdict = Literal["less", "more", "undecided", "none"]


@dataclass(frozen=True)
class Estimate:
    """The mean of a quantity over `n` seeds, and a confidence interval for its true mean.

    `low` and `high` are the ends of Student's interval at a confidence of 95 %, NaN for one
    seed; `diverged` of the n runs diverged, and count with their last value.
    """

    mean: float
    low: float
    high: float
    n: int
    diverged: int = 0

    @classmethod
    def of(cls, values: Collection[float], *, diverged: int = 0, statements: int = 1) -> "Estimate":
        """Return the estimate from one value for each seed; there is at least one.

        The intervals of `statements` estimates made together hold for all of them at once, at
        the same confidence (Bonferroni).
        """
        n = len(values)
        mean = math.fsum(values) / n
        half = math.nan
        if n > 1:
            variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
            half = _quantile(n - 1, 1 - (1 - CONFIDENCE) / statements / 2) * math.sqrt(variance / n)
        return cls(mean, mean - half, mean + half, n, diverged)

    @classmethod
    def paired(
        cls, a: Mapping[int, float], b: Mapping[int, float], *, statements: int = 1
    ) -> "Estimate | None":
        """Return the estimate of a - b over the seeds that both have; None if they share none.

        Runs with the same seed share their random draws, so the difference varies less than either.
        """
        differences = [a[seed] - b[seed] for seed in a if seed in b]
        return cls.of(differences, statements=statements) if differences else None

    @property
    def half_width(self) -> float:
        """Half the width of the interval, NaN for one seed."""
        return (self.high - self.low) / 2

    @property
    def verdict(self) -> Verdict:
        """The sign of a difference: below zero (`less`), above it (`more`), or neither.

        `undecided`: its interval contains zero. `none`: there are too few seeds for a verdict.
        """
        if self.n < MIN_SEEDS:
            return "none"
        if abs(self.mean) > ROUNDING and not self.low <= 0 <= self.high:
            return "less" if self.mean < 0 else "more"
        return "undecided"


@lru_cache
def _quantile(degrees: int, probability: float) -> float:
    """Return a quantile of Student's t distribution."""
    from scipy.special import stdtrit  # slow: it takes a quarter of a second

    return float(stdtrit(degrees, probability))
