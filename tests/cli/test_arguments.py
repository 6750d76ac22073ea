import itertools

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from bnsweep import __version__
from bnsweep.cli.arguments import (
    check_secrets,
    config_dir,
    expand,
    logspace,
    parse,
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


@pytest.mark.parametrize(
    "text",
    [
        *("seed=0,1", "model=plain", "a=b=c", "logspace(1)", "~weight_std", "plain", "a="),
        *("a='logspace(0,-1,2)'", 'a="logspace(0,-1,2)"', "a=['x',\"logspace(0,-1,2)\"]"),
        *(r"a='it\'s logspace(0,-1,2)'", "a='~/x'", 'a="~/x","~"'),
        *("a=x~/y", "a=x/~/y", "a=~other/x", "a=~~", "~a=1"),
    ],
)
def test_other_text_stays_as_it_is_and_so_does_what_is_quoted(text):
    assert expand([text]) == [text]


def test_text_that_is_quoted_does_not_hide_what_follows():
    assert expand(["a='x',logspace(0,-1,2)"]) == ["a='x',1,0.1"]
    assert expand(["a='logspace(0,-1,2)',\"y\",logspace(0,-1,2)"]) == [
        "a='logspace(0,-1,2)',\"y\",1,0.1"
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("data.root=~/mnist", "data.root=/home/me/mnist"),
        ("data.root=~", "data.root=/home/me"),
        ("data.root=~/a,~/b", "data.root=/home/me/a,/home/me/b"),
        ("hydra.searchpath=[~/a, ~/b]", "hydra.searchpath=[/home/me/a, /home/me/b]"),
        ("data={root: ~/a}", "data={root: /home/me/a}"),
        ("data.root=choice(~/a,~/b)", "data.root=choice(/home/me/a,/home/me/b)"),
        ("output_dir=~/one two", "output_dir='/home/me/one two'"),
        ("output_dir=~/ä", "output_dir='/home/me/ä'"),
        ("output_dir=~/${seed}", "output_dir='/home/me/${seed}'"),
    ],
)
def test_the_home_folder_stands_where_a_tilde_begins_a_value(monkeypatch, given, expected):
    """The shell leaves it alone there, and Hydra's grammar knows none."""
    monkeypatch.setenv("HOME", "/home/me")
    assert expand([given]) == [expected]
    assert OverridesParser.create().parse_overrides([expected])


def test_a_home_folder_may_be_called_anything(monkeypatch):
    monkeypatch.setenv("HOME", "/home/it's me, {really}")
    (override,) = OverridesParser.create().parse_overrides(expand(["data.root=~/x"]))
    assert override.value() == "/home/it's me, {really}/x"


@pytest.mark.parametrize(
    ("given", "options", "overrides"),
    [
        ("a=1 -m b=2", {"multirun": True}, "a=1 b=2"),
        ("-m a=1 -m", {"multirun": True}, "a=1"),
        ("a=1 --config-dir x b=2 --multi", {"config_dir": "x", "multirun": True}, "a=1 b=2"),
        ("a=1 --config-dir x=y b=2", {"config_dir": "x=y"}, "a=1 b=2"),
        ("a=1 --config-d=x b=2", {"config_dir": "x"}, "a=1 b=2"),
        ("-cd x a=1", {"config_dir": "x"}, "a=1"),
        ("b=2 --cfg job a=1", {"cfg": "job"}, "b=2 a=1"),
        ("b=2 -c job -p model", {"cfg": "job", "package": "model"}, "b=2"),
        ("a=1 --info", {"info": "all"}, "a=1"),
        ("a=1 --info defaults b=2", {"info": "defaults"}, "a=1 b=2"),
        ("a=1 --info b=2", {"info": "all"}, "a=1 b=2"),
        ("a=1 -i b=2", {"info": "all"}, "a=1 b=2"),
        ("--inf a=1", {"info": "all"}, "a=1"),
        ("a=1 --info -m", {"info": "all", "multirun": True}, "a=1"),
        ("plain -m +a=1 ~b", {"multirun": True}, "plain +a=1 ~b"),
        ("-sc query=bash", {"shell_completion": True}, "query=bash"),
        ("--config-name mine a=1", {"config_name": "mine"}, "a=1"),
    ],
)
def test_an_option_may_stand_anywhere_and_be_abbreviated(given, options, overrides):
    args = parse(given.split())
    nothing = parse([])
    assert {k: v for k, v in vars(args).items() if v != vars(nothing)[k]} == {
        **options,
        "overrides": overrides.split(),
    }


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("--cfg nonsense", "--cfg: invalid choice: 'nonsense' (choose from "),
        ("a=1 --cfg=jobs -m", "--cfg: invalid choice: 'jobs' (choose from "),
        ("--reslove", "--reslove: there is no such option; did you mean --resolve?"),
        ("-m --weight_std=1", "--weight_std: there is no such option; keys have no dashes: "
         "weight_std=1"),
        ("--seed", "--seed: there is no such option; keys have no dashes: seed=..."),
        ("-x", "-x: there is no such option; keys have no dashes: x=..."),
        ("--experimental-rerun x", "--experimental-rerun: bnsweep does not keep what it takes; a "
         "run's overrides are in .hydra/overrides.yaml of its folder"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_named_in_one_line(given, complaint):
    with pytest.raises(ConfigError) as refused:
        parse(given.split())
    assert str(refused.value).startswith(complaint)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("--config-dir", r"--config-dir: [^\n]+; see --hydra-help for the options"),
        ("--co x", r"ambiguous option: --co [^\n]+; see --hydra-help for the options"),
        ("--multirun=yes", r"--multirun: [^\n]+; see --hydra-help for the options"),
        ("--cfg --info", r"--cfg: [^\n]+; see --hydra-help for the options"),
        ("-mx", r"--multirun: [^\n]+'x'[^\n]+|-x: there is no such option[^\n]+"),
    ],
)
def test_an_option_that_cannot_be_read_has_one_line_too(given, complaint, capsys):
    """Its words are those of the Python that reads it."""
    with pytest.raises(ConfigError, match=rf"^({complaint})$"):
        parse(given.split())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("given", ["--version", "--vers", "-m --version seed=1"])
def test_the_version_is_this_programs(given, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(given.split())
    assert not ended.value.code
    assert capsys.readouterr().out == f"bnsweep {__version__}\n"


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
    ("given", "folder"),
    [
        ("--config-dir mine a=1", "mine"),
        ("-cd=a=b", "a=b"),
        ("--config-d=mine", "mine"),
        ("--config-dir=~/mine", "/home/me/mine"),
        ("", None),
    ],
)
def test_the_folder_of_the_users_own_configuration_is_known(monkeypatch, given, folder):
    monkeypatch.setenv("HOME", "/home/me")
    assert config_dir(given.split()) == folder
