"""What a person at the shell sees: help, completion, and short answers to mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from faults import NO_FIGURES, ONE_PROCESS, Terminal, put_database

from bnsweep import __version__
from bnsweep.report.sections import FIGURES

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
    for text in (
        "python -m bnsweep -m",
        "  optimizer=       adagrad, adam, momentum, nesterov, rmsprop, sgd",
        "  debug=           fast",
        "  hydra/launcher=  basic, ",
        "ray_cluster, slurm",
        "  hydra/sweeper=   basic, bnsweep",
        "  weight_std=0.01                 a finite number greater than 0, or he, or",
        "  dtype=float32                   float32, float64",
        "  model.activation=relu           relu, sigmoid, tanh",
        "  model.norm_position=before      before, after",
        "  model.dropout_position=every    every, last",
        "  training.sampling=replacement   replacement, shuffle",
        "  on_failure=continue             continue, stop",
        "  report.style=screen             screen, paper, slides",
        "png, svg and pdf",
        "--info",
    ):
        assert text in done.stdout
    for name in FIGURES:
        assert name in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "optimizer.beta1=0.9" in shell("--help", "optimizer=adam").stdout


def test_the_version_is_that_of_bnsweep(shell):
    assert shell("--version").stdout == f"bnsweep {__version__}\n"


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
        ("bnsweep debug=", {"debug=fast"}),
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
            "-m optimizer=adam,sgd optimizer.beta1=0.8",
            "optimizer.beta1: there is no such key; optimizer=sgd has no beta1; "
            "optimizer=adam has it",
        ),
        (
            "+experiment=activations",
            "+experiment=activations: experiment is there already; write it without the +: "
            "experiment=activations",
        ),
        (
            "-m +optimizer.lr=0.1,1",
            "+optimizer.lr=0.1,1: optimizer.lr is there already; write it without the +: "
            "optimizer.lr=0.1,1",
        ),
        (
            "data=3",
            "data=3: must be the name of an option of data; write digits, fashion_mnist or mnist",
        ),
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


@pytest.mark.parametrize(
    ("arguments", "head", "first"),
    [
        (
            "-m --cfg job optimizer.lr=logspace(-3,-1,20)",
            [
                "# a sweep of 640 runs over",
                "#   weight_std, 16 values: 1, 0.541, 0.293, 0.158, 0.0858, ..., 0.0001",
                "#   model, 2 values: batchnorm, plain",
                "#   optimizer.lr, 20 values: 0.001, 0.00127, 0.00162, 0.00207, 0.00264, ..., 0.1",
                "# its first run: batchnorm weight_std=1 optimizer.lr=0.001 seed=0",
            ],
            {"weight_std": 1, "optimizer": {"lr": 0.001}},
        ),
        (
            # MNIST's files are not there.
            "experiment=figure_6_18 --cfg job --resolve model=plain",
            [
                "# a sweep of 160 runs over",
                "#   weight_std, 16 values: 1, 0.541, 0.293, 0.158, 0.0858, ..., 0.0001",
                "#   seed, 10 values: 0, 1, 2, 3, 4, ..., 9",
                "# its first run: plain weight_std=1 seed=0",
            ],
            {"seed": 0, "model": {"batch_norm": False}, "training": {"sampling": "replacement"}},
        ),
        (
            "-m --cfg job weight_std=he model=plain",
            ["# a sweep of 1 run", "# its first run: plain weight_std=he seed=0"],
            {"weight_std": "he"},
        ),
        (
            "experiment=overfitting debug=fast --cfg job -m seed=3 model=plain optimizer.lr=0.1",
            [
                "# a sweep of 8 runs over",
                "#   model.dropout, 4 values: 0, 0.1, 0.25, 0.5",
                "#   model.dropout_position, 2 values: every, last",
                "# its first run: plain optimizer=adam weight_std=he model.dropout=0 "
                "model.dropout_position=every seed=3",
            ],
            {"seed": 3, "data": {"train_size": 100}, "output_dir": "outputs/debug"},
        ),
    ],
    ids=["a sweep", "an experiment", "one run", "debugging"],
)
def test_cfg_job_of_a_sweep_says_what_it_would_do_and_does_nothing(shell, arguments, head, first):
    import yaml

    done = shell(*arguments.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line.startswith("#")] == head
    config = yaml.safe_load(done.stdout)
    for key, value in first.items():
        if isinstance(value, dict):
            assert config[key].items() >= value.items()
        else:
            assert config[key] == value
    assert list(shell.folder.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        "-m optimzer.lr=0.1,1",
        "-m weight_std=0.1,-1",
        "-m data.train_size=100,5000",
        "-m report.choose=[optimizer.lr]",
        "experiment=nothing",
        "-m tracking.uri=sqlite://",
    ],
)
def test_cfg_job_refuses_a_sweep_as_the_sweep_itself_is_refused(shell, arguments):
    shown, run = shell(*arguments.split(), "--cfg", "job"), shell(*arguments.split())
    assert message(shown) == message(run)
    assert list(shell.folder.iterdir()) == []


def test_cfg_job_leaves_another_sweeper_to_itself(shell):
    assert message(shell("-m", "hydra/sweeper=basic", "--cfg", "job")) == (
        "hydra/sweeper=basic: --cfg job shows the runs of bnsweep's own sweeper alone; leave "
        "hydra/sweeper out"
    )


def test_a_sweep_in_an_experiments_file_is_not_left_out_without_a_word(shell):
    files = shell.folder / "mine" / "experiment"
    files.mkdir(parents=True)
    sweep = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: 0,1\n"
    (files / "mine.yaml").write_text(sweep)
    (files / "single.yaml").write_text(f"{sweep}  mode: RUN\n")
    (files / "none.yaml").write_text("# @package _global_\nseed: 3\n")
    own = ("--config-dir", "mine", "debug=fast", "model.hidden_sizes=[4]")
    assert message(shell(*own, "experiment=mine")) == (
        "experiment=mine: its file describes a sweep over seed; add -m to run it, or "
        "hydra.mode=RUN for a single run"
    )
    assert not (shell.folder / "outputs").exists()
    for arguments in (
        ("experiment=mine", "hydra.mode=RUN"),
        ("experiment=single",),
        ("experiment=none",),
    ):
        shell.succeed(*own, *arguments)
    assert len(list(shell.folder.glob("outputs/debug/runs/*/history.json"))) == 3


def test_debugging_runs_a_sweep_in_a_folder_of_its_own_and_no_store(shell):
    small = ("model.hidden_sizes=[4]", "report.figures=[]", "weight_std=logspace(0,-1,2)")
    shell.succeed("debug=fast", *small, "-m")
    assert [path.name for path in (shell.folder / "outputs").iterdir()] == ["debug"]
    assert [path.name for path in (shell.folder / "outputs" / "debug").iterdir()] == ["sweeps"]
    rows = shell.results("outputs/debug")
    assert [float(row["epochs_run"]) for row in rows] == [1] * 4
    (plan,) = shell.folder.glob("outputs/debug/sweeps/*/sweep.json")
    assert json.loads(plan.read_text())["command"][1:] == ["debug=fast", *small, "-m"]  # as typed


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
        ({}, "100", True, True),
        ({"NO_COLOR": "1"}, "100", False, True),
        ({}, "40", False, False),
        ({}, "20", False, False),
    ],
    ids=["wide", "no color", "narrow", "very narrow"],
)
def test_a_terminal_gets_a_drawn_table_if_it_is_wide_and_colours_unless_unwanted(
    module_shell, no_color, columns, coloured, drawn
):
    with Terminal(
        module_shell,
        *("-m", "weight_std=1e20,0.01", "training.epochs=1", "model.hidden_sizes=[4]"),
        *("tracking=none", *NO_FIGURES, ONE_PROCESS, "output_dir=t"),
        COLUMNS=columns,
        TERM="xterm-256color",
        **no_color,
    ) as terminal:
        assert terminal.ends() == 0, terminal.screen
    text = terminal.screen.decode()
    table = text[text.index("Final accuracy on") :]
    assert "(diverged)" in table
    assert ("\x1b[33m" in table) == coloured
    assert ("─────" in table) == drawn
    assert not (no_color and "\x1b[38" in text)  # the bar's colours
