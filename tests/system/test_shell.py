"""What a person at the shell sees: help, completion, and short answers to mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults import NO_FIGURES, ONE_PROCESS, put_database

SCRIPT = Path(sys.executable).with_name("bnsweep")
HEAVY = ("mlflow", "matplotlib", "sklearn", "pandas", "scipy", "requests")
NO_UTF8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def complete(shell, line):
    done = subprocess.run(
        [SCRIPT, "-sc", "query=bash"],
        cwd=shell.folder,
        env=shell.environment | {"COMP_LINE": line, "COMP_POINT": str(len(line))},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.split()


def imported(shell, *arguments):
    """Return what the program prints, and the heavy packages that it imported."""
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print('IMPORTED', *set(sys.modules) & set({HEAVY})))\n"
        f"sys.argv = ['bnsweep', *{list(arguments)!r}]\n"
        "from bnsweep.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    answer, _, names = done.stdout.rpartition("IMPORTED")
    return answer + done.stderr, names.split()


def message(done):
    """Return the one line that answers a mistake."""
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line.removeprefix("bnsweep: ")


def test_help_names_how_to_start_the_groups_and_the_keys(shell):
    done = shell("--help")
    assert done.returncode == 0
    for text in ("python -m bnsweep -m", "optimizer: adagrad, adam", "weight_std: 0.01", "--info"):
        assert text in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--cfg", "job"),
        ("optimzer.lr=0.1",),
        ("-m", "optimzer.lr=0.1,1"),
    ],
)
def test_help_and_mistakes_import_nothing_heavy(shell, arguments):
    answer, heavy = imported(shell, *arguments)
    assert answer
    assert heavy == []


def test_a_run_imports_the_heavy_packages(shell):
    put_database(shell.folder)
    _, heavy = imported(shell, "training.epochs=1", "model.hidden_sizes=[4]")
    assert {"mlflow", "matplotlib"} <= set(heavy)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bnsweep optimizer=a", {"optimizer=adagrad", "optimizer=adam"}),
        ("bnsweep weight_st", {"weight_std="}),
        ("bnsweep -m model.act", {"model.activation="}),
        ("bnsweep optimizer=adam optimizer.b", {"optimizer.beta1=", "optimizer.beta2="}),
        ("bnsweep experiment=fig", {"experiment=figure_6_18"}),
    ],
)
def test_the_tab_key_completes_groups_and_keys(shell, line, offered):
    assert set(complete(shell, line)) == offered


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ("optimzer.lr=0.1", "optimzer.lr: there is no such key; did you mean optimizer.lr?"),
        ("-m optimzer.lr=0.1,1", "optimzer.lr: there is no such key; did you mean optimizer.lr?"),
        ("-m modle=plain", "modle: there is no such key; did you mean model?"),
        (
            "-m optimizer=sgd,adm",
            "optimizer=adm: there is no such option; there are: "
            "adagrad, adam, momentum, nesterov, rmsprop, sgd",
        ),
        ("-m --reslove", "--reslove: there is no such option; did you mean --resolve?"),
        ("--seed=1", "--seed: there is no such option; keys have no dashes: seed=1"),
        ("plain", "plain: is neither an option nor key=value; see --help for the keys"),
        (
            "output_dir=aé",
            "output_dir=aé: contains characters that need quoting; use 'output_dir=\"aé\"'",
        ),
    ],
)
def test_a_slip_is_answered_in_one_line_that_says_what_would_do(shell, arguments, answer):
    assert message(shell(*arguments.split())) == answer
    assert list(shell.folder.iterdir()) == []


def test_cfg_job_is_a_configuration_that_can_be_read(shell):
    import yaml

    done = shell("--cfg", "job", "optimizer=adam", "weight_std=he")
    assert done.returncode == 0
    config = yaml.safe_load(done.stdout)
    assert config["weight_std"] == "he"
    assert config["optimizer"]["lr"] == 0.001


def test_an_option_may_stand_between_overrides(shell):
    done = shell("optimizer=adam", "--cfg", "job", "weight_std=he")
    assert done.returncode == 0, done.stderr
    assert "Adam" in done.stdout
    assert "weight_std: he" in done.stdout


def test_info_names_the_plugins_and_the_folders(shell):
    done = shell("--info")
    assert done.returncode == 0
    for text in ("BnsweepSweeper", "Config search path", "weight_std"):
        assert text in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error(shell):
    command = f"{sys.executable} -m bnsweep --help | head -n 1"
    done = subprocess.run(
        command,
        shell=True,
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.startswith("Does Batch Normalization")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "environment",
    [{"NO_COLOR": "1"}, {"COLUMNS": "40"}, {"PYTHONIOENCODING": "ascii"}, NO_UTF8],
    ids=["no color", "narrow", "ascii", "C locale"],
)
def test_a_sweep_reads_as_plain_lines_everywhere(module_shell, environment):
    done = module_shell(
        *("-m", "weight_std=0.1,0.01", "training.epochs=1", "model.hidden_sizes=[4]"),
        *("tracking=none", *NO_FIGURES, ONE_PROCESS, "output_dir=o"),
        **environment,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.rpartition("\n\n")[2].splitlines()]
    assert [row[0] for row in rows[:3]] == ["W", "0.1", "0.01"]
    assert all(len(row) == 5 for row in rows[1:3])
    assert "results: o/sweeps/" in done.stdout


@pytest.mark.parametrize(
    ("no_color", "columns", "coloured", "drawn"),
    [
        ("", "100", True, True),
        ("1", "100", False, True),
        ("", "40", False, False),
        ("", "20", False, False),
    ],
    ids=["wide", "no color", "narrow", "very narrow"],
)
def test_a_terminal_gets_a_drawn_table_if_it_is_wide_and_colours_unless_unwanted(
    module_shell, no_color, columns, coloured, drawn
):
    text = on_a_terminal(
        module_shell,
        *("-m", "weight_std=1e20,0.01", "training.epochs=1", "model.hidden_sizes=[4]"),
        *("tracking=none", *NO_FIGURES, ONE_PROCESS, "output_dir=t"),
        NO_COLOR=no_color,
        COLUMNS=columns,
        TERM="xterm-256color",
    )
    table = text[text.index("Final accuracy on") :]
    assert "(diverged)" in table
    assert ("\x1b[33m" in table) == coloured
    assert ("─────" in table) == drawn
    assert not (no_color and "\x1b[38" in text)  # the bar's colours


def on_a_terminal(shell, *arguments, **environment):
    import pty

    kept = {key: value for key, value in environment.items() if value}
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bnsweep", *arguments],
        cwd=shell.folder,
        env=shell.environment | kept,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    parts = []
    try:
        while part := os.read(leader, 4096):
            parts.append(part)
    except OSError:
        pass  # the other side is closed
    finally:
        os.close(leader)
    assert process.wait(120) == 0
    return b"".join(parts).decode()
