"""What a person sees at the terminal: progress while something runs, and a sweep's findings.

If the output is not a terminal, both are plain text.
"""

import os
import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from bnsweep.records import from_here
from bnsweep.report.findings import Findings
from bnsweep.report.words import counted

if TYPE_CHECKING:
    import rich.progress

BAR_SECONDS = 1.0
BAR_WIDTH = 12
LINE_SECONDS = 10.0
LINE_SHARE = 0.1
TABLE_ROWS = 64
MAX_MISSING = 20
MAX_ERROR = 80

Row = list[str]


class Progress:
    """Shows how much of `total` is done, how long the rest will take, and what is said of it.

    On a terminal it is a bar that lives while the context lasts; elsewhere a line after ten
    seconds, or after a tenth of the time so far if that is longer, and a last one. The time left is
    estimated whenever more is done, and counted down until then; when it has run out, the time so
    far takes its place.

    Args:
        total: how much there is to do.
        unit: of what.
        brief: it may be over in no time: show no bar before a second has passed, and no lines if
            it takes less than ten.
        stream: where to show it.
    """

    def __init__(
        self, total: int, unit: str, *, brief: bool = False, stream: TextIO | None = None
    ) -> None:
        self.total = total
        self.unit = unit
        self.brief = brief
        self.stream = stream or sys.stderr
        self._start = self._last = time.monotonic()
        self._before: int | None = None
        self._done, self._note = 0, ""
        self._took = 0.0  # until the most recent part was done
        self._end: float | None = None  # as it was estimated then
        self._lines = 0
        self._news = False  # since the last line
        self._bar: tuple[rich.progress.Progress, rich.progress.TaskID] | None = None

    def __enter__(self) -> Self:
        """Begin; the first update says what was done before."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Show the last state and stop."""
        took = time.monotonic() - self._start
        text = self._text(f"ended after {clock(took)}" if self._done < self.total else "")
        if self._bar is not None:
            self._draw(text)
            self._bar[0].stop()
        elif self._lines or (self._before is not None and not self.brief):
            self._print(text)

    def update(self, done: int, note: str = "") -> None:
        """Show how much is done, and what there is to say of it."""
        now = time.monotonic()
        if self._before is None:
            self._before = done  # it took no time, so it does not count in the estimate
        elif done > self._done:
            self._took = now - self._start
            each = self._took / (done - self._before)
            self._end = now + each * (self.total - done)
        self._news |= (done, note) != (self._done, self._note)
        self._done, self._note = done, note
        if is_terminal(self.stream):
            if self._bar is not None or not self.brief or self._is_long(now):
                self._draw(self._text(self._time(now)))
        elif (
            self._news
            and done < self.total
            and now - self._last >= max(LINE_SECONDS, LINE_SHARE * (now - self._start))
        ):
            self._last = now
            self._print(self._text(self._time(now)))

    def _is_long(self, now: float) -> bool:
        return self._done < self.total and now - self._start >= BAR_SECONDS

    def _time(self, now: float) -> str:
        left = 0.0 if self._end is None else self._end - now
        return f"{clock(left)} left" if left >= 0.5 else f"{clock(now - self._start)} so far"

    def _text(self, when: str) -> str:
        when = when if self._done < self.total else f"done in {clock(self._took)}"
        return ", ".join(filter(None, (f"{self._done}/{self.total} {self.unit}", when, self._note)))

    def _draw(self, text: str) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = BarColumn(BAR_WIDTH), TextColumn("{task.description}", markup=False)
            bar = Bar(*columns, console=Console(file=self.stream), auto_refresh=False)
            self._bar = bar, bar.add_task(text, total=self.total)
            bar.start()
        bar, task = self._bar
        bar.update(task, completed=self._done, description=text, refresh=True)

    def _print(self, line: str) -> None:
        self._lines += 1
        self._news = False
        print(line, file=self.stream, flush=True)


def print_findings(findings: Findings, *, stream: TextIO | None = None) -> None:
    """Print the answer of a sweep, its table, and the runs that have left no result."""
    stream = stream or sys.stdout
    if findings.compared:
        for sentence in findings.answer:
            _print_text(sentence.replace("**", ""), stream)
        _print_text(findings.how_runs_ended, stream)
        table = findings.table
        _print_text(f"{table.note}:", stream)
        _print_rows(table.head, table.rows[:TABLE_ROWS], stream)
        if (left := len(table.rows) - TABLE_ROWS) > 0:
            _print_text(f"and {left} more rows, in summary.md and results.csv", stream)
    else:
        print(findings.how_runs_ended, file=stream)
    started = [run for run in findings.missing if run.result is not None]
    for run in started[:MAX_MISSING]:
        why = f": {run.reason[:MAX_ERROR]}" if run.reason else ""
        print(f"{run.spec.name}: {run.status}{why}", file=stream)
    if len(started) > MAX_MISSING:
        print(f"and {len(started) - MAX_MISSING} more without a result", file=stream)


def _print_text(text: str, stream: TextIO) -> None:
    """Print a paragraph, wrapped to the width of a terminal, and an empty line."""
    if is_terminal(stream):
        text = textwrap.fill(text, max(20, shutil.get_terminal_size().columns - 1))
    print(f"{text}\n", file=stream)


def print_where(
    folder: Path,
    ui_command: str | None = None,
    reused: Iterable[str] = (),
    *,
    stream: TextIO | None = None,
) -> None:
    """Print where the results are, and the command that opens the MLflow UI on them.

    Args:
        folder: the sweep's folder.
        ui_command: the command.
        reused: where each run comes from that the sweep did not do.
        stream: where to print.
    """
    stream = stream or sys.stdout
    places = (Path(place) for place in reused)
    sources = Counter(
        from_here(place.parent) if place.is_absolute() else "the store" for place in places
    )
    for source, count in sources.items():
        runs = f"{counted(count, 'run')} of"
        print(f"taken over: {runs} {source}", file=stream)
    files = "report.html, summary.md, results.csv, figures"
    print(f"results: {from_here(folder)} ({files})", file=stream)
    if ui_command:
        print(f"to see them in MLflow: {ui_command}", file=stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def clock(seconds: float) -> str:
    """Return a duration as a clock shows it: 0:41, 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def _print_rows(head: Row, rows: Sequence[Row], stream: TextIO) -> None:
    """Print a table, with colours if the terminal is wide enough, otherwise as plain text."""
    # A column's name may be wrapped between words.
    words = [max(name.split(), key=len, default="") for name in head]
    widths = [max(map(len, column)) for column in zip(words, *rows, strict=True)]
    room = shutil.get_terminal_size().columns - 3 * len(widths)
    if not is_terminal(stream) or sum(widths) > room:
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for row in (head, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), file=stream)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, width in zip(head, widths, strict=True):
        table.add_column(Text(name), min_width=width)
    for row in rows:
        diverged = any("diverged" in cell for cell in row)
        table.add_row(*(Text(cell) for cell in row), style="yellow" if diverged else None)
    Console(file=stream, highlight=False).print(table)
