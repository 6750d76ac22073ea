"""What is typed acts, or is refused at once with one clear message, and leaves nothing behind.

A new input is a line: in `REFUSED` what is typed and what the message names, in `ACTS` what is
typed and what the runs have, in `FAILS` what is typed and how the run failed. Files that an input
needs stand in `FILES`.
"""

import gzip
import json
import pickle
import re
import struct

import pytest

SMALL = ("training.epochs=1", "data.train_size=200", "data.test_size=100")
NO_FIGURES = ("report.figures=[]", "tracking.figures=false")
ONE_PROCESS = "hydra/launcher=basic"
SECONDS = 10  # within which an input is refused
LINES = 6  # of a message, at most

GLOBAL = "# @package _global_\n"
FILES = {
    "own/experiment/misspelt.yaml": f"{GLOBAL}training: {{epoch: 5}}\n",
    "own/experiment/without_group.yaml": f"{GLOBAL}lr: 0.5\n",
    "own/experiment/dotted.yaml": f"{GLOBAL}training.batchsize: 10\n",
    "own/experiment/no_package.yaml": "training: {epochs: 5}\n",
    "own/experiment/no_package_sweep.yaml": (
        "training: {epochs: 5}\nhydra: {sweeper: {params: {weight_std: '1,0.1'}}}\n"
    ),
    "own/experiment/logspace.yaml": (
        f"{GLOBAL}hydra: {{sweeper: {{params: {{weight_std: 'logspace(0,-1,2)'}}}}}}\n"
    ),
    "own/experiment/adam.yaml": f"{GLOBAL}defaults:\n  - optimizer: adam\n",
    "own/experiment/misspelt_sweep.yaml": (
        f"{GLOBAL}hydra: {{sweeper: {{params: {{wieght_std: '1,0.1'}}}}}}\n"
    ),
    "own/experiment/good.yaml": (
        f"{GLOBAL}defaults:\n  - override /optimizer: adam\ntraining: {{batch_size: 50}}\n"
        "hydra: {sweeper: {params: {weight_std: '1,0.1', model: plain}}}\n"
    ),
    "own/experiment/text.yaml": f"{GLOBAL}optimizer: adam\n",
    "own/experiment/damaged.yaml": f"{GLOBAL}training: {{epochs: 5\n",
    "own/bare.yaml": "weight_std: 0.1\n",
    "broken_import.py": "import not_there\n\ndef net(**parts):\n    pass\n",
    "broken_syntax.py": "def net(:\n",
    "mine.py": """
import os, sys
import numpy as np
from bnsweep.data import Dataset
from bnsweep.data.datasets import digits
from bnsweep.nn.network import mlp
from bnsweep.nn.optimizers import SGD


class Exits(SGD):
    steps = 0

    def step(self, *arrays, **more):
        super().step(*arrays, **more)
        self.steps += 1
        if self.steps == 5:
            os._exit(0)


class Elsewhere(SGD):
    def __init__(self, **keys):
        super().__init__(**keys)
        os.chdir("/")


class Still(SGD):
    def step(self, w, g):
        w = w - self.lr * g


class Ends(SGD):
    def __init__(self, **keys):
        raise GeneratorExit("mine")


class Raises(Exits):
    def step(self, *arrays, **more):
        SGD.step(self, *arrays, **more)
        self.steps += 1
        if self.steps == 5:
            raise ValueError("too late")


def raises(**parts):
    raise ValueError("my own reason")


def fewer(inputs, classes):
    return mlp(inputs, classes)


def wrong_type(**parts):
    return 5


def double(**parts):
    return mlp(**parts | {"dtype": "float64"})


def few_labels(**parts):
    d = digits(**parts)
    return Dataset("few", d.x_train, d.y_train[:50], d.x_test, d.y_test, 10)


def no_dataset(**parts):
    return 5


def exits(**parts):
    sys.exit(3)
""",
}

