"""What a user's own parts fail at is told before any run, in one line with its place."""

import functools
import os
import sys
import threading

import pytest

from bnsweep.data import NotDownloadedError, no_downloads
from bnsweep.errors import ConfigError, DataError, UserError
from bnsweep.run import build, rehearsal
from bnsweep.run.rehearsal import Rehearsal
from bnsweep.run.users_code import kept_alive

FILES = {
    "imports.py": "import not_there\n",
    "syntax.py": "x = 1\ndef net(:\n",
    "mine.py": """
import os
import sys
from types import SimpleNamespace
import numpy as np
from bnsweep.data import Dataset, digits
from bnsweep.nn.batchnorm import BatchNorm
from bnsweep.nn.layers import Affine, Layer
from bnsweep.nn.network import Network, mlp
from bnsweep.nn.optimizers import SGD

def fails(): raise ValueError("my own reason")
def raises(**_): fails()
def says_nothing(**_): raise ValueError
def refuses(**_): return SGD(lr=-1)
def fewer(inputs, classes): pass
def short(hidden_sizes, inputs): pass
def five(**_): return 5
def exits(**_): sys.exit(3)
def ends(**_): os._exit(0)
def calls(**given): return mlp(scale=1, **given)
def interrupts(**_): raise KeyboardInterrupt

def double(**given): return mlp(**given | {"dtype": "float64"})
def three_classes(**given): return mlp(**given | {"classes": 3})
def few_labels(**given):
    d = digits(**given)
    return Dataset("few", d.x_train, d.y_train[:5], d.x_test, d.y_test, 10)
def bare(**given):
    d = digits(**given)
    return SimpleNamespace(**vars(d), features=d.features, facts=d.facts)
def of_one_batch(**given):
    d = digits(**given)
    assert len(d.x_train) == 20
    return d

class Backward(Layer):
    def forward(self, x, *, train):
        return x, lambda dy: (dy + self.missing, {})
class Writes(Layer):
    def forward(self, x, *, train):
        x *= 2
        return x, lambda dy: (2 * dy, {})
class WritesInTraining(Layer):
    def forward(self, x, *, train):
        if train:
            x += 1
        return x, lambda dy: (dy, {})
class Wide(Layer):
    def forward(self, x, *, train): return np.hstack([x, x]), lambda dy: (dy, {})
def with_layer(layer, *, inputs, classes, dtype, **_):
    W = np.ones((inputs, classes), dtype)
    return Network([[layer(), Affine(W)], [Affine(np.ones((classes, classes), dtype))]])
def backward(hidden_sizes, **given): return with_layer(Backward, **given)
def writes(hidden_sizes, **given): return with_layer(Writes, **given)
def writes_in_training(hidden_sizes, **given): return with_layer(WritesInTraining, **given)
def wide(hidden_sizes, **given): return with_layer(Wide, **given)

class Even(BatchNorm):
    def __init__(self, features, **given):
        if features % 4:
            raise ValueError("not a multiple of four")
        super().__init__(features, **given)
class Odd(BatchNorm):
    def __init__(self, features, **given):
        raise ValueError("never")

class NotInPlace(SGD):
    def step(self, w, g): w = w - self.lr * g
class NoWeightDecay(SGD):
    def update(self, w, g): w -= self.lr * g
class Unfinished(SGD):
    def step(self, w, g): w -= self.rate * g
class Late(SGD):
    def start(self, w): self.t = 0
    def step(self, w, g):
        self.t += 1
        if self.t > 20:
            w -= self.lr * g
class OfThisSize(SGD):
    def start(self, w): assert w.size > 20
    def step(self, w, g): pass
class Duck:
    def __init__(self, lr): self.lr = lr
    def start(self, w): pass
    def update(self, w, g, *, n_weights): w -= self.lr * g
""",
}


