import copy
from dataclasses import replace

import pytest

from bnsweep.errors import ConfigError
from bnsweep.records import RunSpec, fingerprint, keys
from bnsweep.run.config import check_run

CONFIG = {
    "data": {
        "_target_": "bnsweep.data.datasets.digits",
        "root": None,
        "train_size": 1000,
        "test_size": 797,
    },
    "model": {
        "_target_": "bnsweep.nn.network.mlp",
        "hidden_sizes": [100, 100],
        "activation": "relu",
        "batch_norm": True,
        "norm_position": "before",
        "eps": 1e-7,
        "momentum": 0.9,
        "dropout": 0,
        "dropout_position": "every",
    },
    "optimizer": {"_target_": "bnsweep.nn.optimizers.SGD", "lr": 0.01, "weight_decay": 0},
    "training": {"epochs": 20, "batch_size": 100, "sampling": "replacement"},
    "weight_std": 0.01,
    "seed": 0,
    "dtype": "float32",
    "output_dir": "outputs",
    "resume": False,
    "on_failure": "continue",
    "tracking": {
        **{"uri": None, "experiment": "bnsweep", "note": None},
        **{"figures": True, "weights": True, "model": False},
    },
    "report": {"figures": ["curves"], "formats": ["png"], "style": "screen", "choose": []},
}
OPTIONS = {"model": "batchnorm", "optimizer": "sgd", "data": "digits"}


def changed(**values):
    config = copy.deepcopy(CONFIG)
    for key, value in values.items():
        *path, last = key.split("__")
        node = config
        for name in path:
            node = node[name]
        node[last] = value
    return config


def spec_of(config=CONFIG, swept=()):
    sweep = {"options": OPTIONS, "number": 3, "keys": list(swept)}
    return RunSpec.of(config | {"sweep": sweep}, data={"name": "digits", "digest": "digest"})


def mark(**values):
    return spec_of(changed(**values)).fingerprint


def test_the_defaults_pass():
    check_run(CONFIG)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("weight_std", 0),
        ("weight_std", -1),
        ("weight_std", float("nan")),
        ("weight_std", float("inf")),
        ("weight_std", "abc"),
        ("weight_std", True),
        ("weight_std", None),
        ("weight_std", [1.0]),
        ("weight_std", 10**400),
        ("seed", -1),
        ("seed", 0.5),
        ("seed", 2**53),
        ("training__epochs", 2**63),
        ("model__norm_layer", None),
        ("tracking__experiment", ".."),
        ("tracking__experiment", "."),
        ("tracking__experiment", "x" * 201),
        ("tracking__experiment", ["a", "b"]),
        ("dtype", "float16"),
        ("training__epochs", 0),
        ("training__epochs", -3),
        ("training__batch_size", 0),
        ("training__batch_size", 1),
        ("training__batch_size", 1001),
        ("training__sampling", "random"),
        ("data__validation_size", -1),
        ("data__validation_size", 1000),
        ("data__train_size", 0),
        ("data__test_size", 1.5),
        ("optimizer__lr", 0),
        ("optimizer__lr", float("nan")),
        ("optimizer__lr", "fast"),
        ("optimizer__weight_decay", -0.1),
        ("model__hidden_sizes", []),
        ("model__hidden_sizes", [100, 0]),
        ("model__hidden_sizes", 100),
        ("model__activation", "gelu"),
        ("model__norm_position", "inside"),
        ("model__batch_norm", 1),
        ("model__eps", 0),
        ("model__momentum", 1),
        ("model__momentum", -0.1),
        ("model__dropout", 1),
        ("model__dropout_position", "first"),
        ("model__dropout", -0.5),
        ("optimizer__momentum", 1),
        ("optimizer__momentum", -0.1),
        ("optimizer__beta1", 1),
        ("optimizer__beta2", -0.1),
        ("optimizer__decay", 1),
        ("optimizer__eps", 0),
        ("output_dir", 5),
        ("output_dir", ""),
        ("resume", "no"),
        ("on_failure", "no"),
        ("tracking__uri", 5),
        ("tracking__experiment", ""),
        ("tracking__note", ["a"]),
        ("tracking__tags", "ml"),
        ("tracking__model", "yes"),
        ("tracking__figures", "no"),
        ("tracking__weights", 1),
        ("report__figures", "curves"),
        ("report__figures", [5]),
        ("report__formats", "png"),
        ("report__formats", ["jpeg"]),
        ("report__formats", []),
        ("report__style", "poster"),
        ("report__style", None),
        ("report__choose", "optimizer.lr"),
        ("data__root", 5),
    ],
)
def test_a_value_that_cannot_be_run_is_named(key, value):
    with pytest.raises(ConfigError) as caught:
        check_run(changed(**{key: value}))
    assert str(caught.value).startswith(key.replace("__", ".") + "=")


