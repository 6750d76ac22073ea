"""What a person sees at the terminal: progress while a sweep runs, and its findings at the end.

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

from bnsweep.report.findings import Findings

if TYPE_CHECKING:
    import rich.progress

LINE_SECONDS = 10.0
LINE_SHARE = 0.1
TABLE_ROWS = 64
MAX_MISSING = 20
MAX_ERROR = 80

Row = list[str]


class Progress:
    """Shows how many of `total` runs are done, and how long the rest will take.

    On a terminal it is a bar that lives while the context lasts; elsewhere a line after ten
    seconds and a tenth of the runs, whichever is later, and a last one. `update` may be
    called from any thread.
    """

    def __init__(self, total: int, *, stream: TextIO | None = None) -> None:
        self.total = total
        self.stream = stream or sys.stderr
        self._start = time.monotonic()
        self._before: int | None = None
        self._state = ""
        self._shown = ""
        self._last = (self._start, 0)
        self._bar: tuple[rich.progress.Progress, rich.progress.TaskID] | None = None

    def __enter__(self) -> Self:
        """Show the bar."""
        if is_terminal(self.stream):
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            console = Console(file=self.stream)
            columns = BarColumn(), TextColumn("{task.description}")
            bar = Bar(*columns, console=console, refresh_per_second=2)
            self._bar = bar, bar.add_task(f"0/{self.total} runs", total=self.total)
            bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Show the last state and stop."""
        if self._bar is not None:
            self._bar[0].stop()
        elif self._state and self._state != self._shown:
            self._print(self._state)

    def update(self, done: int, failed: int = 0, running: int | None = None) -> None:
        """Record how many runs are done, how many of these failed, and how many are running."""
        now = time.monotonic()
        if self._before is None:
            self._before = done  # they took no time, so they do not count in the estimate
        self._state = f"{done}/{self.total} runs"
        if failed:
            self._state += f", {failed} failed"
        if done >= self.total:
            self._state += f", done in {clock(now - self._start)}"
        else:
            if running:
                self._state += f", {running} running"
            if done > self._before:
                each = (now - self._start) / (done - self._before)
                self._state += f", {clock(each * (self.total - done))} left"
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, completed=done, description=self._state)
            return
        then, done_then = self._last
        if now - then >= LINE_SECONDS and done - done_then >= LINE_SHARE * self.total:
            self._last = now, done
            self._print(self._state)

    def _print(self, line: str) -> None:
        self._shown = line
        print(line, file=self.stream, flush=True)


def print_findings(findings: Findings, *, stream: TextIO | None = None) -> None:
    """Print the answer of a sweep, its table, and the runs without a result."""
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
    missing = findings.missing
    for run in missing[:MAX_MISSING]:
        why = f": {run.reason[:MAX_ERROR]}" if run.reason else ""
        print(f"{run.spec.name}: {run.status}{why}", file=stream)
    if len(missing) > MAX_MISSING:
        print(f"and {len(missing) - MAX_MISSING} more without a result", file=stream)


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
    sources = Counter(place.parent if place.is_absolute() else "the store" for place in places)
    for source, count in sources.items():
        runs = f"{count} run{'s' * (count > 1)} of"
        print(f"taken over: {runs} {_shown(source)}", file=stream)
    what = f"results: {_shown(folder)} (report.html, summary.md, results.csv, figures)"
    print(what, file=stream)
    if ui_command:
        print(f"to see them in MLflow: {ui_command}", file=stream)


def _shown(place: Path | str) -> Path | str:
    """Return a path as it is from here, if it lies below."""
    here = Path.cwd()
    return Path(place).relative_to(here) if Path(place).is_relative_to(here) else place


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
