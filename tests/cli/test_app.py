"""The entry: what it does before anything is run."""

import os
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bnsweep.cli import app
from bnsweep.errors import ConfigError
from bnsweep.sweep.command import TYPED


@pytest.fixture
def environment(monkeypatch):
    """An environment that the test may change."""
    monkeypatch.setattr(os, "environ", {})
    return os.environ


def with_variable(name, value):
    return OmegaConf.create({"hydra": {"job": {"env_set": {name: value}}}})


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "SECRET",
        "api_key",
    ],
)
def test_a_variable_whose_name_says_that_it_holds_a_secret_is_refused(environment, name):
    with pytest.raises(ConfigError, match=rf"^hydra\.job\.env_set\.{name}: ") as refused:
        app._set_environment(with_variable(name, "hunter2"))
    assert "set it in the environment" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert name not in environment


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "KEYBOARD", "TOKENIZERS_PARALLELISM"])
def test_other_variables_are_set(environment, name):
    app._set_environment(with_variable(name, 1))
    assert environment[name] == "1"


def called(monkeypatch, *arguments):
    """Return the exit status of a command line."""
    monkeypatch.setattr(sys, "argv", ["bnsweep", *arguments])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # it is changed
    return app.run_command_line()


def test_a_sweep_knows_its_command_as_it_was_typed_without_secrets(monkeypatch):
    """Hydra gets numbers in the place of a logspace."""
    note = 'tracking.note="see https://x.org/y{}"'
    typed = ["bnsweep", "weight_std=logspace(0,-1,2)", note.format("?token=hunter2"), "-m"]
    given = []
    monkeypatch.setattr(app, "_call_hydra", given.append)
    assert called(monkeypatch, *typed[1:]) == 0
    (args,) = given
    assert args.multirun
    assert args.overrides[:-1] == ["weight_std=1,0.1", typed[2]]
    assert args.overrides[-1].endswith("=bnsweep.cli.app.CheckBeforeRun")
    assert TYPED.get() == (*typed[:2], note.format(""), "-m")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder of the user's own configurations, in the working directory."""
    monkeypatch.chdir(tmp_path)
    files = {
        "bare": "a: 1\n",
        "part": "defaults:\n- model: plain\n- data: digits\n- _self_\n\ntraining: {epochs: 1}\n",
        "mine": "defaults: [config, _self_]\nseed: 3\n",
        "sweep": "defaults: [config, _self_]\nseed: 3\nhydra: {mode: MULTIRUN}\n",
    }
    (tmp_path / "own").mkdir()
    for name, text in files.items():
        (tmp_path / "own" / f"{name}.yaml").write_text(text)
    return ("--config-dir", "own", "--config-name")


@pytest.mark.parametrize("rest", ["", "-m", "--cfg job", "a=2"])
def test_a_configuration_without_our_defaults_is_refused_before_anything(
    own, monkeypatch, capsys, rest
):
    assert called(monkeypatch, *own, "bare", *rest.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "bnsweep: --config-name=bare: its file has no weight_std, seed, dtype, data, model, "
        "optimizer, training, output_dir, resume, on_failure, tracking, report or sweep; begin it "
        "with `defaults: [config, _self_]`, which brings all of bnsweep's own\n"
    )
    assert [path.name for path in Path().iterdir()] == ["own"]


def test_an_override_of_what_such_a_configuration_lacks_says_so(own, monkeypatch, capsys):
    assert called(monkeypatch, *own, "bare", "tracking=none", "weight_std=1") == 2
    assert capsys.readouterr().err.startswith(
        "bnsweep: --config-name=bare: its file has no tracking; begin it with `defaults: [config,"
    )
    assert [path.name for path in Path().iterdir()] == ["own"]


def test_what_such_a_configuration_lacks_is_named_alone(own, monkeypatch, capsys):
    assert called(monkeypatch, *own, "part") == 2
    lacks = capsys.readouterr().err.partition("its file has no ")[2]
    assert lacks.startswith("weight_std, seed, dtype, optimizer, output_dir, ")


@pytest.mark.parametrize("name", ["mine", "sweep"])
def test_a_configuration_that_begins_with_ours_is_one(own, monkeypatch, capsys, name):
    assert called(monkeypatch, *own, name, "--cfg", "job", "-p", "seed") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "3"
    assert out.startswith("# a sweep of 32 runs") == (name == "sweep")


def test_a_run_of_such_a_configuration_is_checked_by_us_whatever_it_sets(own, monkeypatch, capsys):
    text = "defaults: [config, _self_]\nhydra: {callbacks: {check: {_target_: nowhere.Check}}}\n"
    (Path("own") / "blind.yaml").write_text(text)
    assert called(monkeypatch, *own, "blind", "weight_std=-1") == 2
    assert "weight_std=-1: must be" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["own"]


@pytest.mark.parametrize("given", ["hydra.callbacks.check=null", "~hydra.callbacks.check"])
def test_no_argument_takes_our_check_away(tmp_path, monkeypatch, capsys, given):
    monkeypatch.chdir(tmp_path)
    assert called(monkeypatch, given, "weight_std=-1") == 2
    assert "weight_std=-1: must be" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["-r", "-m"])
def test_a_default_sweep_is_a_mapping(tmp_path, monkeypatch, capsys, mode):
    monkeypatch.chdir(tmp_path)
    assert called(monkeypatch, mode, "hydra.sweeper.params=5") == 2
    assert "hydra.sweeper.params=5: must be a mapping" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("launcher", "rate", "status"), [("local", "0.1", 0), ("basic", "0.1,-1", 2)]
)
def test_a_sweep_by_another_sweeper_says_where_its_results_are(
    tmp_path, monkeypatch, capfd, launcher, rate, status
):
    """One of its jobs may fail: then Hydra calls no callback at its end."""
    monkeypatch.chdir(tmp_path)
    small = (
        "training.epochs=1",
        "model.hidden_sizes=[4]",
        "tracking=none",
        "tracking.figures=false",
    )
    swept = (f"optimizer.lr={rate}", "weight_std=0.1", "model=plain", "output_dir=o")
    chosen = ("-m", "hydra/sweeper=basic", f"hydra/launcher={launcher}")
    assert called(monkeypatch, *chosen, *small, *swept) == status
    (folder,) = Path("o/sweeps").iterdir()
    assert capfd.readouterr().out.splitlines()[-1] == f"results: {folder}"


def test_what_looks_like_an_option_behind_two_dashes_is_answered_in_one_line(monkeypatch, capsys):
    assert called(monkeypatch, "optimizr.lr=1", "--", "-c") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_keys_of_the_users_own_folder_are_known_where_one_is_mistyped(own, monkeypatch, capsys):
    Path("own/optimizer").mkdir()
    Path("own/optimizer/mine.yaml").write_text("_target_: mine.Own\ngamma: 1\n")
    typed = ("--config-d", "own", "optimizer=mine", "optimizer.gama=2")
    assert called(monkeypatch, *typed) == 2
    err = capsys.readouterr().err
    assert err == "bnsweep: optimizer.gama: there is no such key; did you mean optimizer.gamma?\n"