@pytest.mark.parametrize("key", ["training.epochs", "training.sampling", "seed", "dtype"])
def test_a_key_that_was_deleted_is_named(key):
    part, _, name = key.rpartition(".")
    config = copy.deepcopy(CONFIG)
    (config[part] if part else config).pop(name)
    with pytest.raises(ConfigError, match=f"{key}: is missing"):
        check_run(config)


def test_a_part_that_was_emptied_is_named():
    for part in ("training", "model", "optimizer", "data", "tracking", "report"):
        with pytest.raises(ConfigError, match=f"{part}: is missing"):
            check_run(changed(**{part: None}))
        with pytest.raises(ConfigError, match=f"{part}: is missing"):
            check_run({key: value for key, value in CONFIG.items() if key != part})


def test_another_layer_in_the_place_of_batch_normalization_is_not_called_that():
    layer = {"_target_": "mine.LayerNorm", "_partial_": True}
    config = changed(training__batch_size=1, model__norm_layer=layer)
    check_run(config)
    spec = spec_of(config)
    assert not spec.batch_norm
    assert spec_of().batch_norm
    assert spec.parameters["model.norm_layer._target_"] == "mine.LayerNorm"
    assert "model.norm_layer._partial_" not in spec.parameters


@pytest.mark.parametrize(
    ("key", "text"),
    [("weight_std", "0.1"), ("seed", "3"), ("optimizer.lr", "1e-3"), ("data.train_size", "100")],
)
def test_a_number_in_quotes_is_said_to_be_text(key, text):
    with pytest.raises(ConfigError) as refusal:
        check_run(changed(**{key.replace(".", "__"): text}))
    assert str(refusal.value) == (
        f'{key}="{text}": is text; write the number without quotes, and that of a '
        "variable as $NAME in the shell, as ${oc.decode:${oc.env:NAME}} in a file"
    )
    with pytest.raises(ConfigError, match=r"weight_std=-1: must be a finite number"):
        check_run(changed(weight_std="-1"))


@pytest.mark.parametrize(("key", "value"), [("seed", 10**400), ("model__hidden_sizes", [0] * 999)])
def test_a_long_value_is_cut_in_the_message(key, value):
    with pytest.raises(ConfigError) as refusal:
        check_run(changed(**{key: value}))
    assert len(str(refusal.value)) < 180
    assert "...: must be" in str(refusal.value)


def test_the_largest_seed_passes():
    check_run(changed(seed=2**53 - 1))


@pytest.mark.parametrize("value", ["he", "xavier", 1, 1e-300])
def test_usable_scales_pass(value):
    check_run(changed(weight_std=value))


@pytest.mark.parametrize("key", ["momentum", "beta1", "beta2", "decay"])
@pytest.mark.parametrize("value", [0, 0.5, 0.999])
def test_usable_fractions_pass(key, value):
    check_run(changed(**{f"optimizer__{key}": value}))


def test_a_batch_larger_than_what_validation_leaves_is_refused():
    check_run(changed(data__validation_size=900))
    with pytest.raises(ConfigError, match=r"batch_size=100.* at most 99.*validation_size=901"):
        check_run(changed(data__validation_size=901))


def test_a_batch_of_one_is_fine_without_batch_norm():
    check_run(changed(training__batch_size=1, model__batch_norm=False))


def test_a_users_own_model_is_not_checked_by_our_rules():
    own = {"_target_": "mine.Model", "width": 3}
    check_run(changed(model=own, optimizer={"_target_": "mine.Optimizer", "lr": "auto"}))