@pytest.fixture(autouse=True, scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield
    sys.modules.pop("mine", None)


def config_of(*, batch_size=10, weight_std=0.1, dtype="float32", **parts):
    config = {
        "data": {"_target_": "bnsweep.data.datasets.digits", "train_size": 20, "test_size": 10},
        "model": {"_target_": "bnsweep.nn.network.mlp", "hidden_sizes": [4]},
        "optimizer": {"_target_": "bnsweep.nn.optimizers.SGD", "lr": 0.1},
        "training": {"epochs": 2, "batch_size": batch_size, "sampling": "replacement"},
        "weight_std": weight_std,
        "seed": 0,
        "dtype": dtype,
    }
    for group, changes in parts.items():
        config[group] |= {"_target_": changes} if isinstance(changes, str) else changes
    return config


def line_of(text):
    lines = FILES["mine.py"].splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def at(text):
    return f" (mine.py, line {line_of(text)})"


NO_MODULE = "there is no module nowhere; start where it lies, or add its folder to PYTHONPATH"
REFUSED = [
    ("optimizer", "nowhere.Opt", NO_MODULE),
    ("data", "nowhere.there.load", NO_MODULE),
    ("optimizer", "mine.Opt", "there is no Opt in mine"),
    ("model", "imports.net", "ModuleNotFoundError: No module named 'not_there' (imports.py, line"),
    ("model", "syntax.net", "(syntax.py, line 2)"),
    ("model", "mine.np", "Expected a callable target"),
    ("model", "mine.raises", "ValueError: my own reason" + at("my own reason")),
    ("optimizer", "mine.says_nothing", "ValueError" + at("says_nothing")),
    ("model", "mine.calls", "unexpected keyword argument 'scale'" + at("scale=1")),
    ("model", "mine.five", "returned int, which has no params; must return a Network"),
    ("optimizer", "mine.five", "returned int, which has no start; must return an Optimizer"),
    ("data", "mine.five", "returned int, which has no x_train; must return a Dataset"),
    ("data", "mine.exits", "SystemExit: 3" + at("sys.exit")),
    ("model", "mine.exits", "SystemExit: 3" + at("sys.exit")),
    ("optimizer", "mine.ends", "SystemExit: os._exit(0)" + at("os._exit")),
    ("model", "mine.three_classes", "gives logits of shape (10, 3); must be (10, 10)"),
    ("model", "mine.backward", "no attribute 'missing'" + at("self.missing")),
    ("model", "mine.writes", "read-only" + at("x *= 2")),
    ("model", "mine.wide", "ValueError: matmul"),
    ("optimizer", "mine.NotInPlace", "step leaves w as it was; must change it in place"),
    ("optimizer", "mine.NoWeightDecay", "unexpected keyword argument 'n_weights'"),
    ("optimizer", "mine.Unfinished", "no attribute 'rate'" + at("self.rate")),
]


@pytest.mark.parametrize(("group", "target", "told"), REFUSED)
def test_a_part_that_fails_is_told_in_one_line_with_its_place(group, target, told):
    with pytest.raises(DataError if group == "data" else ConfigError) as refused:
        Rehearsal()(config_of(**{group: target}))
    message = str(refused.value)
    assert message.startswith(f"{group}._target_={target}: ")
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("group", "target", "message"),
    [
        (
            "model",
            "mine.fewer",
            "model.hidden_sizes=[4]: mine.fewer has no parameter hidden_sizes (it takes inputs, "
            "classes); give it one, or leave the key out (~model.hidden_sizes on the command line)",
        ),
        (
            "model",
            "mine.short",
            "model._target_=mine.short: has no parameter classes (it takes hidden_sizes, inputs); "
            "beside its keys it is given inputs, classes, weight_std, rng, dropout_rng, dtype",
        ),
        ("optimizer", "mine.refuses", "optimizer.lr=-1: must be a finite number greater than 0"),
        (
            "data",
            "mine.few_labels",
            "data set 'few': y_train got an array of shape (5,); it must be an array of 20 "
            "labels, one for each sample",
        ),
        (
            "model",
            "mine.double",
            "dtype: the network is float64, the data are float32; use one dtype for both",
        ),
    ],
)
def test_what_the_user_can_fix_keeps_its_own_words(group, target, message):
    with pytest.raises(UserError) as refused:
        Rehearsal()(config_of(**{group: target}))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            {"lr": 0.1, "beta1": 0.9},
            "optimizer.beta1=0.9: bnsweep.nn.optimizers.SGD has no parameter beta1 (it takes lr, "
            "weight_decay); leave the key out (~optimizer.beta1 on the command line)",
        ),
        ({}, "optimizer.lr: is missing; bnsweep.nn.optimizers.SGD needs it"),
        ({"_target_": None}, "optimizer._target_: is missing; name the function that makes opt"),
    ],
)
def test_the_keys_of_a_part_are_the_parameters_of_its_target(optimizer, message):
    config = config_of()
    config["optimizer"] = {"_target_": "bnsweep.nn.optimizers.SGD"} | optimizer
    with pytest.raises(UserError) as refused:
        Rehearsal()(config)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        ("data", "mine.bare"),
        ("optimizer", "mine.Duck"),
        # All of these move w too little, too late, or not where it can be seen.
        ("optimizer", {"_target_": "mine.Duck", "lr": 1e-30}),
        ("optimizer", "mine.Late"),
        ("optimizer", "mine.OfThisSize"),
        ("model", {"norm_layer": {"_target_": "mine.Even", "_partial_": True}}),
        ("model", "mine.writes_in_training"),
    ],
)
def test_a_part_that_training_can_use_passes_whatever_its_class(group, changes):
    facts = Rehearsal()(config_of(**{group: changes}))
    assert (facts["name"], facts["train_samples"]) == ("digits", 20)


