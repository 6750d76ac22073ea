"""Three hundred random command lines: each does all that was asked for, or is refused at once.

What was asked for is worked out from Hydra's own parser and composition: each override acts in the
order in which it was typed, a sweep is the product of the choices, and equal runs are one.
"""

import contextlib
import csv
import itertools
import json
import math
import random
import shlex
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.hydra_inside import initialized
from bnsweep.records.keys import GROUPS, RESULT_KEYS, flatten

CHUNKS, LINES = 6, 50
MOST_RUNS = 24
SECONDS, REFUSAL_SECONDS = 60, 10
MESSAGE_LINES = 6

BASE = (
    *("training.epochs=1", "data.train_size=200", "data.test_size=100", "tracking=none"),
    *("model.hidden_sizes=[10,10]", "report.figures=[]", "tracking.figures=false"),
)

# Of each key, values that it may have, and values that it may not.
KEYS = {
    "weight_std": (["0.1", "1", "he", "xavier", "1e-3"], ["0", "-1", "abc", "nan", "true", "[1]"]),
    "seed": (["0", "1", "7", "12345"], ["-1", "1.5", "abc", "null"]),
    "dtype": (["float32", "float64"], ["int8", "32", "null"]),
    "training.epochs": (["1", "2"], ["0", "-1", "1.5", "null", "many"]),
    "training.batch_size": (["10", "50", "100"], ["0", "2.5", "300", "x"]),
    "training.sampling": (["replacement", "shuffle"], ["all", "1", "null"]),
    "model.dropout": (["0", "0.3", "0.5"], ["1", "-0.1", "x"]),
    "model.dropout_position": (["every", "last"], ["first"]),
    "model.activation": (["relu", "sigmoid", "tanh"], ["gelu", "null"]),
    "model.batch_norm": (["true", "false"], ["1", "maybe"]),
    "model.norm_position": (["before", "after"], ["under"]),
    "model.hidden_sizes": (["[10]", "[10,10]", "[5,5,5]"], ["[]", "[0]", "10", "[a]", "[10"]),
    "optimizer.lr": (["0.1", "0.01", "1e-3"], ["0", "-1", "x"]),
    "optimizer.weight_decay": (["0", "0.01"], ["-1", "null"]),
    "data.train_size": (["150", "200"], ["0", "5000", "x"]),
    "data.validation_size": (["0", "50"], ["-1", "200"]),
}
# The same for what is one for all runs, and so may not be swept.
SHARED = {
    "output_dir": (["out", "'a b'", "there/below"], ["", "5", "null", "[a]"]),
    "report.style": (["screen", "paper"], ["poster"]),
    "report.formats": (["[png]", "[svg]"], ["[gif]", "png"]),
    "tracking.note": (["hello", '"one, two"', "5", "null"], ["[a]"]),
    "tracking.weights": (["true", "false"], ["maybe"]),
    "resume": (["true", "false"], ["maybe"]),
    "on_failure": (["stop", "continue"], ["retry"]),
    "hydra.job.chdir": (["true", "false"], []),
}
GROUP_OPTIONS = {
    "model": (["batchnorm", "plain", "dropout", "[plain]"], ["resnet", "null", "5", "[]"]),
    "optimizer": (["sgd", "momentum", "adam", "adagrad"], ["lion", "null", "SGD"]),
    "data": (["digits"], ["cifar", "null"]),
    "debug": (["fast", "null"], ["slow"]),
}
NODES = {
    "training": ["batch_size", "epochs", "sampling"],
    "model": ["dropout", "activation", "batch_norm", "hidden_sizes"],
    "optimizer": ["lr", "weight_decay"],
    "data": ["train_size", "validation_size"],
}
GLOBAL = "# @package _global_\n"
FILES = {
    "good": f"{GLOBAL}defaults:\n  - override /optimizer: adam\ntraining: {{batch_size: 50}}\n",
    "sweep": f"{GLOBAL}hydra: {{sweeper: {{params: {{weight_std: '1,0.1', seed: '1,2'}}}}}}\n",
    "mapping": f"{GLOBAL}hydra: {{sweeper: {{params: {{training: '{{batch_size: 20}}'}}}}}}\n",
    "nodes": f"{GLOBAL}model: {{dropout: 0.3}}\nseed: 5\n",
    "slip": f"{GLOBAL}training: {{batchsize: 5}}\n",
    "slip_in_sweep": f"{GLOBAL}hydra: {{sweeper: {{params: {{seeds: '1,2'}}}}}}\n",
    "no_package": "training: {batch_size: 5}\n",
    "own_key": f"{GLOBAL}mine: 5\n",
    "value": f"{GLOBAL}training: {{batch_size: -5}}\n",
    "no_override": f"{GLOBAL}defaults:\n  - optimizer: adam\n",
    "damaged": f"{GLOBAL}training: {{batch_size: 5\n",
}
GOOD_FILES = ("good", "sweep", "mapping", "nodes")


