import contextlib
import io
import re
import sys
from dataclasses import replace

import pytest
from made_up import result, sweep, with_result

from bnsweep.report import terminal
from bnsweep.report.findings import Findings
from bnsweep.report.terminal import Progress, print_findings, print_where


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
    """Return the time, as a list of one number that a test can set."""
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def without_rich(monkeypatch):
    """Forget that rich has been imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


def progress_lines(clock, total, seconds_each, already=0, **kwargs):
    stream = io.StringIO()
    with Progress(total, "runs", stream=stream, **kwargs) as progress:
        progress.update(already)
        for done in range(already + 1, total + 1):
            clock[0] += seconds_each
            progress.update(done)
    return stream.getvalue().splitlines()


def times(lines):
    """Return what each line says of time."""
    return [line.split(", ")[1] for line in lines]


def test_without_a_terminal_lines_are_ten_seconds_or_a_tenth_of_the_time_apart(clock):
    assert progress_lines(clock, 100, 0.1) == ["100/100 runs, done in 0:10"]
    assert len(progress_lines(clock, 100, 1)) == 10
    assert 20 < len(progress_lines(clock, 1000, 1)) < 40
    assert len(progress_lines(clock, 5, 60)) == 5


def test_a_line_is_printed_only_for_what_is_new(clock):
    stream = io.StringIO()
    with Progress(8, "runs", stream=stream) as progress:
        for second in range(100):
            clock[0] = second
            progress.update(3 if second >= 50 else 2)
        lines = stream.getvalue().splitlines()
    assert lines == ["2/8 runs, 0:10 so far", "3/8 runs, 4:10 left"]


def test_what_is_brief_prints_nothing_without_a_terminal(clock):
    assert progress_lines(clock, 20, 0.2, brief=True) == []
    assert times(progress_lines(clock, 3, 6, brief=True)) == ["0:06 left", "done in 0:18"]


def test_reused_runs_do_not_shorten_the_time_left(clock):
    assert progress_lines(clock, 8, 15)[1] == "2/8 runs, 1:30 left"
    assert progress_lines(clock, 8, 15, already=4)[1] == "6/8 runs, 0:30 left"


def test_an_interrupted_sweep_shows_its_last_state(clock):
    stream = io.StringIO()
    with contextlib.suppress(KeyboardInterrupt), Progress(8, "runs", stream=stream) as progress:
        progress.update(0)
        clock[0] = 4
        progress.update(2, "1 failed")
        raise KeyboardInterrupt
    assert stream.getvalue() == "2/8 runs, ended after 0:04, 1 failed\n"


def test_without_updates_nothing_is_printed():
    stream = io.StringIO()
    with Progress(8, "runs", stream=stream):
        pass
    assert stream.getvalue() == ""


def test_on_a_terminal_a_bar_shows_the_same(clock):
    screen = Terminal()
    with Progress(8, "runs", stream=screen) as progress:
        progress.update(0)
        clock[0] = 5
        progress.update(8, "[red]1[/red] failed")
        clock[0] = 7  # what comes behind the last run is not its time
        progress.update(8, "[red]1[/red] failed")
    assert "8/8 runs, done in 0:05, [red]1[/red] failed" in screen.text()
    assert "\x1b[" in screen.text()


def frames(screen):
    """Return what a bar's screen has shown, each state once."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\N{BOX DRAWINGS HEAVY HORIZONTAL}", "", screen.text())
    return list(dict.fromkeys(re.findall(r"\d+/\d+ [^\r\n]*", text)))


def test_between_completions_the_time_left_is_counted_down(clock):
    screen = Terminal()
    with Progress(4, "runs", stream=screen) as progress:
        for second, done in enumerate([1, 1, 2, 2, 2, 2, 2, 2, 3, 4]):
            clock[0] = second
            progress.update(done)
    assert times(frames(screen)) == [
        *("0:00 so far", "0:01 so far"),  # the first was done before, so nothing is known yet
        *("0:04 left", "0:03 left", "0:02 left", "0:01 left"),
        *("0:06 so far", "0:07 so far"),  # the estimate has run out
        "0:04 left",
        "done in 0:09",
    ]


def test_what_is_brief_shows_no_bar_in_its_first_second(clock, without_rich):
    screen = Terminal()
    with Progress(20, "epochs", brief=True, stream=screen) as progress:
        progress.update(0)
        clock[0] = 0.9
        progress.update(19)
        clock[0] = 1.1
        progress.update(20)
    assert screen.text() == ""
    assert "rich" not in sys.modules


def test_what_goes_on_for_a_second_shows_a_bar(clock):
    screen = Terminal()
    with Progress(20, "epochs", brief=True, stream=screen) as progress:
        progress.update(0)
        clock[0] = 1
        progress.update(5, "train loss nan")
    assert frames(screen)[0] == "5/20 epochs, 0:03 left, train loss nan"