def test_an_error_in_a_layer_of_ones_own_in_our_model_has_its_place():
    norm = {"norm_layer": {"_target_": "mine.Odd", "_partial_": True}}
    with pytest.raises(ConfigError, match=r"ValueError: never \(mine.py, line"):
        Rehearsal()(config_of(model=norm))


def test_an_interruption_is_none_of_the_parts_failures():
    with pytest.raises(KeyboardInterrupt):
        Rehearsal()(config_of(model="mine.interrupts"))


@pytest.fixture
def tried(monkeypatch):
    """The configurations with which a step was taken."""
    found = []
    step = rehearsal._take_a_step

    def noted(config, sample):
        found.append(config)
        step(config, sample)

    monkeypatch.setattr(rehearsal, "_take_a_step", noted)
    return found


def test_ours_is_tried_once_for_each_set_of_keys(tried):
    rehearse = Rehearsal()
    for n in range(20):
        for optimizer in ("SGD", "Adam"):
            target = {"_target_": f"bnsweep.nn.optimizers.{optimizer}", "lr": 0.1 + n}
            rehearse(config_of(optimizer=target, weight_std=0.1 + n))
    assert len(tried) == 2
    rehearse(config_of(dtype="float64"))
    rehearse(config_of(weight_std="he"))
    rehearse(config_of(data={"_target_": "mine.of_one_batch"}))
    assert len(tried) == 4  # other data of the same shape are no other choice


def test_ones_own_is_tried_with_each_choice_of_its_values(tried, monkeypatch):
    rehearse = Rehearsal()

    def rehearse_all(lrs):
        for lr in lrs:
            rehearse(config_of(optimizer={"_target_": "mine.Duck", "lr": lr}))

    rehearse_all([0.1, 0.2, 0.1])
    assert [config["optimizer"]["lr"] for config in tried] == [0.1, 0.2]
    monkeypatch.setattr(rehearsal, "SECONDS", 0)  # as if all that had taken long
    rehearse_all([0.3])
    assert len(tried) == 2
    rehearse(config_of(optimizer="mine.Late"))
    assert len(tried) == 3


