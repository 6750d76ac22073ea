"""Hydra's complaints in plain words: one line, with what would do."""

import pytest
from hydra.errors import ConfigCompositionException, MissingConfigException

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.cli.known_keys import KnownKeys
from bnsweep.cli.messages import explain

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


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("+data=mnist", "Multiple values for data. To override a value use 'override data: mnist'"),
        (
            "+hydra/launcher=basic",
            "hydra/launcher appears more than once in the final defaults list",
        ),
        (
            "+optimizer.lr=0.1",
            "Could not append to config. An item is already at 'optimizer.lr'.\nEither remove +",
        ),
    ],
)
def test_what_is_there_already_is_written_without_a_plus(argument, text):
    message = explain(ConfigCompositionException(text), unknown, ["-m", argument, "seed=1"])
    key = argument.strip("+").partition("=")[0]
    assert message == (
        f"{argument}: {key} is there already; write it without the +: {argument.strip('+')}"
    )


def test_an_option_that_a_file_chooses_again_is_to_be_an_override():
    text = "Multiple values for data. To override a value use 'override /data: mnist'"
    message = explain(ConfigCompositionException(text), unknown, ["experiment=mine"])
    assert "write `override /data: ...`" in message
    text = "In 'experiment/mine': Could not find 'experiment/data/mnist'\nConfig search path:\n\tx"
    message = explain(MissingConfigException(text, "x"), unknown, ["experiment=mine"])
    assert message.endswith("of a file in experiment/, write `override /data: mnist`")


def test_an_unknown_option_is_answered_with_those_that_exist():
    text = (
        "In 'config': Could not find 'model/foo'\n\nAvailable options in 'model':\n"
        "\tbatchnorm\n\tplain\nConfig search path:\n\tprovider=hydra, path=pkg://hydra.conf\n"
    )
    message = explain(MissingConfigException(text, "model/foo"), unknown)
    assert message == "model=foo: there is no such option; there are: batchnorm, plain"