REFUSED = [
    # what is typed, what the message names
    # values
    (["weight_std=abc"], ["weight_std=abc"]),
    (["weight_std=0"], ["weight_std=0"]),
    (["-m", "weight_std=0.1,-1"], ["weight_std=-1"]),
    (["weight_std=nan"], ["weight_std=nan"]),
    (["-m", "weight_std=inf,0.1"], ["weight_std=inf"]),
    (["weight_std=0.1,0.2"], ["-m"]),
    (["weight_std="], ["weight_std="]),
    (["-m", "weight_std=logspace(0,-4)"], ["logspace(0,-4)"]),
    (["-m", "weight_std=logspace(0,-4,x)"], ["logspace(0,-4,x)"]),
    (["-m", "weight_std=logspace(0,-4,0)"], ["logspace(0,-4,0)"]),
    (["-m", "weight_std=interval(0,1)"], ["weight_std"]),
    (["training.batch_size=1"], ["training.batch_size=1"]),
    (["-m", "training.batch_size=1,100"], ["training.batch_size=1"]),
    (["training.batch_size=201"], ["training.batch_size=201"]),
    (["training.batch_size=2.5"], ["training.batch_size=2.5"]),
    (["training.epochs=-1"], ["training.epochs=-1"]),
    (["training.epochs=0"], ["training.epochs=0"]),
    (["training.sampling=all"], ["training.sampling=all"]),
    (["data.train_size=5000"], ["data.train_size=5000"]),
    (["-m", "data.train_size=100,5000"], ["data.train_size=5000"]),
    (["data.test_size=0"], ["data.test_size=0"]),
    (["optimizer.lr=-1"], ["optimizer.lr=-1"]),
    (["optimizer=adam", "optimizer.beta1=1"], ["optimizer.beta1=1"]),
    (["model.hidden_sizes=[]"], ["model.hidden_sizes=[]"]),
    (["model.hidden_sizes=[100,-1]"], ["model.hidden_sizes"]),
    (["model.activation=gelu"], ["model.activation=gelu"]),
    (["model.dropout=1"], ["model.dropout=1"]),
    (["seed=-1"], ["seed=-1"]),
    (["seed=" + "1" * 400], ["seed=1111"]),
    (["dtype=int8"], ["dtype=int8"]),
    (["on_failure=retry"], ["on_failure=retry"]),
    (["resume=maybe"], ["resume=maybe"]),
    (["-m", "report.figures=[pie]"], ["pie"]),
    (["weight_std=["], ["weight_std=["]),
    (["model.hidden_sizes=[10000000,10000000]"], ["model.hidden_sizes"]),
    (["-m", "model.hidden_sizes=[10],[10000000,10000000]"], ["model.hidden_sizes"]),
    # options of groups
    (["model=resnet"], ["batchnorm, dropout, plain"]),
    (["-m", "model=resnet,plain"], ["batchnorm, dropout, plain"]),
    (["optimizer=lion"], ["adam"]),
    (["data=cifar"], ["digits"]),
    (["experiment=nothing"], ["experiment=nothing"]),
    (["model=null"], ["model"]),
    (["model=5"], ["model=5"]),
    (["~model"], ["model"]),
    (["model@model=plain"], ["model@model"]),
    (["hydra/launcher=nowhere"], ["hydra/launcher=nowhere"]),
    # keys
    (["optimizer.lrr=0.1"], ["optimizer.lr"]),
    (["wieght_std=0.1"], ["weight_std"]),
    (["-m", "optimzer.lr=0.1,1"], ["optimizer.lr"]),
    (["+weight_std=0.1"], ["+weight_std=0.1"]),
    (["~weight_std"], ["weight_std"]),
    (["~training.epochs"], ["training.epochs"]),
    (["~nothing"], ["nothing"]),
    (["training=null"], ["training"]),
    (["training=5"], ["training"]),
    (["training.epochs.more=5"], ["training.epochs"]),
    (["optimizer={lr:0.1,momentum:0.5}"], ["momentum"]),
    (["-m", "optimizer={lr:0.1,momentum:0.5}", "seed=1,2"], ["momentum"]),
    (["+model.inputs=3"], ["model.inputs"]),
    (["+data.dtype=float64"], ["data.dtype"]),
    (["+training.epoch=5"], ["training.epoch"]),
    (["+optimizer.momentum=0.9"], ["momentum"]),
    (["-m", "+model.inputs=3,4"], ["model.inputs"]),
    (["sweep=null"], ["sweep"]),
    (["sweep.keys=null"], ["sweep"]),
    (["-m", "sweep.keys=null", "weight_std=1"], ["sweep"]),
    (["sweep.parent_run_id=abc"], ["sweep.parent_run_id"]),
    # an experiment's file
    (["experiment=misspelt", "--config-dir", "own"], ["training.epoch"]),
    (["-m", "experiment=misspelt", "--config-dir", "own"], ["training.epoch"]),
    (["experiment=without_group", "--config-dir", "own"], ["lr"]),
    (["experiment=dotted", "--config-dir", "own"], ["training.batchsize"]),
    (["experiment=no_package", "--config-dir", "own"], ["@package _global_"]),
    (["-m", "experiment=no_package_sweep", "--config-dir", "own"], ["@package _global_"]),
    (["-m", "experiment=misspelt_sweep", "--config-dir", "own"], ["wieght_std"]),
    (["-m", "experiment=logspace", "--config-dir", "own"], ["${logspace:"]),
    (["experiment=adam", "--config-dir", "own"], ["override /optimizer"]),
    (["experiment=damaged", "--config-dir", "own"], ["damaged"]),
    (["--config-name", "bare", "--config-dir", "own"], ["bare"]),
    (["--config-name", "nothing"], ["nothing"]),
    # what is one for a whole sweep
    (["-m", "output_dir=a,b", "weight_std=0.1"], ["output_dir"]),
    (["-m", "tracking.figures=true,false", "weight_std=0.1"], ["tracking.figures"]),
    (["-m", "tracking.weights=true,false", "weight_std=0.1"], ["tracking.weights"]),
    (["-m", "tracking=none,mlflow", "weight_std=0.1"], ["tracking"]),
    (["-m", "tracking.uri=a,b", "weight_std=0.1"], ["tracking.uri"]),
    (["-m", "resume=true,false", "weight_std=0.1"], ["resume"]),
    (["-m", "on_failure=stop,continue", "weight_std=0.1"], ["on_failure"]),
    (["-m", "report.style=screen,paper", "weight_std=0.1"], ["report.style"]),
    (["-m", "hydra.launcher.n_jobs=1,2", "weight_std=0.1"], ["hydra.launcher.n_jobs"]),
    # a sweep without a run
    (["-m", "seed=range(5,1)"], ["seed=range(5,1)"]),
    (["-m", "model=glob(x*)"], ["model=glob(x*)"]),
    # places
    (["output_dir="], ["output_dir="]),
    (["output_dir=5"], ["output_dir=5"]),
    (["output_dir=null"], ["output_dir=null"]),
    (["output_dir=[a]"], ["output_dir=[a]"]),
    (["-m", "output_dir=", "weight_std=0.1"], ["output_dir="]),
    (["-m", "output_dir=null", "weight_std=0.1"], ["output_dir=null"]),
    (["output_dir=mine.py"], ["mine.py"]),
    (["hydra.run.dir="], ["hydra.run.dir"]),
    (["-m", "hydra.sweep.dir=own", "weight_std=0.1"], ["hydra.sweep.dir=own"]),
    (["data=mnist", "data.root=nowhere"], ["data.root"]),
    (["data=mnist", "data.root=~/nowhere"], ["data.root", "/nowhere"]),
    (["-m", "data=mnist", "data.root='~/nowhere'", "seed=1,2"], ["data.root", "/nowhere"]),
    (["tracking.uri=5"], ["tracking.uri=5"]),
    (["tracking.uri=sqlite://"], ["sqlite:///relative/path.db"]),
    (["tracking.uri=sqlite:///:memory:"], ["sqlite:///relative/path.db"]),
    (
        ["-m", "tracking.uri='sqlite:///x.db?mode=memory&uri=true'"],
        ["sqlite:///relative/path.db"],
    ),
    (["tracking.experiment=[a,b]"], ["tracking.experiment"]),
    (["tracking.experiment={a:1}"], ["tracking.experiment"]),
    (["tracking.experiment=.."], ["tracking.experiment=.."]),
    (["-m", "hydra.launcher.n_jobs=0", "weight_std=0.1"], ["hydra.launcher.n_jobs=0"]),
    (["-m", "hydra.launcher.n_jobs=-5", "weight_std=0.1"], ["hydra.launcher.n_jobs=-5"]),
    (["-m", "hydra.launcher.n_jobs=many", "weight_std=0.1"], ["hydra.launcher.n_jobs=many"]),
    (["-m", "hydra.launcher.n_jobs=99999999999"], ["hydra.launcher.n_jobs=99999999999"]),
    # targets of one's own
    (["optimizer._target_=nowhere.Opt"], ["optimizer", "nowhere"]),
    (["-m", "optimizer._target_=nowhere.Opt", "weight_std=0.1,1"], ["optimizer", "nowhere"]),
    (["optimizer._target_=mine.Nothing"], ["optimizer", "Nothing"]),
    (["-m", "model._target_=broken_import.net", "weight_std=0.1,1"], ["not_there"]),
    (["model._target_=broken_syntax.net"], ["broken_syntax.py"]),
    (["model._target_=mine.raises"], ["my own reason", "mine.py"]),
    (["-m", "model._target_=mine.raises", "weight_std=1,0.1"], ["my own reason", "mine.py"]),
    (["-m", "model._target_=mine.fewer", "weight_std=1,0.1"], ["hidden_sizes"]),
    (["model._target_=mine.wrong_type"], ["mine.wrong_type"]),
    (["-m", "model._target_=mine.wrong_type", "weight_std=1"], ["mine.wrong_type"]),
    (["data._target_=mine.few_labels"], ["labels"]),
    (["-m", "data._target_=mine.few_labels", "weight_std=1"], ["labels"]),
    (["-m", "model._target_=mine.double", "weight_std=1"], ["float64"]),
    (["-m", "data._target_=mine.no_dataset", "weight_std=1"], ["mine.no_dataset"]),
    (["data._target_=mine.exits"], ["mine.exits"]),
    (["-m", "data._target_=mine.exits", "weight_std=1"], ["mine.exits"]),
    (["optimizer._target_=mine.Still"], ["mine.Still", "in place"]),
    (["optimizer._target_=mine.Ends"], ["mine.Ends", "GeneratorExit"]),
    # what is one for the whole sweep
    (["-m", "weight_std=0.1,1", "output_dir=o_${weight_std}"], ["output_dir=", "is swept"]),
    (["-m", "seed=1,2", "hydra.sweep.dir=o/${seed}"], ["hydra.sweep.dir=", "seed is swept"]),
    (["-m", "tracking.weights=${model.batch_norm}"], ["tracking.weights=", "is swept"]),
    (["-m", "experiment=good,misspelt_sweep", "--config-dir", "own"], ["experiment="]),
    (["-m", "hydra.mode=RUN"], ["hydra.mode=RUN", "-m"]),
    # words
    (["--package", "x"], ["--package x", "--cfg"]),
    (["experiment=text", "--config-dir", "own"], ["optimizer=adam", "override /optimizer"]),
    (["weight_std"], ["weight_std"]),
    (["weight_std =0.1"], ["weight_std =0.1", "weight_std=0.1"]),
    (["=5"], ["=5"]),
    (["--epochs=5"], ["--epochs"]),
    (["--multirn"], ["--multirun"]),
    (["--cfg", "nonsense"], ["nonsense"]),
    (["-mx"], ["-m"]),
]


