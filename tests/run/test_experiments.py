"""The named sweeps: that they compose, and are the experiments that they claim to be."""

import math

import numpy as np
import pytest
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.data import digits
from bnsweep.errors import DataError
from bnsweep.hydra_inside import initialized
from bnsweep.report.sections import FIGURES
from bnsweep.run import config
from bnsweep.run.build import load_dataset
from bnsweep.sweep.plan import make_plan, sweep_overrides

NAMES = ("activations", "figure_6_18", "learning_rate", "overfitting")


def composed(name, *overrides):
    prepare_hydra()
    with initialized(config_folder()):
        return compose("config", [f"experiment={name}", *overrides], return_hydra_config=True)


def planned_as_typed(*arguments):
    """Return the plan of a sweep, planned from its command line as Hydra does."""
    prepare_hydra()
    with initialized(config_folder()):
        loader = GlobalHydra.instance().config_loader()
        cfg = loader.load_configuration("config", [*arguments], run_mode=RunMode.MULTIRUN)
        overrides = sweep_overrides(cfg.hydra.sweeper.params, cfg.hydra.overrides.task)
        return make_plan(cfg, overrides, loader)


def values(cfg, key):
    """Return what the sweep gives to a key, as texts."""
    parsed = OverridesParser.create().parse_override(f"key={cfg.hydra.sweeper.params[key]}")
    return list(parsed.sweep_string_iterator()) if parsed.is_sweep_override() else [parsed.value()]


