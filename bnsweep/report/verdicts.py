"""A claim judged for one pair of networks or for many: its sentence, and its table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from bnsweep.report.comparison import Comparison, Line
from bnsweep.report.estimates import Estimate, Verdict
from bnsweep.report.markdown import long_table
from bnsweep.report.words import capitalised, counted, in_words

Outcome = Literal[
    "holds", "does not hold here", "undecided", "no verdict", "compared", "not judged"
]
MAX_NAMED = 4  # of more pairs, a sentence says how many, and the table which
NOTHING = "-"  # in a cell
MAX_REASONS = 2  # of more, the table alone gives them


@dataclass(frozen=True)
class Pair:
    """Two lines of a comparison that differ in one key.

    Attributes:
        lines: the two.
        names: what tells one from the other.
        shared: the swept values that both have; empty if there are none.
    """

    lines: tuple[Line, Line]
    names: tuple[str, str]
    shared: str

    @classmethod
    def of(
        cls, comparison: Comparison, lines: tuple[Line, Line], *, without: Collection[str] = ()
    ) -> "Pair":
        """Return two lines with their names, in which the keys in `without` are left out."""
        phrases = [
            (axis.phrase(one), axis.phrase(other))
            for axis, one, other in zip(
                comparison.line_axes, lines[0].values, lines[1].values, strict=True
            )
            if axis.key not in without
        ]
        differing = [pair for pair in phrases if pair[0] != pair[1]]
        first, second = (", ".join(pair[i] for pair in differing) for i in (0, 1))
        return cls(lines, (first, second), ", ".join(one for one, other in phrases if one == other))


def pairs_of(comparison: Comparison, *, without: Collection[str] = ()) -> list[Pair]:
    """Return the pairs that differ in Batch Normalization alone: with it, without it."""
    return [Pair.of(comparison, lines, without=without) for lines in comparison.with_and_without]


@dataclass(frozen=True)
class Judgement:
    """The outcome of a claim for one pair.

    Attributes:
        pair: the pair.
        outcome: the verdict, or why there is none.
        detail: the numbers in words, or why it is not judged; the end of a sentence.
        more: further sentences.
        reason: why it is not judged, in a few words and without numbers.
        difference: with Batch Normalization less without it, None if it is not judged.
        difference_text: the same with its interval.
        cells: the row of the table, without the pair and the verdict.
    """

    pair: Pair
    outcome: Outcome
    detail: str
    more: str = ""
    reason: str = ""
    difference: Estimate | None = None
    difference_text: str = ""
    cells: tuple[str, ...] = ()

    @property
    def why_not(self) -> str:
        """Why it is not judged; empty if it is."""
        return (self.reason or self.detail) if self.outcome == "not judged" else ""

    @property
    def verdict(self) -> str:
        """The outcome, and the number of seeds if there are too few of them."""
        n = self.difference.n if self.difference else 0
        return f"{counted(n, 'seed')}: no verdict" if self.outcome == "no verdict" else self.outcome


def outcome_of(difference: Estimate, holds: Verdict) -> Outcome:
    """Return the outcome that follows from a paired difference; `holds` supports the claim."""
    if difference.verdict == "none":
        return "no verdict"
    if difference.verdict == "undecided":
        return "undecided"
    return "holds" if difference.verdict == holds else "does not hold here"


@dataclass(frozen=True)
class Claim:
    """A claim of the chapter, judged for each pair of networks of a sweep.

    Attributes:
        claimed: the claim; empty if the pairs are merely compared.
        judgements: one for each pair.
        why_not: why it is judged for none; there are no judgements then.
        changes: what the differences are, as in "the gap changes by".
        note: what the table holds.
        head: the names of its columns, without the pair and the verdict.
    """

    claimed: str
    judgements: Sequence[Judgement] = ()
    why_not: str = ""
    changes: str = ""
    note: str = ""
    head: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The claim and its outcome, in one paragraph, however many pairs there are."""
        return f"Claim: {self.claimed}. {self.outcome}" if self.claimed else self.outcome

    @property
    def outcome(self) -> str:
        """What came out: the verdicts, the differences, why some pairs are not judged."""
        parts: list[str] = []
        judged = [each for each in self.judgements if each.outcome != "not judged"]
        not_judged = [each for each in self.judgements if each.outcome == "not judged"]
        if not self.judgements:
            parts.append(f"Not judged: {self.why_not}.")
        elif len(self.judgements) == 1:
            parts += self._of_one(*self.judgements)
        elif len(judged) == 1:
            (only,) = judged
            parts += [f"{self._tally(judged)}: {only.detail}.", only.more]
        elif judged:
            parts += [f"{self._tally(judged)}." if self.claimed else "", self._range(judged)]
        if not_judged and len(self.judgements) > 1:
            parts.append(self._why_not(not_judged))
        return " ".join(part for part in parts if part)

    @property
    def table(self) -> list[str]:
        """A note on what the numbers are, and a table with a row for each pair.

        Empty if it would add nothing to the outcome.
        """
        reasons = self._reasons
        judged = any(each.outcome != "not judged" for each in self.judgements)
        if len(self.judgements) < 2 or (not judged and len(reasons) <= MAX_REASONS):
            return []
        shared = [each.pair.shared for each in self.judgements]
        columns: dict[str, list[str]] = {name: [] for name in ("", "verdict", *self.head, "why")}
        for each in sorted(self.judgements, key=lambda each: each.outcome == "not judged"):
            who = each.pair.shared
            if not who or shared.count(who) > 1:
                who = ", ".join(filter(None, (" against ".join(each.pair.names), who)))
            cells = each.cells or (NOTHING,) * len(self.head)
            row = (who, each.verdict, *cells, each.why_not or NOTHING)
            for column, cell in zip(columns.values(), row, strict=True):
                column.append(cell)
        note = self.note
        if not self.claimed:
            del columns["verdict"]
        if len(reasons) == 1:
            note += f" Not judged: {reasons[0]}."
            del columns["why"]
        told = {name: cells for name, cells in columns.items() if {*cells} != {NOTHING}}
        return [note, *long_table([*told], [*zip(*told.values(), strict=True)], "pair")]

    def _of_one(self, only: Judgement) -> list[str]:
        """Return the sentences on the only pair, with its place if others were swept."""
        place = only.pair.shared
        at = f" for {place}" if place else ""
        if only.outcome == "not judged":
            text = f"Not judged{at}: {only.detail}"
        elif self.claimed:
            verdict = capitalised(only.verdict)
            text = f"**{verdict}.** {capitalised(only.detail)}"
            if place:
                text = f"**{verdict}**{at}: {only.detail}"
        else:
            text = f"For {place}: {only.detail}" if place else capitalised(only.detail)
        return [f"{text}.", only.more]

    def _tally(self, judged: Sequence[Judgement]) -> str:
        """Return for how many pairs, or for which if they are few, there is which verdict."""
        by_verdict: dict[str, list[Judgement]] = {}
        for each in judged:
            by_verdict.setdefault(each.verdict, []).append(each)
        parts: list[str] = []
        for verdict, of_verdict in by_verdict.items():
            bold = verdict if parts else capitalised(verdict)
            parts.append(f"**{bold}** for {self._which(of_verdict)}")
        return "; ".join(parts)

    def _which(self, some: Sequence[Judgement]) -> str:
        """Return the names of some of the pairs, or their number if names would be long."""
        total, names = len(self.judgements), [each.pair.shared for each in some]
        if len(some) == total:
            return f"{'both' if total == 2 else f'all {total}'} pairs"
        listable = total <= MAX_NAMED and not any("," in name for name in names)
        if all(names) and (listable or len(names) == 1):
            return in_words(names)
        return f"{len(some)} of {total} pairs"

    def _range(self, judged: Sequence[Judgement]) -> str:
        """Return the smallest and the largest difference, with their intervals."""
        ordered = sorted(
            (each.difference.mean, each.difference_text) for each in judged if each.difference
        )
        ends = " to ".join(dict.fromkeys(text for _, text in (ordered[0], ordered[-1])))
        seeds = sorted(each.difference.n for each in judged if each.difference)
        n = " to ".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))
        text = f"With Batch Normalization, {self.changes} {ends}, n = {n}"
        if seeds[-1] == 1:
            return f"{text}."
        which = "both" if len(judged) == 2 else f"all {len(judged)}"
        return f"{text}; these intervals hold for {which} pairs at once."

    @property
    def _reasons(self) -> list[str]:
        return list(dict.fromkeys(each.why_not for each in self.judgements if each.why_not))

    def _why_not(self, not_judged: Sequence[Judgement]) -> str:
        few = len(self._reasons) <= MAX_REASONS
        why = in_words(self._reasons) if few else "the table says why"
        number = len(not_judged)
        which = self._which(not_judged)
        if number == len(self.judgements):
            which = f"any of the {number} pairs"
        elif which.endswith(" pairs"):
            which = f"the other {number}"
        return f"Not judged for {which}: {why}."