class Item(NamedTuple):
    """A part of a command line.

    `meaning` is what Hydra would be given for it: None for an option, or what it cannot be given.
    `sure` is whether it is right by itself.
    """

    words: tuple[str, ...]
    meaning: str | None = None
    sure: bool = False
    wrong: bool = False
    sweep: bool | None = None

    @classmethod
    def of(cls, text, sure=False):
        return cls((text,), text, sure)


def misspelt(rng, key):
    """Return a key with a letter lost, doubled, or exchanged with the next."""
    n = rng.randrange(len(key) - 1)
    return rng.choice(
        [
            key[:n] + key[n + 1 :],
            key[:n] + key[n] + key[n:],
            key[:n] + key[n + 1] + key[n] + key[n + 2 :],
        ]
    )


def value_item(rng):
    keys = KEYS if rng.random() < 0.8 else SHARED
    key = rng.choice([*keys])
    good, bad = keys[key]
    is_bad = bool(bad) and rng.random() < 0.2
    return Item.of(f"{key}={rng.choice(bad if is_bad else good)}", not is_bad)


def list_item(rng):
    """Return a key with several values."""
    shared = rng.random() < 0.07
    keys = SHARED if shared else KEYS
    key = rng.choice([*keys])
    good, bad = keys[key]
    values = rng.sample(good, min(len(good), rng.choice([2, 2, 3])))
    sure = not shared and "" not in values
    if rng.random() < 0.15:
        values.append(rng.choice(values))
    if bad and rng.random() < 0.12:
        values.append(rng.choice(bad))
        sure = False
    text = ",".join(values)
    how = rng.choice(["{}", "{}", "{}", "choice({})", "shuffle({})", "tag(a,{})", "[{}]", "({})"])
    sure = sure and how in ("{}", "choice({})", "shuffle({})")
    return Item.of(f"{key}={how.format(text)}", sure)


def numbers_item(rng):
    """Return a key with values that a function makes."""
    return rng.choice(
        [
            Item.of("seed=range(0,3)", True),
            Item.of("seed=range(3)", True),
            Item.of("seed=range(5,1)"),
            Item.of("seed=range(1,6,2)", True),
            Item.of("seed=range(0,2,0.5)"),
            Item.of("seed=sort(3,1,2)", True),
            Item.of("seed=int(1.0,2.0)"),
            Item.of("weight_std=range(0.1,0.4,0.1)", True),
            Item.of("weight_std=interval(0,1)"),
            Item.of("weight_std=float(1,2)"),
            Item.of("optimizer.lr=sort(0.1,0.01,reverse=true)", True),
            logspace(0, -1, 2),
            logspace(-1, 1, 3),
            logspace(0, -2, 1),
            logspace(0, 0, 2),
            Item(("weight_std=logspace(0,-1)",), wrong=True),
            Item(("weight_std=logspace(0,-1,0)",), wrong=True),
            Item(("weight_std=logspace(a,b,c)",), wrong=True),
            Item.of("weight_std=${optimizer.lr}", True),
            Item.of("weight_std=${nothing}"),
            Item.of("seed=${oc.env:NUMBER}"),
            Item.of("weight_std=1,${optimizer.lr}", True),
        ]
    )


