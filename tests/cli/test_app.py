"""The entry: what it does before anything is run."""

import os
import sys

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


def test_a_sweep_knows_its_command_as_it_was_typed_without_secrets(monkeypatch):
    """Hydra gets the options first, and numbers in the place of a logspace."""
    note = 'tracking.note="see https://x.org/y{}"'
    typed = ["bnsweep", "weight_std=logspace(0,-1,2)", note.format("?token=hunter2"), "-m"]
    given = []
    monkeypatch.setattr(sys, "argv", [*typed])
    monkeypatch.setattr(app, "_call_hydra", lambda: given.extend(sys.argv))
    assert app.run_command_line() == 0
    assert given == ["bnsweep", "-m", "weight_std=1,0.1", typed[2]]
    assert TYPED.get() == (*typed[:2], note.format(""), "-m")