def test_spelling_of_numbers_does_not_change_the_fingerprint():
    assert mark(weight_std=1) == mark(weight_std=1.0)
    assert mark(optimizer__weight_decay=0) == mark(optimizer__weight_decay=0.0)


@pytest.mark.parametrize(
    "values",
    [
        {"weight_std": 0.02},
        {"seed": 1},
        {"dtype": "float64"},
        {"training__epochs": 21},
        {"model__eps": 1e-6},
        {"model__batch_norm": False},
        {"optimizer___target_": "mine.SGD"},
        {"data__train_size": 999},
    ],
)
def test_what_changes_the_result_changes_the_fingerprint(values):
    assert mark(**values) != mark()


def test_other_data_change_the_fingerprint_and_their_place_does_not():
    assert fingerprint(CONFIG, "other") != fingerprint(CONFIG, "digest") == mark()
    assert mark(data__root="/somewhere") == mark()


def test_keys_that_do_nothing_do_not_count():
    plain = {"model__batch_norm": False}
    assert mark(**plain, model__eps=1e-3) == mark(**plain)
    assert mark(**plain, model__norm_position="after") == mark(**plain)
    assert mark(model__eps=1e-3) != mark()
    assert mark(model__dropout_position="last") == mark()
    dropped = {"model__dropout": 0.5}
    assert mark(**dropped, model__dropout_position="last") != mark(**dropped)


def test_what_is_not_part_of_the_result_does_not_count():
    assert mark(tracking__uri="x", resume=True) == mark()


def test_a_key_that_is_added_later_retrains_nothing(monkeypatch):
    """Its default is the value at which it does nothing, and then fingerprints do not change."""
    row = replace(keys.KEYS["model.dropout"], neutral=None, needs=None)
    monkeypatch.setitem(keys.KEYS, "model.output_std", row)
    later = copy.deepcopy(CONFIG)
    later["model"]["output_std"] = None
    assert spec_of(later).fingerprint == mark()
    later["model"]["output_std"] = 0.5
    assert spec_of(later).fingerprint != mark()


@pytest.mark.parametrize("key", [key for key, row in keys.KEYS.items() if row.has_neutral])
def test_a_key_at_the_value_at_which_it_does_nothing_does_not_count(key):
    part, _, name = key.partition(".")
    at_neutral, without, else_ = (copy.deepcopy(CONFIG) for _ in range(3))
    at_neutral[part][name] = keys.KEYS[key].neutral
    without[part].pop(name, None)
    else_[part][name] = 0.25
    assert keys.KEYS[key].neutral == 0
    assert fingerprint(at_neutral, "") == fingerprint(without, "") != fingerprint(else_, "")


def test_a_users_own_optimizer_gives_a_value_of_0_a_meaning_of_its_own():
    own = CONFIG["optimizer"] | {"_target_": "mine.SGD"}
    without = {key: value for key, value in own.items() if key != "weight_decay"}
    assert mark(optimizer=own) != mark(optimizer=without)
    assert mark(optimizer=CONFIG["optimizer"]) == mark()


def test_parameters_are_flat_and_name_the_options():
    flat = spec_of().parameters
    assert flat["model"] == "batchnorm"
    assert flat["model.hidden_sizes"] == [100, 100]
    assert flat["optimizer.lr"] == 0.01
    assert not any("tracking" in key or "_target_" in key for key in flat)
    assert keys.flatten({"a": {"b": {"c": 1}}}) == {"a.b.c": 1}


def test_run_names_tell_runs_apart():
    config = changed(weight_std=0.046415888336127774, optimizer__lr=0.1)
    spec = spec_of(config, swept=["weight_std", "model", "optimizer.lr", "seed"])
    assert spec.name == "batchnorm weight_std=0.0464 optimizer.lr=0.1 seed=0"
    assert spec_of().name == "batchnorm weight_std=0.01 seed=0"
    assert (spec.number, spec.seed, spec.swept["model"]) == (3, 0, "batchnorm")


def test_a_model_without_weights_is_refused():
    config = changed(tracking__model=True, tracking__weights=False)
    with pytest.raises(ConfigError, match=r"tracking.model=true: .*set tracking.weights=true"):
        check_run(config)
    check_run(changed(tracking__model=True))
