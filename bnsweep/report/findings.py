"""What came out of a sweep, worked out once for both the terminal and the summary."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bnsweep.records import SweepRun
from bnsweep.report import claims, gaps, learning, measures, rates
from bnsweep.report.comparison import Comparison, choose, compare, swept_axes
from bnsweep.report.markdown import with_interval
from bnsweep.report.tables import FinalTable, final_table
from bnsweep.report.verdicts import Claim
from bnsweep.report.words import counted, in_words

OUTCOMES = ("finished", "diverged", "reused", "failed", "killed", "not started")
VALIDATED = "final_validation_accuracy"
MAX_LINES = 4  # of more, the answer gives numbers and the summary a table


@dataclass(frozen=True)
class Findings:
    """What came out of a sweep; each part is worked out when it is first used.

    Attributes:
        runs: all runs of the sweep.
        keys_to_choose: keys whose values are chosen on the validation samples before the runs
            are compared.
    """

    runs: Sequence[SweepRun]
    keys_to_choose: Sequence[str] = ()

    @cached_property
    def chosen(self) -> list[SweepRun]:
        """The runs with the chosen values; all runs if there is nothing to choose."""
        return choose(self.runs, self.keys_to_choose)

    @cached_property
    def compared(self) -> list[SweepRun]:
        """Those of the chosen runs that ended."""
        return [run for run in self.chosen if run.comparable]

    @cached_property
    def missing(self) -> list[SweepRun]:
        """The runs without a result, those last that were not started."""
        missing = [run for run in self.runs if not run.comparable]
        return sorted(missing, key=lambda run: run.status == "not started")

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of runs, in total and of each outcome; a reused run counts only as reused."""
        outcomes = Counter(run.outcome for run in self.runs)
        return {"runs_total": len(self.runs)} | {
            f"runs_{name.replace(' ', '_')}": outcomes[name] for name in OUTCOMES
        }

    @cached_property
    def best_validated(self) -> dict[str, float]:
        """The final metrics of the run that is best on the validation samples; empty without."""
        finals = [run.result.final_metrics() for run in self.runs if run.comparable and run.result]
        validated = [final for final in finals if VALIDATED in final]
        return max(validated, key=lambda final: final[VALIDATED], default={})

    @property
    def how_runs_ended(self) -> str:
        """The counts in words."""
        outcomes = Counter(run.outcome for run in self.runs)
        listed = ", ".join(f"{outcomes[name]} {name}" for name in OUTCOMES if outcomes[name])
        return f"{counted(len(self.runs), 'run')}: {listed}." if self.runs else "No runs."

    @cached_property
    def table(self) -> FinalTable:
        """The final accuracies."""
        return final_table(self._comparison)

    @cached_property
    def answer(self) -> list[str]:
        """Where each line learns, and the outcome of each claim; empty if no run ended."""
        if not self.compared:
            return []
        texts = [claim.text for claim in self.claims or self.on_test]
        return [" ".join([*self._what_has_results, *_what_learns(self._comparison)]), *texts]

    @property
    def _what_has_results(self) -> list[str]:
        """A sentence on the swept values that no run with a result has; empty if there are none."""
        specs = [run.spec for run in self.runs if run.comparable]
        parts = []
        for key, axis in swept_axes([run.spec for run in self.runs]).items():
            present = {spec.value(key) for spec in specs}
            if key != "seed" and len(present) < len(axis.values):
                parts.append(learning.part_of(axis, present))
        return [f"Results exist {in_words(parts)} only."] if parts else []

    @cached_property
    def claims(self) -> list[Claim]:
        """The claims that the sweep can judge.

        Gaps are judged if Dropout was swept.
        """
        return [
            *claims.initial_weights(self._comparison),
            *rates.learning_rate(self.compared),
            *(self.gap_claims if self.swept_dropout else []),
        ]

    @property
    def swept_dropout(self) -> bool:
        """Whether the compared runs have more than one swept rate of Dropout."""
        return len({run.spec.swept.get(gaps.DROPOUT) for run in self.compared}) > 1

    @cached_property
    def gap_claims(self) -> list[Claim]:
        """The claims about the generalisation gap."""
        return [*gaps.overfitting(self._overlaid), *gaps.dropout(self.compared)]

    @cached_property
    def on_test(self) -> list[Claim]:
        """The test accuracies of each pair of networks, with and without the layer, compared."""
        return claims.accuracies_on_test(self._overlaid)

    @cached_property
    def _comparison(self) -> Comparison:
        return compare(self.compared)

    @cached_property
    def _overlaid(self) -> Comparison:
        return compare(self.compared, overlay="all")


def _what_learns(comparison: Comparison) -> list[str]:
    if not comparison.across:
        (results,) = comparison.cells.values()
        train, test = (
            with_interval(measures.final(quantity, results))
            for quantity in (measures.TRAIN, measures.TEST)
        )
        seeds = counted(len(results), "seed")
        return [f"Final accuracy: {train} on the training set, {test} on the test set ({seeds})."]
    if len(comparison.lines) <= MAX_LINES:
        return learning.where_it_learns(comparison)
    return [learning.in_how_many(comparison)]