def logspace(low, high, count):
    step = (high - low) / max(count - 1, 1)
    values = ",".join(f"{10 ** (low + n * step):.12g}" for n in range(count))
    return Item((f"weight_std=logspace({low},{high},{count})",), f"weight_std={values}", True)


def group_item(rng):
    group = rng.choice([*GROUP_OPTIONS, "model", "optimizer"])
    good, bad = GROUP_OPTIONS[group]
    plain = [option for option in good if option[0] not in "[n"]
    how = rng.random()
    if how < 0.4:
        return Item.of(f"{group}={rng.choice(good)}", True)
    if how < 0.55:
        return Item.of(f"{group}={rng.choice(bad)}")
    if how < 0.8 and len(plain) > 1:
        return Item.of(f"{group}={','.join(rng.sample(plain, 2))}", True)
    if how < 0.9:
        if group == "data":
            return Item.of("data=glob(dig*)", True)  # others are downloaded
        pattern = rng.choice(["glob(*)", "glob(a*)", "glob(x*)", "glob(*,exclude=plain)"])
        return Item.of(f"{group}={pattern}")
    return Item.of(rng.choice([f"~{group}", f"+{group}={good[0]}", f"{group}@{group}={good[0]}"]))


def mapping_item(rng):
    """Return a node with one or more mappings."""
    node = rng.choice([*NODES])

    def mapping(sure):
        names = rng.sample(NODES[node], rng.choice([1, 1, 2]))
        pairs = []
        for name in names:
            good, _ = KEYS[f"{node}.{name}"]
            pairs.append((name if sure else f"{name}s", rng.choice(good)))
        return "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"

    sure = rng.random() < 0.85
    text = mapping(sure)
    if rng.random() < 0.3:
        text = f"{text},{mapping(True)}"
    prefix = rng.choice(["", "", "", "", "+", "++"])
    return Item.of(f"{prefix}{node}={text}", sure and not prefix)


def odd_item(rng):
    """Return quotes, blanks, prefixes and misspelt keys."""
    key = rng.choice([*KEYS])
    good = rng.choice(KEYS[key][0])
    how = rng.randrange(12)
    texts = [
        f'{key}="{good}"',
        f"{key}='{good}'",
        f"{key} ={good}",
        f"{key}= {good}",
        f" {key}={good}",
        f"{key}={good} , {good}",
        f"+{key}={good}",
        f"++{key}={good}",
        f"~{key}",
        f"~{key}={good}",
        f"{misspelt(rng, key)}={good}",
        rng.choice([key, f"{key}==", f"{key}=={good}", f"{key}:{good}", f"={good}"]),
    ]
    return Item.of(texts[how])


def own_item(rng):
    return rng.choice(
        [
            Item.of("+mine=5", True),
            Item.of("+mine=5,6", True),
            Item.of("+mine.deep={a:1,b:[2,3]}", True),
            Item.of("++mine.deep=x,y", True),
            Item.of("mine=5"),
            Item.of("+model.inputs=3"),
            Item.of("+optimizer.momentum=0.9"),
            Item.of("+training.warmup=5"),
        ]
    )


def file_item(rng):
    name = rng.choice([*GOOD_FILES, *GOOD_FILES, *FILES, "nothing"])
    several = f"{name},{rng.choice(GOOD_FILES)}" if rng.random() < 0.2 else name
    return Item.of(f"experiment={several}")


def option_item(rng):
    return rng.choice(
        [
            Item(("--multi",), sure=True, sweep=True),
            Item(("--multirun",), sure=True, sweep=True),
            Item(("hydra/launcher=basic",), sure=True),
            Item(("hydra/launcher=basic",), sure=True),
            Item(("hydra/launcher=local",), sure=True),
            Item(("hydra.launcher.n_jobs=1",)),
            Item(("hydra.launcher.n_jobs=0",)),
            Item(("hydra/launcher=nowhere",), wrong=True),
            Item(("hydra.sweep.dir=there",), sure=True),
            Item(("hydra.run.dir=there",), sure=True),
            Item(("hydra.sweep.subdir=x",)),
            Item(("--nonsense",), wrong=True),
            Item(("-x",), wrong=True),
            Item(("--config-name", "nothing"), wrong=True),
            Item(("nonsense",), wrong=True),
        ]
    )