@pytest.mark.parametrize("columns", [20, 80])
def test_a_bar_is_one_line_high(clock, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Terminal()
    with Progress(2000, "epochs", stream=screen) as progress:
        progress.update(0)
        clock[0] = 1
        progress.update(1000, "train loss 0.000123, accuracy 1.000")
    assert screen.text().count("\n") == 1
    assert frames(screen)[-1].startswith("1000/2000 ")


def table(runs, stream=None):
    stream = stream or io.StringIO()
    print_findings(Findings(runs), stream=stream)
    return stream.text() if isinstance(stream, Terminal) else stream.getvalue()


def outcomes():
    runs = sweep(weight_std=[1, 10**-1.3333], model=["batchnorm", "plain"])
    runs[1] = with_result(runs[1], result([0.1, 0.2], status="diverged"))
    broken = result((), status="failed", error="Traceback\nMemoryError: too large")
    runs[2] = with_result(runs[2], broken)
    runs[3] = replace(runs[3], reused_from="/another/0")
    return runs


def rows(text):
    """Return the words of each row of the table after the last paragraph."""
    return [line.split() for line in text.rpartition("\n\n")[2].splitlines()]


def test_the_table_has_a_row_for_each_scale_and_columns_for_each_model():
    text = table(outcomes())
    assert "4 runs: 1 finished, 1 diverged, 1 reused, 1 failed.\n" in text
    head, *body = rows(text)
    assert head == [
        "W",
        "batchnorm",
        "train",
        "batchnorm",
        "test",
        "plain",
        "train",
        "plain",
        "test",
    ]
    assert body == [
        ["1", "1.000", "0.900", "0.200", "(diverged)", "0.100"],
        ["0.0464", "-", "-", "1.000", "0.900"],
        ["batchnorm", "weight_std=0.0464", "seed=0:", "failed:", "MemoryError:", "too", "large"],
    ]


def test_seeds_are_one_row_with_their_interval_and_how_many_diverged():
    runs = sweep(
        lambda run: (0.1, 0.5 + 0.1 * run.seed),
        weight_std=[10.0**-k for k in range(16)],
        model=["batchnorm", "plain"],
        seed=[0, 1, 2],
    )
    runs = [
        replace(run, result=replace(run.result, status="diverged"))
        if run.spec.swept["model"] == "plain" and run.spec.swept["seed"] == 2
        else run
        for run in runs
    ]
    text = table(runs)
    _, first, *others = (" ".join(row) for row in rows(text))
    assert len(others) == 15
    train, test = "0.600 ± 0.248", "0.500 ± 0.248"
    assert first == f"1 {train} {test} {train} (1 of 3 diverged) {test}"
    assert "mean over 3 seeds" in text


def test_the_answer_is_printed_above_the_table():
    runs = sweep(
        lambda run: (0.1, 0.95 if run.model == "batchnorm" or run.weight_std == 0.1 else 0.1),
        weight_std=[1, 0.1, 0.01],
        model=["batchnorm", "plain"],
        seed=range(5),
    )
    first, second, *_ = table(runs).split("\n\n")
    assert first == (
        "batchnorm learns with each of 5 seeds at all 3 scales. "
        "plain learns with each of 5 seeds at 1 of 3 scales (0.1)."
    )
    assert second.startswith("Claim: the result depends less on the initial weights. Holds. Over 3")


def test_without_a_terminal_rich_is_not_imported(without_rich):
    table(outcomes())
    assert "rich" not in sys.modules


def test_a_terminal_shows_colours_unless_no_color_is_set(monkeypatch):
    assert "\x1b[33m" in table(outcomes(), Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in table(outcomes(), Terminal())
    assert "MemoryError" in table(outcomes(), Terminal())


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_a_narrow_terminal_breaks_no_number(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = table(outcomes(), Terminal())
    for cell in ("0.0464", "batchnorm", "1.000", "(diverged)"):
        assert cell in screen


def test_values_are_not_read_as_markup():
    runs = sweep(optimizer=["[red]mine[/red]", "sgd"])
    assert "[red]mine[/red]" in table(runs, Terminal())


def test_a_long_table_is_cut_but_runs_without_a_result_are_listed():
    runs = sweep(weight_std=[0.9**k for k in range(80)], model=["batchnorm", "plain"])
    runs[7] = with_result(runs[7], result((), status="killed"))
    lines = table(runs).splitlines()
    assert "and 16 more rows, in summary.md and results.csv" in lines
    assert lines[-1] == f"{runs[7].spec.name}: killed"


def test_runs_that_were_not_started_are_counted_and_not_listed():
    runs = sweep(weight_std=[0.9**k for k in range(80)])
    runs = [replace(run, result=None) for run in runs]
    assert table(runs) == "80 runs: 80 not started.\n"
    runs[40] = with_result(runs[40], result((), status="failed", error="MemoryError"))
    assert table(runs).splitlines() == [
        "80 runs: 1 failed, 79 not started.",
        f"{runs[40].spec.name}: failed: MemoryError",
    ]


def test_one_configuration_has_its_row():
    text = table(sweep(seed=range(5)))
    assert text.startswith("Final accuracy: 1.000 ± 0.000 on the training set")
    assert rows(text)[1] == ["1.000", "±", "0.000", "0.900", "±", "0.000"]


def test_the_command_for_the_ui_is_printed_on_one_line(tmp_path):
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


def test_it_is_said_where_runs_come_from_that_the_sweep_did_not_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    reused = [f"{tmp_path}/out/first/0", f"{tmp_path}/out/first/3", "run 12ab of the store"]
    print_where(tmp_path / "out" / "second", None, reused, stream=out)
    assert out.getvalue().splitlines() == [
        "taken over: 2 runs of out/first",
        "taken over: 1 run of the store",
        "results: out/second (report.html, summary.md, results.csv, figures)",
    ]
