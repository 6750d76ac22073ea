"""What a sweep is called."""

from collections.abc import Sequence

from bnsweep.records import RunSpec
from bnsweep.report.comparison import swept_axes
from bnsweep.report.labels import counted_values
from bnsweep.report.words import counted


def sweep_name(specs: Sequence[RunSpec], experiment: str | None = None) -> str:
    """Return a name that tells a sweep from others: `mnist, 16 scales x 2 models x 10 seeds`.

    Args:
        specs: its runs.
        experiment: the name of the experiment that describes it, if one does.
    """
    data = {spec.options["data"] for spec in specs}
    swept = " x ".join(
        f"{len(axis.values)} {counted_values(key)[1]}" for key, axis in swept_axes(specs).items()
    )
    parts = (
        experiment,
        data.pop() if len(data) == 1 else None,
        swept or counted(len(specs), "run"),
    )
    return ", ".join(part for part in parts if part)