KINDS = {
    value_item: 5,
    list_item: 5,
    numbers_item: 2,
    group_item: 4,
    mapping_item: 3,
    odd_item: 2,
    own_item: 1,
    file_item: 2,
    option_item: 2,
}


@dataclass(frozen=True)
class Line:
    """A command line, and what is known of it without asking the program.

    `texts` are the overrides of its runs, in order; None where it has to be refused.
    """

    words: tuple[str, ...]
    texts: tuple[str, ...] | None
    sweep: bool
    sure: bool


def make_line(rng):
    items = [kind(rng) for kind in rng.choices([*KINDS], [*KINDS.values()], k=rng.randint(1, 4))]
    base = [Item.of(text, True) for text in BASE]
    if rng.random() < 0.15:
        base.append(Item.of("debug=fast", True))
    sweep = rng.random() < 0.7
    if sweep:
        base.append(Item(("-m",), sure=True, sweep=True))
        if rng.random() < 0.9:
            base.append(Item.of(rng.choice(["weight_std=0.1", "weight_std=0.1,1"]), True))
    base.append(Item(("--config-dir", "own"), sure=True))
    # What is said by items comes after the same said by the base, but for a few.
    parts = [*base, *items]
    if rng.random() < 0.3:
        rng.shuffle(parts)
    else:
        for option in [part for part in parts if part.meaning is None]:
            parts.remove(option)
            parts.insert(rng.randint(0, len(parts)), option)
    meanings = [part.meaning for part in parts if part.meaning is not None]
    wrong = any(part.wrong for part in parts)
    keys = [text.lstrip("+~").partition("=")[0] for text in meanings]
    return Line(
        words=tuple(itertools.chain(*(part.words for part in parts))),
        texts=None if wrong else tuple(meanings),
        sweep=any(part.sweep for part in parts),
        sure=all(part.sure for part in parts) and len(set(keys)) == len(keys),
    )


class Asked(NamedTuple):
    """The configuration of a run that was asked for: that of its numbers, and the whole."""

    numbers: dict
    whole: dict


class TooManyRunsError(Exception):
    """More runs than a test has time for."""


