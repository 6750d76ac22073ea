import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnsweep.cli.arguments import (
    asks_for_job,
    asks_for_version,
    check_secrets,
    config_dir,
    expand,
    logspace,
    of_one_run,
    options_first,
    set_environment_defaults,
    without_cfg,
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
        ("a=1 --info -m", "--info -m a=1"),
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


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("--version", True),
        ("--vers", True),
        ("-m --version seed=1", True),
        ("--config-dir --version", False),
        ("version=--version", False),
    ],
)
def test_the_version_is_asked_for_by_its_option(given, asked):
    assert asks_for_version(given.split()) == asked


@pytest.mark.parametrize(
    ("given", "rest"),
    [
        ("-m --cfg job a=1,2", "-m a=1,2"),
        ("--cfg=job -m --resolve -p model a=1", "-m a=1"),
        ("-c job --package=model experiment=x", "experiment=x"),
        ("--cf job --config-dir mine a=1", "--config-dir mine a=1"),
        ("-m --cfg hydra", None),
        ("--cfg all", None),
        ("-p job", None),
        ("-m cfg=job", None),
    ],
)
def test_the_job_of_a_sweep_is_asked_for_by_cfg_job(given, rest):
    assert asks_for_job(given.split()) == (rest is not None)
    if rest is not None:
        assert without_cfg(given.split()) == rest.split()


def test_one_run_of_a_sweep_is_shown_with_the_options_of_the_sweep():
    given = ["-m", "--cfg", "job", "--config-dir=x", "-p", "model", "--multirun", "a=1,2", "b=3"]
    expected = ["--cfg", "job", "--config-dir=x", "-p", "model", "a=1", "b=3"]
    assert of_one_run(given, ["a=1", "b=3"]) == expected


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("--config-dir mine a=1", "mine"),
        ("-cd=a=b", "a=b"),
        ("--config-d=mine", "mine"),
        ("", None),
    ],
)
def test_the_folder_of_the_users_own_configuration_is_known(given, folder):
    assert config_dir(given.split()) == folder
