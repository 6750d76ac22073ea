import itertools

import pytest
from hydra.errors import MissingConfigException
from hypothesis import given, settings
from hypothesis import strategies as st

from bnsweep.cli.arguments import (
    check_secrets,
    expand,
    explain,
    logspace,
    options_first,
    set_environment_defaults,
)
from bnsweep.errors import ConfigError


def test_logspace_becomes_a_comma_list():
    assert expand(["weight_std=logspace(0,-2,3)"]) == ["weight_std=1,0.1,0.01"]
    assert expand(["a=logspace( 0 , -1 , 2 ),he"]) == ["a=1,0.1,he"]


def test_the_chapters_scales():
    values = [float(value) for value in logspace(0, -4, 16).split(",")]
    assert len(values) == 16
    assert values[0] == 1
    assert values[-1] == 1e-4
    ratios = [b / a for a, b in itertools.pairwise(values)]
    assert ratios == pytest.approx([10 ** (-4 / 15)] * 15)


def test_other_arguments_stay_as_they_are():
    arguments = ["-m", "--config-dir=logspace(1)", "seed=0,1", "model=plain", "a=b=c"]
    assert expand(arguments) == arguments


@pytest.mark.parametrize(
    ("given", "sorted_"),
    [
        ("a=1 -m b=2", "-m a=1 b=2"),
        ("a=1 --config-dir x b=2 --multirun", "--config-dir x --multirun a=1 b=2"),
        ("a=1 --config-dir x=y b=2", "--config-dir x=y a=1 b=2"),
        ("a=1 --config-dir=x b=2", "--config-dir=x a=1 b=2"),
        ("b=2 --cfg job a=1", "--cfg job b=2 a=1"),
        ("a=1 --info", "--info=all a=1"),
        ("--info defaults a=1", "--info defaults a=1"),
        ("--info a=1", "--info=all a=1"),
        ("plain -m +a=1 ~b", "-m plain +a=1 ~b"),
        ("--config-d mine -m a=1", "--config-d mine -m a=1"),
        ("a=1 --inf", "--info=all a=1"),
    ],
)
def test_options_come_first_with_their_values(given, sorted_):
    assert options_first(given.split()) == sorted_.split()


@pytest.mark.parametrize(
    "text", ["logspace()", "logspace(1,2)", "logspace(0,1,0)", "logspace(0,1,2.5)",
             "logspace(a,b,c)", "logspace(0,999,3)", "logspace(nan,1,2)", "logspace(0,1,1e9)"]
)  # fmt: skip
def test_a_logspace_that_cannot_be_is_named(text):
    with pytest.raises(ConfigError, match="logspace"):
        expand([f"weight_std={text}"])


@settings(deadline=None)
@given(st.text())
def test_expansion_of_any_text_gives_a_value_or_a_clear_error(text):
    try:
        (result,) = expand([f"weight_std={text}"])
    except ConfigError as error:
        assert "logspace" in str(error)
    else:
        assert result.startswith("weight_std=")


@settings(deadline=None)
@given(st.lists(st.floats() | st.integers(-400, 400), min_size=3, max_size=3))
def test_expansion_of_any_numbers_gives_finite_ones_or_a_clear_error(numbers):
    call = "logspace({},{},{})".format(*numbers)
    try:
        (result,) = expand([f"weight_std={call}"])
    except ConfigError as error:
        assert "logspace" in str(error)
    else:
        values = [float(value) for value in result.partition("=")[2].split(",")]
        assert len(values) == numbers[2]
        assert all(0 < value < float("inf") for value in values)


@pytest.mark.parametrize(
    "argument",
    [
        "tracking.uri=postgresql://me:hunter2@db.example/ml",
        "++tracking.uri='http://host/?token=hunter2'",
        "tracking={uri: 'http://hunter2@host'}",
        "http://me:hunter2@host",
        "hydra.job.env_set.MLFLOW_TRACKING_URI=http://me:hun/t@er2@host",
    ],
)
def test_an_argument_with_a_password_is_refused_and_not_repeated(argument):
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI") as refused:
        check_secrets(["-m", argument, "seed=1"])
    assert "hun" not in str(refused.value)


@pytest.mark.parametrize(
    "argument",
    [
        "tracking.uri=http://127.0.0.1:5000",
        "tracking.uri=sqlite:////home/me@host/mlflow.db",
        "data.root=/home/me@host/what?",
        "data.page=http://example.org/?language=en",
    ],
)
def test_an_argument_without_a_password_is_not_refused(argument):
    check_secrets([argument])


def test_no_telemetry_unless_the_user_says_so():
    environment = {}
    set_environment_defaults(environment)
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    environment = {"MLFLOW_DISABLE_TELEMETRY": "false"}
    set_environment_defaults(environment)
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_a_mistyped_key_is_answered_with_near_ones():
    error = ValueError("Could not override 'optimizer.lrr'.\nTo append to your config use +")
    assert "did you mean optimizer.lr" in explain(error, ["optimizer.lr", "model.eps"])


def test_an_unknown_option_is_answered_with_those_that_exist():
    text = (
        "In 'config': Could not find 'model/foo'\n\nAvailable options in 'model':\n"
        "\tbatchnorm\n\tplain\nConfig search path:\n\tprovider=hydra, path=pkg://hydra.conf\n"
    )
    message = explain(MissingConfigException(text, "model/foo"), [])
    assert message == "model=foo: there is no such option; there are: batchnorm, plain"
