"""What the MLflow UI is told of a sweep; tests/system/long/test_mlflow_ui.py looks at the UI."""

import colorsys
import itertools
import json
from dataclasses import replace

import pytest
from made_up import result

from bnsweep.records import SweepPlan
from bnsweep.records.colors import MODEL_COLORS
from bnsweep.tracking import ui

SCALES = (1, "he", 0.1, 0.01)  # He's is 0.14 at 100 inputs


def plan_of(**choices):
    """Return the plan of a sweep over the choices of each key."""
    specs = [
        replace(result(model__hidden_sizes=[100, 100], **swept).spec, swept=swept)
        for values in itertools.product(*choices.values())
        if (swept := dict(zip(choices, values, strict=True)))
    ]
    specs = [replace(spec, number=number) for number, spec in enumerate(specs)]
    return SweepPlan(tuple(specs), tuple(choices), name="a sweep", parent="a" * 32)


def state_of(plan):
    key, value = ui.view_tag(plan)
    assert key == f"mlflow.sharedViewState.{plan.parent}"
    assert len(value) < 20_000  # MLflow refuses a longer one
    view = json.loads(value)
    assert view["name"] == plan.name
    return json.loads(view["state"])


def hue_and_lightness(color):
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    hue, lightness, _ = colorsys.rgb_to_hls(*parts)
    return hue, lightness


def test_runs_have_the_colours_of_their_models_shaded_by_the_scale():
    plan = plan_of(model=("batchnorm", "plain"), weight_std=SCALES, seed=(0, 1))
    tags = ui.run_tags(plan)
    for model in ("batchnorm", "plain"):
        found = [
            (SCALES.index(spec.value("weight_std")), tags[spec.number]["mlflow.runColor"])
            for spec in plan.specs
            if spec.model == model
        ]
        assert len(set(found)) == len(SCALES)  # seeds share their colour
        shades = [hue_and_lightness(color) for _, color in sorted(set(found))]
        hue, _ = hue_and_lightness(MODEL_COLORS[model])
        assert [h for h, _ in shades] == pytest.approx([hue] * len(SCALES), abs=0.02)
        lightness = [light for _, light in shades]
        assert lightness == sorted(lightness)  # the first scale is the darkest
        assert len(set(lightness)) == len(SCALES)


def test_without_an_order_runs_have_just_the_colours_of_their_models():
    tags = ui.run_tags(plan_of(model=("batchnorm", "plain"), seed=(0, 1)))
    assert {of_run["mlflow.runColor"] for of_run in tags.values()} == {
        MODEL_COLORS["batchnorm"],
        MODEL_COLORS["plain"],
    }


def test_the_view_shows_the_runs_of_its_sweep_alone_with_what_was_swept():
    state = state_of(plan_of(weight_std=SCALES, model=("batchnorm", "plain")))
    assert state["searchFilter"] == f"tags.bnsweep.sweeps LIKE '%{'a' * 32}%'"
    assert state["orderByKey"] == "metrics.`weight_std`"
    assert {"metrics.`weight_std`", "params.`model`", "tags.`bnsweep.status`"} <= {
        *state["selectedColumns"]
    }


@pytest.mark.parametrize(("seeds", "order"), [(2, "weight_std"), (20, "seed")])
def test_of_more_runs_than_are_loaded_at_once_the_first_seeds_come_first(seeds, order):
    state = state_of(plan_of(weight_std=SCALES, model=("batchnorm", "plain"), seed=range(seeds)))
    assert state["orderByKey"] == f"metrics.`{order}`"


def test_the_scale_does_not_stand_against_itself():
    charts = state_of(plan_of(weight_std=SCALES, model=("batchnorm", "plain")))["compareRunCharts"]
    (parallel,) = [chart for chart in charts if chart["type"] == "PARALLEL"]
    assert parallel["selectedParams"] == ["model"]
    assert parallel["selectedMetrics"] == ["log10_weight_std", "final_train_accuracy"]
    against = [chart for chart in charts if chart["type"] == "SCATTER"]
    assert {chart["xaxis"]["key"] for chart in against} == {"log10_weight_std"}


def test_a_sweep_over_ten_keys_with_long_names_still_has_a_view():
    many = {f"optimizer__{'a_long_name_' * 3}{n}": (1, 2) for n in range(9)}
    state_of(plan_of(weight_std=(1, 0.1), **many))