def canonical(value):
    """Return a value in a form in which equal ones are the same text."""

    def one(value):
        if isinstance(value, dict):
            return {str(key): one(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [one(item) for item in value]
        whole = isinstance(value, float) and math.isfinite(value) and value.is_integer()
        return int(value) if whole else value

    return json.dumps(one(value), sort_keys=True)


class Oracle:
    """Works out by Hydra's own rules which runs a command line asks for."""

    def __init__(self, folder):
        self._path = [f"hydra.searchpath=[file://{folder}]"]
        self._loader = GlobalHydra.instance().config_loader()

    def asked(self, line):
        """Return the runs, each once; None where the line has to be refused."""
        if line.texts is None:
            return None
        try:
            combinations = self._combinations(line)
        except TooManyRunsError:
            raise
        except Exception:
            return None
        runs = {}
        for texts in combinations:
            try:
                asked = self._composed(texts)
            except Exception:
                return None
            if not set(RESULT_KEYS) <= set(asked.numbers):
                return None
            runs[canonical(asked.whole)] = asked
        return [*runs.values()] or None

    def _combinations(self, line):
        parser = OverridesParser.create(config_loader=self._loader)
        texts = list(line.texts)
        if line.sweep:
            config = self._loader.load_configuration(
                "config", [*self._path, *texts], RunMode.MULTIRUN
            )
            params = OmegaConf.to_container(config.hydra.sweeper.params, resolve=True)
            texts = [*(f"{key}={value}" for key, value in params.items()), *texts]
        overrides = parser.parse_overrides(texts)
        kept = [
            override
            for n, override in enumerate(overrides)
            if not any(replaces(later, override) for later in overrides[n + 1 :])
        ]
        choices = [self._choices(override) for override in kept]
        if not line.sweep and any(override.is_sweep_override() for override in kept):
            raise ValueError("several values")
        if math.prod(map(len, choices)) > MOST_RUNS:
            raise TooManyRunsError
        return list(itertools.product(*choices))

    def _choices(self, override):
        if not override.is_sweep_override():
            return [override.input_line]
        values = itertools.islice(override.sweep_string_iterator(), 1000)
        return [f"{override.get_key_element()}={value}" for value in values]

    def _composed(self, texts):
        config = self._loader.load_configuration("config", [*self._path, *texts], RunMode.RUN)
        whole = {
            str(key): OmegaConf.to_container(config[key], resolve=True)
            if OmegaConf.is_config(config[key])
            else config[key]
            for key in config
            if key not in ("hydra", "sweep", "output_dir")
        }
        return Asked({key: whole[key] for key in RESULT_KEYS if key in whole}, whole)


def replaces(later, earlier):
    """Whether an override leaves nothing of an earlier one, so that its choices do not count."""
    same = later.key_or_group == earlier.key_or_group and later.package == earlier.package
    kinds = {override.type for override in (later, earlier)}
    return same and len(kinds) == 1 and not has_mapping(later) and not has_mapping(earlier)


def has_mapping(override):
    value = override.value()
    return any(isinstance(choice, dict) for choice in getattr(value, "list", None) or [value])


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    put_files(folder)
    prepare_hydra()
    with initialized(config_folder()):
        yield Oracle(folder)


def put_files(folder):
    for name, text in FILES.items():
        path = folder / "experiment" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def contents(folder):
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def problem_of_refusal(done, seconds, created):
    """Return what is wrong with how a line was refused; None if nothing is."""
    if not done.stderr.startswith("bnsweep: "):
        return "the message is not the program's"
    if len(done.stderr.strip().splitlines()) > MESSAGE_LINES:
        return "the message is too long"
    if "Traceback" in done.stderr + done.stdout:
        return "there is a traceback"
    if "HYDRA_FULL_ERROR" in done.stderr:
        return "the message is Python's"
    if created:
        return f"it has made {sorted(str(path) for path in created)[:3]}"
    return "it took long" if seconds > REFUSAL_SECONDS else None


def problem_of_runs(folder, asked, sweep):
    """Return how the runs in a folder are not those that were asked for; None if they are."""
    runs = {}
    for path in folder.rglob("history.json"):
        history = json.loads(path.read_text())
        if history["status"] not in ("finished", "diverged"):
            return f"a run is {history['status']}"
        saved = OmegaConf.to_container(OmegaConf.load(path.parent / "config.yaml"))
        if canonical(saved) != canonical(history["config"]):
            return f"{path.parent}: config.yaml is not the configuration of the history"
        if problem := problem_of_options(history):
            return problem
        runs[history["number"]] = history
    have = Counter(canonical(history["config"]) for history in runs.values())
    want = Counter(canonical(one.numbers) for one in asked)
    labels = Counter(canonical([run["config"], run["swept"]]) for run in runs.values())
    if len(labels) < len(runs):
        return f"equal runs are done more than once: {len(runs)} runs, {len(labels)} of them differ"
    if set(have) != set(want) or not have >= want:
        return (
            f"{have.total()} runs, asked for {want.total()}\n"
            f"  too many: {list((have - want).elements())[:2]}\n"
            f"  missing: {list((want - have).elements())[:2]}"
        )
    if not sweep:
        return None
    return problem_of_table(folder, runs, asked)


def problem_of_options(history):
    """Return where a run's name tells something else than its configuration."""
    config, options = history["config"], history["options"]
    model = config["model"]
    says = {
        "batchnorm": model["batch_norm"] is True,
        "plain": model["batch_norm"] is False,
        "dropout": model["dropout"] > 0 and model["batch_norm"] is False,
    }
    if not says.get(options["model"], True):
        return f"a run is called {options['model']}, and its model is {model}"
    target = config["optimizer"]["_target_"].rpartition(".")[2].lower()
    if options["optimizer"] != target:
        return f"an optimizer is called {options['optimizer']}, and is {target}"
    if not history["name"].startswith(options["model"]):
        return f"a run is named {history['name']}, and its model is {options['model']}"
    return None


def problem_of_table(folder, runs, asked):
    """Return where the labels in results.csv are not those of the configurations."""
    (path,) = folder.rglob("results.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if {int(row["number"]) for row in rows} != set(runs):
        return "results.csv has other runs than the folders"
    columns = list(rows[0])
    keys = columns[columns.index("status") + 1 : columns.index("final_train_accuracy")]
    own = []
    for row in rows:
        history = runs[int(row["number"])]
        leaves = flatten(history["config"]) | history["options"]
        if row["name"] != history["name"]:
            return f"run {row['number']} has two names: {row['name']}, {history['name']}"
        for key in keys:
            if key not in leaves:
                own.append(key)
            elif row[key] != ("" if leaves[key] is None else str(leaves[key])):
                return f"run {row['number']}: {key} is {row[key]} and was {leaves[key]}"
    if len({tuple(row[key] for key in keys) for row in rows}) < len(rows):
        return f"two runs have the same labels: {keys}"
    flat = [flatten(one.whole) for one in asked]
    for key in set(own) - {*GROUPS, "experiment", "debug"}:
        have = Counter(row[key] for row in rows)
        want = Counter("" if one.get(key) is None else str(one[key]) for one in flat)
        if have != want:
            return f"the labels of {key} are {have}, and were asked as {want}"
    differing = {
        key
        for key in {key for one in flat for key in one}
        if len({canonical(one.get(key)) for one in flat}) > 1
    }
    named = {key.partition(".")[0] for key in keys}
    by_file = named & {"experiment", "debug"}
    if lost := [k for k in differing if k.partition(".")[0] not in named and not by_file]:
        return f"the runs differ in {lost}, and their labels are of {keys}"
    return None


def problem(shell, line, asked):
    """Type a line and return what is wrong with what comes of it, or None; and whether it acted."""
    shell.folder.mkdir()
    put_files(shell.folder / "own")
    before = contents(shell.folder)
    begun = time.monotonic()
    try:
        done = shell(*line.words, timeout=SECONDS, NUMBER="3", HOME=str(shell.folder))
    except subprocess.TimeoutExpired:
        return f"it did not end within {SECONDS} seconds", False
    seconds = time.monotonic() - begun
    created = contents(shell.folder) - before
    why: str | None = f"it ended with status {done.returncode}"
    if done.returncode == 2:
        why = problem_of_refusal(done, seconds, created)
        if why is None and line.sure and asked is not None:
            why = "it was refused, and nothing is wrong with it"
    elif done.returncode == 0 and asked is None:
        why = "it acted, and cannot be composed"
    elif done.returncode == 0:
        why = problem_of_runs(shell.folder, asked, line.sweep)
    if why is None:
        return None, done.returncode == 0
    shown = (done.stdout.strip()[-300:] if done.returncode else "") + done.stderr.strip()[-1500:]
    return f"{why}\n  status {done.returncode}: {shown}", done.returncode == 0


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_each_line_does_what_was_asked_or_is_refused(quick_shell, oracle, chunk):
    rng = random.Random(chunk)
    problems, acted = [], 0
    for number in range(LINES):
        asked = None
        line = make_line(rng)
        while True:
            with contextlib.suppress(TooManyRunsError):
                asked = oracle.asked(line)
                break
            line = make_line(rng)
        shell = replace(quick_shell, folder=Path(quick_shell.folder, str(number)))
        why, acts = problem(shell, line, asked)
        acted += acts
        if why is not None:
            problems.append(f"{number}. python -m bnsweep {shlex.join(line.words)}\n  {why}")
    assert not problems, f"{len(problems)} of {LINES} lines:\n\n" + "\n\n".join(problems)
    assert acted >= LINES / 5
