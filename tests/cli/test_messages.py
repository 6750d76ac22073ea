"""Hydra's complaints in plain words: one line, with what would do."""

import re
import shlex

import pytest
from hydra._internal.callbacks import Callbacks
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from bnsweep.cli.app import config_folder, prepare_hydra, run_command_line
from bnsweep.cli.known_keys import KnownKeys
from bnsweep.cli.messages import explain
from bnsweep.errors import ConfigError, UnknownKeyError
from bnsweep.hydra_inside import initialized, readable
from bnsweep.run.config import to_plain

NOWHERE = "see --help for the keys"


def unknown():
    raise AssertionError("nobody asks for the keys")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder of the user's own configuration."""
    folder = tmp_path_factory.mktemp("my configs")
    (folder / "optimizer").mkdir()
    (folder / "optimizer" / "own.yaml").write_text("_target_: mine.Own\nlr: 0.1\ngamma: 1\n")
    return folder


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("optimizer.lrr=1", "did you mean optimizer.lr?"),
        ("optimzer.lr=1", "did you mean optimizer.lr?"),
        ("wieght_std=1", "did you mean weight_std?"),
        ("modle=plain", "did you mean model?"),
        # Another group has it.
        ("training.lr=0.1", "did you mean optimizer.lr?"),
        ("lr=0.1", "did you mean optimizer.lr?"),
        ("epochs=3", "did you mean training.epochs?"),
        ("epoch=3", "did you mean training.epochs?"),
        ("batch_norm=false", "did you mean model.batch_norm?"),
        ("figures=[curves]", "did you mean tracking.figures or report.figures?"),
        ("launcher=basic", "did you mean hydra/launcher?"),
        ("n_jobs=2", "did you mean hydra.launcher.n_jobs?"),
        ("beta1=0.8", "did you mean optimizer.beta1 (with optimizer=adam)?"),
        # Another option has it.
        (
            "optimizer.momentum=0.9",
            "optimizer=sgd has no momentum; optimizer=momentum and nesterov have it",
        ),
        (
            "optimizer=adam optimizer.momentum=0.9",
            "optimizer=adam has no momentum; optimizer=momentum and nesterov have it",
        ),
        (
            "optimizer=adam,sgd optimizer.beta1=0.8",
            "optimizer=sgd has no beta1; optimizer=adam has it",
        ),
        # Nothing is near.
        ("data.foo=1", "data has root, train_size, test_size and validation_size"),
        ("optimizer.learning_rate=1", "optimizer has lr and weight_decay"),
        ("optimizer=adm data=3 model={dropout:0.1} optimizer.lrr=1", "did you mean optimizer.lr?"),
        ("foo=1", NOWHERE),
        ("number=1", NOWHERE),  # set by the program
        ("hydra.foo=1", "see --cfg hydra for Hydra's keys"),
        ("hydra.mod=RUN", "did you mean hydra.mode?"),
        ("seed.x=1", "did you mean seed?"),
    ],
)
def test_an_unknown_key_is_answered_with_one_that_exists(typed, hint):
    prepare_hydra()
    arguments = typed.split()
    assert KnownKeys.of(config_folder(), arguments).hint(arguments[-1].partition("=")[0]) == hint


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("optimizer.gamma=1", "optimizer=sgd has no gamma; optimizer=own has it"),
        ("optimizer=own optimizer.gama=1", "did you mean optimizer.gamma?"),
        (
            "optimizer=own optimizer.beta1=1",
            "optimizer=own has no beta1; optimizer=adam has it",
        ),
    ],
)
@pytest.mark.parametrize("option", ["--config-dir", "hydra.searchpath"])
def test_keys_of_the_users_own_options_are_known(mine, option, typed, hint):
    prepare_hydra()
    places = {
        "--config-dir": ["--config-dir", str(mine)],
        "hydra.searchpath": [f'hydra.searchpath=["file://{mine}"]'],
    }
    known = KnownKeys.of(config_folder(), [*places[option], *typed.split()])
    assert known.hint(typed.split()[-1].partition("=")[0]) == hint


@pytest.mark.parametrize(
    "text",
    ["a: [\n", "- a\n", "defaults: [broken]\n", "# @package a b c\na: ${\n", "\0"],
    ids=["not YAML", "a list", "its own default", "not a value", "not a text"],
)
def test_an_option_that_cannot_be_read_does_not_keep_others_from_being_offered(tmp_path, text):
    prepare_hydra()
    for group in ("model", "optimizer"):
        (tmp_path / group).mkdir()
        (tmp_path / group / "broken.yaml").write_text(text)
    known = KnownKeys.of(config_folder(), ["--config-dir", str(tmp_path), "optimizer.lrr=1"])
    assert known.hint("optimizer.lrr") == "did you mean optimizer.lr?"
    assert known.hint("optimizer.beta1").endswith("optimizer=adam has it")
    # One that is asked for, too: Hydra has complained of another argument first.
    asked = ["--config-dir", str(tmp_path), "optimizer=broken,sgd", "optimizer.lrr=1"]
    hint = KnownKeys.of(config_folder(), asked).hint("optimizer.lrr")
    assert hint.startswith("did you mean optimizer.lr")