def test_our_network_is_tried_with_few_units(tried, monkeypatch):
    sizes = []
    make = rehearsal.build_network
    monkeypatch.setattr(
        rehearsal,
        "build_network",
        lambda *given, **shape: sizes.append(make(*given, **shape)) or sizes[-1],
    )
    Rehearsal()(config_of(model={"hidden_sizes": [1000] * 50}))
    assert sizes[0].params.size < 100


def test_each_data_set_is_loaded_once(monkeypatch):
    loaded = []

    def counted(config):
        loaded.append(config["data"]["train_size"])
        return build.load_dataset(config)

    monkeypatch.setattr(rehearsal, "load_dataset", counted)
    rehearse = Rehearsal()
    sizes = [100, 200, 300]
    facts = [rehearse(config_of(data={"train_size": size})) for size in sizes * 2]
    assert loaded == sizes
    assert [of_one["train_samples"] for of_one in facts] == sizes * 2
    assert len({of_one["digest"] for of_one in facts}) == 3


def test_data_that_may_not_be_downloaded_are_no_failure_of_a_part():
    with pytest.raises(NotDownloadedError), no_downloads():
        Rehearsal()(config_of(data="bnsweep.data.datasets.mnist"))


@pytest.fixture
def gigabyte(monkeypatch):
    """A machine with this memory; what would be allocated beyond that is not."""
    monkeypatch.setattr(rehearsal, "_memory", lambda: 1e9)


@pytest.mark.parametrize(
    ("widths", "told"),
    [
        ([100_000, 100_000], "[100000,100000]: 10,007,400,000 weights and their gradient need 80"),
        ([1000] * 1_000_000, "[1000,1000,"),
        ([10**400], "GB, and there are 1 GB of memory; give smaller or fewer widths"),
    ],
    ids=["wide", "deep", "endless"],
)
def test_a_network_that_cannot_fit_is_refused_by_its_size(gigabyte, widths, told):
    with pytest.raises(ConfigError) as refused:
        Rehearsal()(config_of(model={"hidden_sizes": widths}))
    assert told in str(refused.value)
    assert len(str(refused.value)) < 2000


def test_a_network_that_may_fit_is_not_refused(gigabyte):
    largest = 11_100  # 2 * 4 * largest^2 bytes
    Rehearsal()(config_of(model={"hidden_sizes": [largest, largest]}))
    with pytest.raises(ConfigError, match="give smaller or fewer widths"):
        Rehearsal()(config_of(model={"hidden_sizes": [largest, largest]}, dtype="float64"))


def test_only_our_own_model_is_known_to_be_as_large_as_its_widths(gigabyte):
    widths = {"hidden_sizes": [100_000, 100_000]}
    Rehearsal()(config_of(model={"_target_": "mine.writes_in_training", **widths}))


def test_the_memory_of_this_machine_says_nothing_of_another_one(gigabyte):
    far = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
    here = {"_target_": "hydra_plugins.bnsweep.LocalLauncher"}
    config = config_of(model={"hidden_sizes": [100_000, 100_000]})
    Rehearsal(far)(config)
    with pytest.raises(ConfigError):
        Rehearsal(here)(config)


def test_the_memory_is_that_of_a_limit_if_there_is_one(monkeypatch):
    whole = rehearsal._memory()
    assert whole > 1e8
    monkeypatch.setattr(rehearsal, "_group_limits", lambda: iter([1e7, whole * 2]))
    assert rehearsal._memory() == 1e7
    monkeypatch.setattr(rehearsal.resource, "getrlimit", lambda _: (1e6, 1e8))
    assert rehearsal._memory() == 1e6


def test_another_thread_and_a_forked_child_can_end_the_process():
    with kept_alive():
        child = os.fork()
        if not child:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        child = os.fork()
        if not child:  # in it the thread has the right to end it
            with kept_alive():
                thread = threading.Thread(target=functools.partial(os._exit, 8))
                thread.start()
                thread.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
        with pytest.raises(SystemExit, match=r"os\._exit\(3\)"):
            os._exit(3)
    assert os._exit.__name__ == "_exit"
