"""What rests on the inside of Hydra: this fails when Hydra moves, in any version that we allow."""

import inspect
import subprocess
import sys
from argparse import Namespace

import pytest
from hydra._internal import utils
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, InstantiationException
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from hydra.utils import get_class
from omegaconf import OmegaConf

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.errors import ConfigError, DataError
from bnsweep.hydra_inside import (
    composing_alone,
    config_sources,
    initialized,
    instantiate,
    is_basic,
    no_mode_given,
    parse,
    register_resolver,
    run_hydra,
)

TASK = ("training.epochs=1", "data.train_size=100", "data.test_size=50", "model.hidden_sizes=[4]")
QUIET = ("tracking=none", "tracking.figures=false", "report.figures=[]")


def composed(*overrides, mode=RunMode.RUN):
    prepare_hydra()
    with initialized(config_folder()):
        loader = GlobalHydra.instance().config_loader()
        return loader.load_configuration("config", [*overrides], mode)


def test_hydra_starts_by_a_function_that_takes_what_we_give():
    names = list(inspect.signature(utils._run_hydra).parameters)
    assert names[:5] == ["args", "args_parser", "task_function", "config_path", "config_name"]


def test_hydras_parser_has_the_options_that_we_use_and_no_others():
    """A new one is to be thought about: does it act here, or is it to be refused?"""
    known = {
        *("--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run"),
        *("--multirun", "--shell-completion", "--config-path", "--config-name", "--config-dir"),
        *("--experimental-rerun", "--info"),
    }
    actions = utils.get_args_parser()._actions
    options = {option for action in actions for option in action.option_strings}
    assert {option for option in options if option.startswith("--")} == known
    assert [action.dest for action in actions if not action.option_strings] == ["overrides"]
    limited = {action.dest: list(action.choices) for action in actions if action.choices}
    assert limited.keys() == {"cfg", "info"}
    assert limited["cfg"] == ["job", "hydra", "all"]
    assert {"all", "config", "defaults", "plugins", "searchpath"} <= set(limited["info"])


def test_what_only_shows_something_is_left_out_where_a_run_is_composed():
    shown = [
        "--cfg",
        "job",
        "--resolve",
        "-p",
        "model",
        "--info",
        "config",
        "-sc",
        "--help",
        "--hydra-help",
        "-m",
        "a=1",
    ]
    started = composing_alone(parse(shown, ""), ["b=2"])
    assert started == parse(["-m", "b=2"], "")
    assert isinstance(started, Namespace)


def test_an_exception_of_a_callback_is_a_warning_and_an_exit_is_not():
    class Raises(Callback):
        def __init__(self, error):
            self.error = error

        def on_run_start(self, config, **_):
            raise self.error

    callbacks = Callbacks()
    callbacks.callbacks.append(Raises(ConfigError("a reason")))
    with pytest.warns(UserWarning, match="a reason"):
        callbacks.on_run_start(config=OmegaConf.create())
    callbacks.callbacks[0] = Raises(SystemExit(5))
    with pytest.raises(SystemExit):
        callbacks.on_run_start(config=OmegaConf.create())


def test_hydra_raises_its_errors_where_the_environment_says_so(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    prepare_hydra()
    with pytest.raises(HydraException):
        run_hydra(parse(["optimizr.lr=1"], ""), lambda cfg: None, config_folder())


@pytest.mark.parametrize(
    ("overrides", "given"),
    [
        ([], False),
        (["seed=1"], False),
        (["hydra.mode=RUN"], False),  # as Hydra 1.3 adds it
        (["hydra={mode:RUN}"], True),
    ],
)
def test_it_is_known_whether_anyone_has_given_a_mode(overrides, given):
    config = composed(*overrides)
    with initialized(config_folder()):
        assert no_mode_given(config) == (not given)


def test_a_single_run_starts_in_no_mode_that_somebody_gave(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []

    class Watch(Callback):
        def on_run_start(self, config, **_):
            found.append((config.hydra.mode, no_mode_given(config)))
            raise SystemExit

    monkeypatch.setattr("bnsweep.cli.app.CheckBeforeRun", Watch)
    prepare_hydra()
    for overrides in ([], ["hydra={mode:RUN}"]):
        with pytest.raises(SystemExit):
            run_hydra(parse(overrides, ""), lambda cfg: None, config_folder())
    assert found == [(RunMode.RUN, True), (RunMode.RUN, False)]
    assert not list(tmp_path.iterdir())


def wrong(what):
    raise {"user": DataError("a reason"), "other": ZeroDivisionError("by nought")}[what]


@pytest.mark.parametrize(("what", "kind"), [("user", DataError), ("other", ZeroDivisionError)])
def test_what_a_target_raises_is_raised_as_it_is(what, kind):
    config = OmegaConf.create({"_target_": f"{__name__}.wrong", "what": what})
    with pytest.raises(kind) as raised:
        instantiate(config)
    assert raised.traceback[-1].name == "wrong"


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("nowhere.Thing", ModuleNotFoundError),
        (f"{__name__}.Thing", ImportError),
        (5, InstantiationException),
    ],
)
def test_a_target_that_is_not_there_says_why(target, kind):
    with pytest.raises(kind):
        instantiate(OmegaConf.create({"_target_": target}))


def test_arguments_are_given_to_a_target():
    config = OmegaConf.create({"_target_": "builtins.dict", "a": 1})
    assert instantiate(config, b=2) == {"a": 1, "b": 2}


def test_the_sources_of_a_configuration_can_be_read():
    sources = config_sources(composed().hydra.runtime)
    found = next(source for source in sources if source.is_config("optimizer/adam"))
    assert found.load_config("optimizer/adam").config.beta1 == 0.9


def test_the_launcher_that_works_in_this_process_is_known():
    for name, basic in (("basic", True), ("local", False)):
        config = composed(f"hydra/launcher={name}", mode=RunMode.MULTIRUN)
        launcher = get_class(config.hydra.launcher._target_)()
        assert isinstance(launcher, Launcher)
        assert is_basic(launcher) == basic


def test_hydra_knows_our_plugins():
    prepare_hydra()
    assert "LocalLauncher" in {kind.__name__ for kind in Plugins.instance().discover(Launcher)}
    assert "BnsweepSweeper" in {kind.__name__ for kind in Plugins.instance().discover(Sweeper)}


def test_a_resolver_is_called_once_for_a_configuration_if_it_is_cached():
    numbers = iter(range(9))
    register_resolver("counted", lambda: next(numbers), use_cache=True)
    config = OmegaConf.create({"a": "${counted:}", "b": "${counted:}"})
    assert (config.a, config.b) == (0, 0)
    register_resolver("counted", lambda: 7)
    assert OmegaConf.create({"a": "${counted:}"}).a == 7


@pytest.mark.parametrize(
    "arguments",
    [
        ("output_dir=o",),
        ("output_dir=o", "-m", "weight_std=0.1", "hydra/launcher=basic"),
        ("output_dir=o", "-m", "weight_std=0.1", "hydra.launcher.n_jobs=1"),
        ("output_dir=o", "-m", "weight_std=0.1", "hydra/sweeper=basic", "hydra/launcher=basic"),
        ("--cfg", "job", "-m"),
        ("--help",),
        ("--info", "plugins"),
        ("experiment=learning_rate", "hydra.mode=RUN", "debug=fast"),
    ],
    ids=["run", "basic", "local", "foreign sweeper", "preview", "help", "info", "experiment"],
)
def test_hydra_has_nothing_to_warn_of(tmp_path, arguments):
    done = subprocess.run(
        [sys.executable, "-m", "bnsweep", *TASK, *QUIET, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