def idx(magic, shape, content):
    """Return the content of an IDX file."""
    return struct.pack(f">{len(shape) + 1}I", magic, *shape) + content


def put_files(shell):
    for name, text in FILES.items():
        path = shell.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (shell.folder / "home").mkdir()


def put_mnist(root, content=None):
    """Write the four files of a tiny MNIST into the folder `root`."""
    root.mkdir(parents=True)
    content = idx(2051, (4, 28, 28), bytes(4 * 784)) if content is None else content
    for part in ("train", "t10k"):
        (root / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
        labels = idx(2049, (4,), bytes(4))
        (root / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


def typed(arguments):
    """Return the arguments with sizes that train in no time, in case that they train."""
    tracking = () if any("tracking" in text for text in arguments) else ("tracking=none",)
    return (*SMALL, *tracking, *arguments)


def of_user(shell):
    return {"HOME": str(shell.folder / "home"), "W": "0.1"}


def contents(folder):
    """Return each file and folder in a folder, except caches of Python."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def check_refused(done):
    """Check that a command was refused with one short message that does not contradict itself."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("bnsweep: ")
    assert len(done.stderr.strip().splitlines()) <= LINES
    assert "Traceback" not in done.stderr + done.stdout
    assert not re.match(r"bnsweep: (\S+): there is no .*; did you mean \1\?", done.stderr)


@pytest.fixture(scope="module")
def quiet(quick_module_shell):
    put_files(quick_module_shell)
    return quick_module_shell


@pytest.mark.parametrize(
    ("arguments", "named"), REFUSED, ids=[" ".join(case[0])[:80] for case in REFUSED]
)
def test_it_is_refused_with_one_clear_message(quiet, arguments, named):
    before = contents(quiet.folder)
    done = quiet(*typed(arguments), timeout=SECONDS, **of_user(quiet))
    check_refused(done)
    assert [text for text in named if text not in done.stderr] == [], done.stderr
    assert contents(quiet.folder) - before == set()


def test_a_forked_command_does_what_one_of_its_own_does(quiet, shell):
    for arguments in (["wieght_std=1"], ["-m", "model=resnet"], ["--version"]):
        quick, real = quiet(*arguments), shell(*arguments)
        assert (quick.returncode, quick.stdout, quick.stderr) == (
            real.returncode,
            real.stdout,
            real.stderr,
        )


def test_the_traceback_is_there_for_who_wants_it(quiet):
    done = quiet("weight_std=-1", HYDRA_FULL_ERROR="1")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


ONE = ("weight_std=0.1", "model=plain")
ACTS = [
    # what is typed, how many runs there are, what they have
    (["weight_std=0.5"], 1, {"weight_std": {0.5}}),
    (["model=[plain]"], 1, {"model": {"plain"}}),
    (["-m", "model=[plain]", "weight_std=0.1,1"], 2, {"model": {"plain"}}),
    (
        ["-m", *ONE, "training={batch_size:50}", "training={sampling:shuffle}"],
        1,
        {"training.batch_size": {50}, "training.sampling": {"shuffle"}, "training.epochs": {1}},
    ),
    (
        ["-m", "model={dropout:0.3}", "weight_std=0.1"],
        2,
        {"model.dropout": {0.3}, "model": {"batchnorm", "plain"}},
    ),
    (["-m", *ONE, "model.dropout=0,0.5", "model={dropout:0.3}"], 1, {"model.dropout": {0.3}}),
    (["-m", "weight_std=0.1,0.1", "model=plain"], 1, {"weight_std": {0.1}}),
    (["weight_std=0.1", "-m", "seed=1,2", "model=plain"], 2, {"seed": {1, 2}}),
    (["weight_std=0.1", "--multi", "seed=range(1,4)", "model=plain"], 3, {"seed": {1, 2, 3}}),
    (["-m", "weight_std=logspace(0,-1,2)", "model=plain"], 2, {"weight_std": {1, 0.1}}),
    (["-m", "weight_std=choice(1,0.1)", "model=glob(*)"], 6, {"weight_std": {1, 0.1}}),
    (["+note=5"], 1, {}),
    (["-m", *ONE, "+note=5,6"], 2, {"note": {5, 6}}),
    (["experiment=good", "--config-dir", "own", "hydra.mode=RUN"], 1, {"optimizer": {"adam"}}),
    (
        ["-m", "--config-dir=own", "experiment=good"],
        2,
        {"weight_std": {1, 0.1}, "training.batch_size": {50}, "optimizer": {"adam"}},
    ),
    (["-m", "weight_std=1e-320,0.1", "model=plain"], 2, {"weight_std": {1e-320, 0.1}}),
    (["-m", "weight_std=1e300,0.1"], 4, {"weight_std": {1e300, 0.1}}),
    (["-m", *ONE, "optimizer.lr=1e308,0.1"], 2, {"optimizer.lr": {1e308, 0.1}}),
    (["data=mnist", "data.root=~/mnist", "training.batch_size=2"], 1, {"data": {"mnist"}}),
    (["-m", *ONE, "data=mnist", "data.root='~/mnist'", "training.batch_size=2"], 1, {}),
    (["output_dir=~/out"], 1, {}),
    (["-m", *ONE, "hydra.sweep.dir=~/sweep"], 1, {}),
    (["hydra.run.dir=~/run"], 1, {}),
    (['output_dir="logspace(0,-1,2)"'], 1, {}),
    (["-m", *ONE, "seed=1,2", "training.epochs=${seed}"], 2, {"training.epochs": {1, 2}}),
    (["-m", *ONE, "optimizer._target_=mine.Elsewhere"], 1, {"optimizer": {"Elsewhere"}}),
]
PLACES = {
    # where the runs lie, if not in outputs
    "output_dir=~/out": "home/out/runs/*",
    "hydra.sweep.dir=~/sweep": "home/sweep/*",
    "hydra.run.dir=~/run": "home/run",
    'output_dir="logspace(0,-1,2)"': "logspace(0,-1,2)/runs/*",
}


@pytest.fixture
def at_home(quick_shell):
    put_files(quick_shell)
    put_mnist(quick_shell.folder / "home" / "mnist")
    return quick_shell


def act(shell, arguments):
    sizes = ["data.train_size=4", "data.test_size=4"] if "data=mnist" in arguments else []
    words = [*typed(arguments), *sizes, *NO_FIGURES]
    launcher = any(text.startswith("hydra/launcher=") for text in arguments)
    if {"-m", "--multi"}.intersection(arguments) and not launcher:
        words.append(ONE_PROCESS)
    return shell(*words, timeout=60, **of_user(shell))


def histories(shell, place="outputs/*s/**"):
    """Return what the runs have left."""
    found = shell.folder.glob(f"{place}/history.json")
    return [json.loads(path.read_text()) for path in found]


def values(history):
    """Return the value of each key of a run, by its dotted name, and what was swept."""
    flat = {}

    def walk(part, prefix):
        for key, value in part.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(history["config"], "")
    return flat | history["swept"] | history["options"]


@pytest.mark.parametrize(
    ("arguments", "number", "held"), ACTS, ids=[" ".join(case[0])[:80] for case in ACTS]
)
def test_it_acts(at_home, arguments, number, held):
    done = act(at_home, arguments)
    assert done.returncode == 0, done.stderr
    place = next((PLACES[text] for text in arguments if text in PLACES), "outputs/*s/**")
    ended = histories(at_home, place)
    assert len(ended) == number, done.stderr
    assert {run["status"] for run in ended} <= {"finished", "diverged"}
    assert {key: {values(run).get(key) for run in ended} for key in held} == held
    for run in ended:
        assert run["name"].startswith(run["options"]["model"])
    sweeps = 1 if {"-m", "--multi"}.intersection(arguments) else 0
    assert len([*at_home.folder.rglob("summary.md")]) == sweeps
    assert not [path for path in at_home.folder.rglob("*") if "~" in path.name]


def test_runs_that_are_asked_for_twice_are_done_once_and_said(at_home):
    done = act(at_home, ["-m", "weight_std=0.1,0.1", "model=plain"])
    assert "weight_std=0.1" in done.stderr + done.stdout
    assert re.search("twice|same|once|equal", done.stderr + done.stdout)


def test_the_plainest_sweeper_says_where_its_results_are(at_home):
    done = act(at_home, ["-m", *ONE, "hydra/sweeper=basic"])
    assert done.returncode == 0, done.stderr
    assert len(histories(at_home)) == 1
    assert "outputs/sweeps/" in done.stdout + done.stderr


@pytest.mark.parametrize("value", ['"0.1"', "${oc.env:W}"])
def test_a_number_as_text_counts_or_is_said_to_be_text(at_home, value):
    done = act(at_home, [f"weight_std={value}", "model=plain"])
    if done.returncode == 0:
        assert [values(run)["weight_std"] for run in histories(at_home)] == [0.1]
    else:
        check_refused(done)
        assert "text" in done.stderr


FAILS = [
    # what is typed, what is said
    (["optimizer._target_=mine.Raises"], ["too late", "error.txt"]),
    (["optimizer._target_=mine.Exits"], []),
    (["-m", *ONE, "optimizer._target_=mine.Raises"], ["1 of 1 runs failed"]),
    (["-m", *ONE, "optimizer._target_=mine.Exits"], []),
    (["-m", *ONE, "optimizer._target_=mine.Exits", "hydra/launcher=local"], ["1 of 1 runs failed"]),
    (
        ["-m", *ONE, "optimizer._target_=mine.Raises", "hydra/sweeper=basic"],
        ["1 of 1 runs failed", "error.txt"],
    ),
    (
        [
            *("-m", *ONE, "optimizer._target_=mine.Raises", "hydra/sweeper=basic"),
            "hydra.sweep.subdir=all/${hydra.job.num}",
        ],
        ["1 of 1 runs failed", "error.txt"],
    ),
]


@pytest.mark.parametrize(
    ("arguments", "named"), FAILS, ids=[" ".join(case[0])[:80] for case in FAILS]
)
def test_a_run_that_fails_in_training_is_never_a_success(at_home, arguments, named):
    done = act(at_home, ["training.epochs=9", *arguments])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "bnsweep: " in done.stderr
    assert [text for text in named if text not in done.stderr] == [], done.stderr
    assert "Traceback" not in done.stderr + done.stdout


class Unpickled:
    """Leaves a file behind where a pickle of it is loaded."""

    def __reduce__(self):
        return open, ("unpickled", "w")


SIZES = ("data.train_size=4", "data.test_size=4", "training.batch_size=2")


@pytest.mark.parametrize(
    "images",
    [
        idx(2051, (4, 28, 28), bytes(3 * 784)),
        idx(9999, (4, 28, 28), bytes(4 * 784)),
        idx(2051, (10**9, 28, 28), bytes(4 * 784)),
        idx(2051, (4, 28, 28), bytes(5 * 784)),
        b"",
        pickle.dumps(Unpickled()),
    ],
    ids=["cut short", "wrong magic", "claims too much", "holds too much", "empty", "pickle"],
)
def test_a_broken_idx_file_is_named(quick_shell, images):
    put_mnist(quick_shell.folder / "root", images)
    done = quick_shell("data=mnist", "data.root=root", *SIZES, timeout=SECONDS)
    check_refused(done)
    assert "images-idx3-ubyte.gz" in done.stderr
    assert [path.name for path in quick_shell.folder.iterdir()] == ["root"]


def test_a_huge_file_of_images_is_judged_by_its_header(quick_shell):
    root = quick_shell.folder / "root"
    put_mnist(root)
    (root / "train-images-idx3-ubyte.gz").unlink()
    with (root / "train-images-idx3-ubyte").open("wb") as file:
        file.write(idx(2051, (12_000_000, 28, 28), b""))
        file.truncate(16 + 12_000_000 * 784)  # sparse: it takes no room
    done = quick_shell("data=mnist", "data.root=root", *SIZES, timeout=SECONDS)
    check_refused(done)
    assert "12000000" in done.stderr
    assert [path.name for path in quick_shell.folder.iterdir()] == ["root"]
