"""What a sweep is called."""

import itertools
from dataclasses import replace

import pytest
from made_up import result

from bnsweep.report.labels import setting
from bnsweep.report.names import sweep_name


def specs(**choices):
    """Return the runs of a sweep over the choices of each key, a dot in a key written `__`."""
    keys = [key.replace("__", ".") for key in choices]
    made = (
        result(**dict(zip(choices, values, strict=True))).spec
        for values in itertools.product(*choices.values())
    )
    return [replace(spec, swept={key: spec.leaves[key] for key in keys}) for spec in made]


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        ({"weight_std": [1, 0.1, 0.01], "model": ["batchnorm", "plain"]}, "3 scales x 2 models"),
        ({"optimizer__lr": [1, 0.1], "seed": [0, 1, 2]}, "2 learning rates x 3 seeds"),
        ({"model__hidden_sizes": [[3], [3, 3]]}, "2 network sizes"),
        ({"model__dropout": [0, 0.5]}, "2 rates of Dropout"),
        ({"optimizer__weight_decay": [0, 0.1]}, "2 values of weight decay"),
        ({"seed": [0]}, "1 run"),
    ],
)
def test_a_name_tells_data_and_choices(choices, name):
    assert sweep_name(specs(**choices)) == f"digits, {name}"
    assert sweep_name(specs(**choices), "mine") == f"mine, digits, {name}"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"training__epochs": 1}, "1 epoch"),
        ({"training__epochs": 20}, "20 epochs"),
        ({"data__train_size": 3, "data__validation_size": 2}, "1 training sample"),
    ],
)
def test_a_setting_counts_in_the_singular_and_in_the_plural(config, told):
    assert told in setting([result(**config)]).split(", ")