@pytest.mark.parametrize(
    "key", ["optimizer.lr", "optimizer.momentum", "seed", "model", "data.root"]
)
@pytest.mark.parametrize("chosen", [[], ["optimizer=adam"], ["optimizer=momentum"]])
def test_a_key_is_never_answered_with_itself(key, chosen):
    prepare_hydra()
    hint = KnownKeys.of(config_folder(), chosen).hint(key)
    assert f" {key} " not in f" {hint.replace('?', ' ')} "


FILES = {
    "needs": "defaults: [{optimizer: adam}]",
    "again": "defaults: [{/optimizer: adam}]",
    "near": "defaults: [{override optimizer: adam}]",
    "misspelt": "defaults: [{override /optimzer: adam}]",
    "last": "defaults: [{override /optimizer: adam}, {/debug: fast}]",
    "number": "defaults: [{override /optimizer: 5}]",
    "mapping": "defaults: {override /optimizer: adam}",
    "broken": "training:\n  epochs: 5\n batch_size: 10",
    "list": "- a",
    "slip": "hydra: {sweper: {params: {seed: '1,2'}}}",
    "typed": "hydra: {job: {num: x}}",
    "open": "seed: ${a",
    "two": "seed: 1\nseed: 2",
}
COMPLAINTS = [
    # what is typed, and what is said of it
    ("+weight_std=0.1", "+weight_std=0.1: weight_std is there already; write it without the +: "),
    ("+data=mnist", "+data=mnist: data is there already; write it without the +: data=mnist"),
    ("+hydra/launcher=basic", "write it without the +: hydra/launcher=basic"),
    ("++model=plain", "++model=plain: an option of a group takes no ++; write model=plain"),
    ("training=null training.epochs=1", "training.epochs: is taken away by training=null; leave"),
    ("~optimizer.lr optimizer.lr=1", "optimizer.lr: is taken away by ~optimizer.lr; leave one"),
    ("training=[1]", "training=[1]: is not a mapping of keys to values; write key: value"),
    ("~optimizer.lrr", "optimizer.lrr: there is no such key; did you mean optimizer.lr?"),
    ("~weight_std=5", "~weight_std=5: the value of weight_std is 0.01; leave this argument out"),
    ("~model=plain", "~model=plain: this option is not chosen; leave it out"),
    ("optimizer.lrr=1", "optimizer.lrr: there is no such key; did you mean optimizer.lr?"),
    ("optimzer.lr=1", "optimzer.lr: there is no such key; did you mean optimizer.lr?"),
    (
        "-m optimizer=adam optimizer.momentum=0.8",
        "optimizer=adam has no momentum; optimizer=momentum and nesterov have it",
    ),
    (
        "optimizer={lr:0.1,momentum:0.5}",
        "optimizer.momentum: there is no such key; optimizer=sgd has no momentum; "
        "optimizer=momentum and nesterov have it",
    ),
    ("hydra.job.env_set.X=5", "hydra.job.env_set.X is not there yet; add it by +hydra.job.env_set"),
    ("model@model=plain", "model@model: model is not put into a package here; write model=..."),
    ("nope@model=plain", "nope: there is no such key; "),
    ("model=null", "model=null: must be the name of an option of model; write batchnorm, dropout"),
    ("model=5", "model=5: must be the name of an option of model; write batchnorm, dropout or"),
    ("seed=1 data=null", "data=null: must be the name of an option of data; write digits, "),
    ("=5", "=5: has no key; write key=value"),
    ("model=foo", "model=foo: there is no such option; there are: batchnorm, dropout, plain"),
    ("hydra/launcher=nope", "hydra/launcher=nope: there is no such option; there are: basic"),
    ("hydra.mode=X", "expected"),
    ("hydra.job.num=x", "hydra.job.num=x: Value 'x' of type 'str' could not be converted"),
    ("weight_std=0,1", "weight_std=0,1: several values make a sweep; use -m to run it"),
    ("seed=range(0,3)", "seed=range(0,3): several values make a sweep; use -m to run it"),
    ("-m hydra.launcher.n_jobs=1,2", "belongs to the sweep as a whole; give it one value"),
    ("seed=${nothing}", "seed: ${nothing} refers to a key that does not exist; see --help"),
    ("seed=${training.epoch}", "did you mean training.epochs?"),
    ("hydra.run.dir=${nothing}", "${nothing} refers to a key that does not exist; see --help"),
    ("seed=${seed}", "seed: refers to itself by ${...}; give it a value"),
    ("seed=${oc.env:UNSET_X}", "seed: the environment variable UNSET_X is not set; set it, or "),
    ("seed=${nobody:1}", "seed: there is no ${nobody:...}; write a value"),
    ("weight_std=${logspace:0,-4,x}", "weight_std: logspace(0,-4,x): logspace takes two exponents"),
    ("-m ~hydra/launcher", "hydra.launcher: has no value; give it one"),
    # What Hydra cannot read.
    ("weight_std", "weight_std: is neither an option nor key=value; see --help for the keys"),
    ("model.=1", "model.=1: model. cannot be a key; model has hidden_sizes, "),
    (".model=1", ".model=1: .model cannot be a key; did you mean model?"),
    ("weight_std==0.1", "weight_std==0.1: has a = or a comma too many; write weight_std=0.1"),
    ("weight_std=0.1,", "weight_std=0.1,: has a = or a comma too many; write weight_std=0.1"),
    ("training={epochs:}", "cannot be read (at {epochs:}); a list is [value,value], a mapping {"),
    ("training={epochs:1", "training={epochs:1: has a bracket without its other; a list is ["),
    ("weight_std=0.1;0.2", "has ; for , between values; write weight_std=0.1,0.2"),
    (
        "weight_std=0.1)",
        "weight_std=0.1): has a bracket without its other; must be a finite number",
    ),
    ("output_dir=a(b", "output_dir=a(b: has a bracket without its other; use 'output_dir=\"a(b\"'"),
    ("model.activation=re(lu", "has a bracket without its other; must be one of relu, "),
    ("output_dir=~/a", "output_dir=~/a: contains characters that need quoting; use 'output_dir="),
    ("weight_std='1", "weight_std='1: cannot be read (at '1); must be a finite number greater "),
    ("seed=rnge(1,3)", "cannot be read (Unknown function 'rnge'); must be a whole number of at"),
    ("seed=range(a,b)", "seed=range(a,b): cannot be read (mismatch type argument start: "),
    # What stands in a file of the user's own.
    ("experiment=needs", "in the defaults list of experiment/needs, write `override /optimizer: "),
    ("experiment=again", "optimizer: an option is chosen twice; in a file's defaults list write "),
    ("experiment=near", "experiment/optimizer in experiment/near: there is no such group; write "),
    ("experiment=misspelt", "optimzer in experiment/misspelt: there is no such key; did you mean"),
    ("experiment=last", "experiment/last: Override 'optimizer : adam' is defined before 'debug: "),
    ("experiment=number", "experiment/number: Unsupported item value in defaults"),
    ("experiment=mapping", "experiment/mapping: Invalid defaults list"),
    ("experiment=broken", "experiment/broken.yaml, line 4: is not YAML ("),
    ("experiment=two", "experiment/two.yaml, line 3: is not YAML (found duplicate key seed"),
    ("experiment=list", "experiment/list: is not a mapping of keys to values; write key: value"),
    ("experiment=slip", "hydra.sweper in experiment/slip: there is no such key; did you mean "),
    ("experiment=typed", "hydra.job.num in experiment/typed: Value 'x' of type 'str' could not be"),
    ("experiment=open", "seed in experiment/open: "),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a file for each slip that one can have."""
    folder = tmp_path_factory.mktemp("slips")
    (folder / "experiment").mkdir()
    for name, text in FILES.items():
        (folder / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")
    (folder / "listed.yaml").write_text("- a\n")
    (folder / "experiment" / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    return folder


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("training.epoch", "did you mean training.epochs?"),
        ("lr", "did you mean optimizer.lr?"),
        ("frobnicate", "see --help for the keys"),
    ],
)
def test_a_key_that_we_refuse_has_the_hint_of_one_that_hydra_refuses(key, hint):
    message = explain(UnknownKeyError(key), lambda: KnownKeys.of(config_folder(), []))
    assert message == f"{key}: there is no such key; {hint}"


def compose(arguments, name):
    """Compose as a run or a sweep does, and read all of it."""
    mode = RunMode.MULTIRUN if "-m" in arguments else RunMode.RUN
    given = [argument for argument in arguments if argument != "-m"]
    loader = GlobalHydra.instance().config_loader()
    cfg = loader.load_configuration(name, given, run_mode=mode)
    to_plain(cfg)
    str(cfg.hydra.run.dir)
    context = HydraContext(loader, Callbacks())
    Plugins.instance().instantiate_launcher(hydra_context=context, task_function=print, config=cfg)


def said(arguments, folder, name="config"):
    """Return what is said of the complaint that real Hydra has of these arguments."""
    prepare_hydra()
    GlobalHydra.instance().clear()
    arguments = [f"hydra.searchpath=[file://{folder}]", *arguments]
    with (
        initialized(config_folder()),
        pytest.raises((HydraException, OmegaConfBaseException, YAMLError, ValueError)) as caught,
    ):
        compose(arguments, name)
    message = explain(caught.value, lambda: KnownKeys.of(config_folder(), arguments), arguments)
    assert len(message.splitlines()) == 1
    assert "HYDRA_FULL_ERROR" not in message
    for key in re.findall(r"^(\S+): there is no such key", message):
        assert f"did you mean {key}?" not in message
    return message


@pytest.mark.parametrize(("typed", "message"), COMPLAINTS, ids=[typed for typed, _ in COMPLAINTS])
def test_a_complaint_of_hydra_says_what_is_wrong_and_what_to_do(folder, typed, message):
    assert message in said(typed.split(), folder)


@pytest.mark.parametrize("typed", ["weight_std =0.1", " weight_std=0.1", "weight_std = 0.1"])
def test_a_blank_beside_a_key_is_named_and_taken_away(folder, typed):
    message = said([typed], folder)
    assert message == f"{typed}: has a blank beside its key; write weight_std=0.1"


def test_what_is_advised_can_be_read(folder):
    for typed in ("weight_std =0.1", "weight_std==0.1", "a=b;c", "output_dir=~/a", "a=b c(d"):
        advised = shlex.split(said([typed], folder).rpartition("; ")[2])[1]
        assert readable(advised)


@pytest.mark.parametrize("typed", ["weight_std=logspace(0,-4,16)", "+x=[logspace(0,-4,16)]"])
def test_a_file_is_told_how_it_writes_a_logspace(folder, typed):
    assert "${logspace:0,-4,16}" in said([typed], folder)


def test_a_file_whose_value_is_a_logspace_is_told_so():
    error = ConfigError("weight_std=logspace(0,-1,2): must be a finite number")
    assert "must be a finite number; in a file write ${logspace:0," in explain(error, unknown)


def test_a_file_that_is_no_text_is_named(folder):
    message = said(["experiment=binary"], folder)
    assert message.startswith("experiment/binary: 'utf-8' codec can't decode")


def test_a_configuration_that_does_not_exist_is_named(folder):
    message = said([], folder, "nope")
    assert message.startswith("--config-name=nope: there is no such file; name its folder by")


@pytest.mark.parametrize(
    ("folder_of", "message"),
    [
        ("nowhere", "/nowhere: there is no such folder; give --config-dir one"),
        (".", "listed: is not a mapping of keys to values; write key: value"),
    ],
)
def test_a_main_file_that_cannot_be_had_is_named(monkeypatch, capsys, folder, folder_of, message):
    options = ["--config-dir", str(folder / folder_of), "--config-name", "listed"]
    monkeypatch.setattr("sys.argv", ["bnsweep", *options])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # set by the program, and restored after the test
    GlobalHydra.instance().clear()
    assert run_command_line() == 2
    assert message in capsys.readouterr().err
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("typed", ["hydra.launcher=joblib", "++hydra.launcher=joblib"])
def test_a_launcher_chosen_by_a_dot_is_to_be_chosen_by_a_slash(folder, typed):
    message = said(["-m", typed], folder)
    assert "an option is chosen by a slash; write hydra/launcher=..." in message


@pytest.mark.parametrize(
    ("option", "missing", "extra"),
    [("joblib", "joblib", "joblib"), ("ray", "ray", "ray"), ("slurm", "submitit_slurm", "slurm")],
)
def test_a_launcher_that_is_not_installed_is_told_its_extra(
    monkeypatch, folder, option, missing, extra
):
    prepare_hydra()
    launchers = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(launchers, f"{missing}.yaml", raising=False)
    message = said([f"hydra/launcher={option}"], folder)
    assert message == (
        f"hydra/launcher={option}: its packages are not installed; use "
        f"pip install 'bnsweep[{extra}]'"
    )


def test_an_error_of_ours_is_one_line_that_is_not_long():
    error = TypeError("\n".join(["a line that says nothing"] * 100))
    message = explain(error, unknown)
    assert message.startswith("TypeError: a line that says")
    assert message.endswith("(set HYDRA_FULL_ERROR=1 for the traceback)")
    assert len(message.splitlines()) == 1
    try:
        raise error from ValueError("another")
    except TypeError as raised:
        assert explain(raised, unknown) == message
    message = explain(ConfigError(f"seed={'1' * 5000}: too large; write less"), unknown)
    assert message.startswith("seed=111")
    assert message.endswith("111: too large; write less")
    assert len(message) < 1100


def test_python_s_own_errors_say_what_they_are():
    assert explain(MemoryError(), unknown) == "there is not enough memory"
    assert explain(PermissionError(13, "Permission denied", "x"), unknown).endswith("denied: 'x'")
