import contextlib
import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import result, sweep

from bnsweep import terminal
from bnsweep.terminal import Progress, print_table, print_where


class Terminal(io.TextIOWrapper):
    """A terminal that keeps what is written."""

    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self):
        return True

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def clock(monkeypatch):
    """Return the time as a list of one number, which a test moves."""
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


def progress_lines(clock, total, seconds_each, already=0):
    stream = io.StringIO()
    with Progress(total, stream=stream) as progress:
        progress.update(already)
        for done in range(already + 1, total + 1):
            clock[0] += seconds_each
            progress.update(done)
    return stream.getvalue().splitlines()


def test_without_a_terminal_lines_are_ten_seconds_and_a_tenth_apart(clock):
    assert progress_lines(clock, 100, 0.1) == ["100/100 runs, done in 0:10"]
    assert len(progress_lines(clock, 1000, 1)) == 10
    assert len(progress_lines(clock, 5, 60)) == 5


def test_the_time_left_follows_from_the_runs_that_took_time(clock):
    assert progress_lines(clock, 8, 15)[1] == "2/8 runs, 1:30 left"
    assert progress_lines(clock, 8, 15, already=4)[1] == "6/8 runs, 0:30 left"


def test_a_sweep_that_is_interrupted_shows_how_far_it_came(clock):
    stream = io.StringIO()
    with contextlib.suppress(KeyboardInterrupt), Progress(8, stream=stream) as progress:
        progress.update(0)
        clock[0] = 4
        progress.update(2, failed=1)
        raise KeyboardInterrupt
    assert stream.getvalue() == "2/8 runs, 1 failed, 0:12 left\n"


def test_a_sweep_of_no_news_prints_nothing():
    stream = io.StringIO()
    with Progress(8, stream=stream):
        pass
    assert stream.getvalue() == ""


def test_on_a_terminal_a_bar_shows_the_same():
    screen = Terminal()
    with Progress(8, stream=screen) as progress:
        progress.update(0)
        progress.update(8)
    assert "8/8 runs, done in 0:00" in screen.text()
    assert "\x1b[" in screen.text()


def table(runs, stream=None):
    stream = stream or io.StringIO()
    print_table(runs, stream=stream)
    return stream.text() if isinstance(stream, Terminal) else stream.getvalue()


def outcomes():
    runs = sweep(weight_std=[1, 10**-1.3333], model=["batchnorm", "plain"])
    runs[1] = replace(runs[1], result=result([0.1, 0.2], status="diverged"))
    broken = result((), status="failed", error="Traceback\nMemoryError: too large")
    runs[2] = replace(runs[2], result=broken)
    runs[3] = replace(runs[3], reused=True)
    return runs


def test_the_table_tells_what_came_out_of_each_run():
    assert [line.split(None, 4) for line in table(outcomes()).splitlines()[1:]] == [
        ["1", "batchnorm", "1.000", "0.900", "finished"],
        ["1", "plain", "0.200", "0.100", "diverged at epoch 1"],
        ["0.0464", "batchnorm", "-", "-", "failed: MemoryError: too large"],
        ["0.0464", "plain", "1.000", "0.900", "reused (finished)"],
    ]


def test_without_a_terminal_no_library_for_drawing_is_loaded(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    table(outcomes())
    assert "rich" not in sys.modules


def test_a_terminal_shows_colours_unless_told_otherwise(monkeypatch):
    assert "\x1b[31m" in table(outcomes(), Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in table(outcomes(), Terminal())
    assert "MemoryError" in table(outcomes(), Terminal())


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_no_number_is_torn_apart_on_a_narrow_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = table(outcomes(), Terminal())
    for cell in ("0.0464", "batchnorm", "1.000", "0.900"):
        assert cell in screen


@pytest.mark.parametrize(
    "stream", [Terminal, lambda encoding: io.TextIOWrapper(io.BytesIO(), encoding)]
)
def test_an_encoding_without_the_characters_is_no_error(stream):
    runs = sweep(optimizer=["最適化", "sgd"], weight_std=[1, 0.1])
    out = stream(encoding="ascii")
    print_table(runs, stream=out)
    print_where(Path("/tmp/ä"), stream=out)
    with Progress(2, stream=out) as progress:
        progress.update(2)
    out.flush()
    assert b"sgd" in out.buffer.getvalue()


def test_values_are_shown_as_they_are_and_not_taken_for_markup():
    runs = sweep(optimizer=["[red]mine[/red]", "sgd"])
    assert "[red]mine[/red]" in table(runs, Terminal())


def test_of_many_runs_the_lines_and_the_failed_ones_are_shown():
    runs = sweep(weight_std=[0.9**k for k in range(40)], model=["batchnorm", "plain"])
    runs[7] = replace(runs[7], result=result((), status="killed"))
    lines = table(runs).splitlines()
    assert len(lines) == 5
    assert lines[1].split()[:3] == ["batchnorm", "40", "1.000"]
    assert lines[2].split()[:3] == ["plain", "39", "1.000"]
    assert lines[3] == "run 7: killed"
    assert "results.csv" in lines[4]


def test_one_configuration_is_named():
    assert table(sweep()).splitlines()[1].startswith("run 0")


def test_the_command_for_the_ui_stands_on_one_line_as_given(tmp_path):
    command = f"mlflow ui --backend-store-uri 'sqlite:///{'x' * 200}/mlflow.db'"
    for stream in (io.StringIO(), Terminal()):
        print_where(tmp_path / "sweep", command, stream=stream)
        text = stream.text() if isinstance(stream, Terminal) else stream.getvalue()
        assert command in text
        assert str(tmp_path / "sweep") in text


def test_without_a_store_there_is_no_command(tmp_path):
    stream = io.StringIO()
    print_where(tmp_path, None, stream=stream)
    assert "MLflow" not in stream.getvalue()