def test_every_experiment_file_is_held_by_these_tests():
    assert sorted(path.stem for path in (config_folder() / "experiment").glob("*.yaml")) == [*NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_composes_and_sweeps_without_being_asked_to(name):
    cfg = composed(name)
    assert cfg.hydra.mode.name == "MULTIRUN"
    assert set(cfg.report.figures) <= set(FIGURES)
    assert values(cfg, "model") == ["batchnorm", "plain"]
    config.check_run(config.to_plain(cfg))


@pytest.mark.parametrize("name", ["figure_6_18", "learning_rate", "overfitting"])
def test_a_claim_is_measured_over_ten_seeds(name):
    assert len(set(values(composed(name), "seed"))) >= 10


def test_each_network_is_tried_at_the_scale_that_is_best_for_it():
    assert values(composed("learning_rate"), "weight_std") == ["he", "0.01"]


@pytest.mark.parametrize("name", ["learning_rate", "overfitting"])
def test_what_is_chosen_is_chosen_on_validation_samples(name):
    assert composed(name).data.validation_size >= 200


def test_figure_6_18_has_the_settings_of_the_chapter():
    cfg = composed("figure_6_18")
    scales = [float(value) for value in values(cfg, "weight_std")]
    np.testing.assert_allclose(scales, np.logspace(0, -4, 16))
    assert (cfg.data._target_, cfg.data.train_size) == ("bnsweep.data.datasets.mnist", 1000)
    assert (cfg.optimizer._target_, cfg.optimizer.lr) == ("bnsweep.nn.optimizers.SGD", 0.01)
    assert cfg.training == {"epochs": 20, "batch_size": 100, "sampling": "replacement"}
    assert cfg.model.hidden_sizes == [100] * 5
    assert (cfg.model.activation, cfg.model.norm_position) == ("relu", "before")
    assert (cfg.model.dropout, cfg.optimizer.weight_decay) == (0, 0)


def test_the_learning_rates_lie_close_together_where_learning_ends():
    exponents = np.log10(
        [float(value) for value in values(composed("learning_rate"), "optimizer.lr")]
    )
    assert exponents[-1] - exponents[0] >= 4
    steps = np.diff(exponents)
    assert (steps > 0).all()
    np.testing.assert_allclose(steps[exponents[:-1] >= -1], 0.1)


def test_overfitting_crosses_the_models_with_rates_and_places_of_dropout_on_few_samples():
    cfg = composed("overfitting")
    assert [float(value) for value in values(cfg, "model.dropout")] == [0, 0.1, 0.25, 0.5]
    assert values(cfg, "model.dropout_position") == ["every", "last"]
    assert len(values(cfg, "optimizer.lr")) >= 3
    assert cfg.report.choose == ["optimizer.lr"]
    assert cfg.data.train_size - cfg.data.validation_size <= 300
    assert len(cfg.model.hidden_sizes) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_debugging_cuts_an_experiment_to_what_takes_seconds(name):
    cfg = composed(name, "debug=fast")
    data, sizes = cfg.data, ("train_size", "test_size", "validation_size")
    assert (cfg.training.epochs, *(data[size] for size in sizes)) == (1, 100, 100, 0)
    assert (cfg.tracking._target_, cfg.output_dir) == (None, "outputs/debug")
    assert cfg.report.choose == []
    assert math.prod(len(values(cfg, key)) for key in cfg.hydra.sweeper.params) <= 100
    config.check_run(config.to_plain(cfg))


def test_debugging_cuts_what_an_experiment_sweeps_and_nothing_of_it_counts_as_swept(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nhydra:\n  sweeper:\n    params:\n      weight_std: he\n"
        "      training.epochs: 5,7\n      training.batch_size: 10,200\n"
        "      data.train_size: 200,300\n      data.test_size: 200,300\n"
        "      data.validation_size: 0,50\n"
    )
    place = f"hydra.searchpath=[file://{tmp_path}]"

    def planned(*overrides):
        return planned_as_typed("experiment=mine", "debug=fast", place, *overrides)

    plan = planned()
    assert [spec.name for spec in plan.specs] == [
        "batchnorm weight_std=he seed=0",
        "plain weight_std=he seed=0",
    ]
    assert plan.swept == ("model",)
    training, data = plan.specs[0].config["training"], plan.specs[0].config["data"]
    assert (training["epochs"], training["batch_size"]) == (1, 50)
    assert (data["train_size"], data["test_size"], data["validation_size"]) == (100, 100, 0)
    typed = planned("training.epochs=3", "data.train_size=150,250", "model=plain")
    assert [spec.config["data"]["train_size"] for spec in typed.specs] == [150, 250]
    assert {spec.config["training"]["epochs"] for spec in typed.specs} == {3}


def test_a_data_set_without_sizes_says_what_debugging_needs(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.yaml").write_text(f"_target_: {__name__}.unsized\n")
    place = f"hydra.searchpath=[file://{tmp_path}]"
    cfg = config.to_plain(composed("activations", "debug=fast", place, "data=own"))
    with pytest.raises(DataError) as refused:
        load_dataset(cfg)
    assert str(refused.value) == (
        f"data.train_size=100: {__name__}.unsized has no parameter train_size (it takes dtype); "
        "give it one, or leave the key out (~data.train_size on the command line)"
    )


def test_a_sweep_over_data_without_sizes_is_cut_in_all_else(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.yaml").write_text(f"_target_: {__name__}.sized\n")
    without = [f"~data.{size}" for size in ("train_size", "test_size", "validation_size")]
    given = ["data=own", "weight_std=he", "model=plain", *without]
    place = f"hydra.searchpath=[file://{tmp_path}]"
    plan = planned_as_typed("experiment=activations", "debug=fast", place, *given)
    assert plan.swept == ("model.activation",)
    for spec in plan.specs:
        assert spec.config["data"] == {"_target_": f"{__name__}.sized"}
        assert spec.config["training"]["epochs"] == 1


def sized(dtype):
    return digits(train_size=60, test_size=10, dtype=dtype)


def unsized(dtype):
    raise AssertionError("it is not called")


def test_debugging_leaves_the_last_word_to_the_command_line():
    overrides = ("tracking=mlflow", "training.epochs=3", "output_dir=o", "data=mnist")
    cfg = composed("overfitting", "debug=fast", *overrides)
    assert cfg.tracking._target_ == "bnsweep.tracking.store.Store"
    assert (cfg.training.epochs, cfg.output_dir) == (3, "o")
    assert (cfg.data._target_, cfg.data.train_size) == ("bnsweep.data.datasets.mnist", 100)


SWEEP = (
    "# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: 0,1\n      weight_std: he\n"
)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (SWEEP, ["seed", "weight_std"]),
        ("# @package _global_\ndefaults: [sweep]\nseed: 3\n", ["seed", "weight_std"]),
        ("# @package _global_\ndefaults: [/experiment/sweep]\n", ["seed", "weight_std"]),
        ("# @package _global_\nseed: 3\n", []),
        ("# @package _global_\nhydra:\n  sweeper:\n    params: {}\n", []),
    ],
    ids=["its own", "of its default", "of its absolute default", "none", "empty"],
)
def test_an_experiment_sweeps_what_its_file_says_beside_the_default_sweep(tmp_path, text, keys):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "sweep.yaml").write_text(SWEEP)
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    cfg = composed("mine", "debug=fast", f"hydra.searchpath=[file://{tmp_path}]")
    assert set(cfg.hydra.sweeper.params) >= {"weight_std", "model"}
    assert config.sweep_of_experiment(cfg.hydra.runtime) == keys


def test_without_an_experiment_there_is_no_sweep_of_one():
    prepare_hydra()
    with initialized(config_folder()):
        cfg = compose("config", return_hydra_config=True)
    assert config.sweep_of_experiment(cfg.hydra.runtime) == []


def test_the_command_line_has_the_last_word():
    cfg = composed("overfitting", "data=mnist", "training.epochs=3", "optimizer.lr=0.1")
    assert (cfg.data._target_, cfg.data.train_size) == ("bnsweep.data.datasets.mnist", 600)
    assert (cfg.training.epochs, cfg.optimizer.lr) == (3, 0.1)
