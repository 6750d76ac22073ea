"""Runs that differ in more than their seeds are never in one place of a comparison."""

from dataclasses import replace

import pytest
from made_up import result

from bnsweep.records import SweepRun
from bnsweep.report.comparison import compare, distinguishing_keys, swept_axes

OWN = {"_target_": "bnsweep.nn.network.mlp", "batch_norm": False, "eps": 1e-7}


def run(number, swept, mark="", **config):
    return replace(result(**config).spec, fingerprint=mark, number=number, swept=swept)


def runs(*configs, swept=lambda config: {}):
    return [run(number, swept(config), **config) for number, config in enumerate(configs)]


def optimizer(target="sgd", **values):
    return {"optimizer": {"_target_": target, **values}}


def test_repetitions_need_no_further_key():
    specs = runs({"seed": 0, **optimizer(lr=1)}, {"seed": 1, **optimizer(lr=1.0)})
    assert distinguishing_keys(specs, ["seed"]) == []
    assert distinguishing_keys(specs, []) == []


def test_keys_that_already_distinguish_runs_suffice():
    specs = runs(
        optimizer("a", lr=1), optimizer("b", lr=2),
        swept=lambda config: {"optimizer": config["optimizer"]["_target_"]},
    )  # fmt: skip
    assert distinguishing_keys(specs, ["optimizer"]) == []
    assert distinguishing_keys(specs, []) == ["optimizer._target_"]


def test_few_keys_distinguish_all_runs():
    specs = runs(
        optimizer(lr=1, beta=1, eps=1), optimizer(lr=1, beta=2, eps=2),
        optimizer(lr=2, beta=3, eps=2), optimizer(lr=2, beta=4, eps=1),
    )  # fmt: skip
    assert distinguishing_keys(specs, []) == ["optimizer.beta"]
    crossed = runs(*(optimizer(lr=lr, beta=beta) for lr in (1, 2) for beta in (1, 2)))
    assert distinguishing_keys(crossed, []) == ["optimizer.lr", "optimizer.beta"]


def test_runs_are_distinguished_within_each_combination_of_the_keys():
    specs = runs(optimizer(lr=1), optimizer(lr=2), optimizer(lr=2))
    specs = [replace(spec, swept={"mine": mine}) for spec, mine in zip(specs, "aab", strict=True)]
    assert distinguishing_keys(specs, ["mine"]) == ["optimizer.lr"]


def test_a_key_that_some_runs_lack_distinguishes_them():
    specs = runs(optimizer(), optimizer(beta=0.9), optimizer(beta=None))
    assert distinguishing_keys(specs, []) == ["optimizer.beta"]


def test_lists_distinguish_runs():
    specs = runs(optimizer(steps=[1, 2]), optimizer(steps=[1, 3]))
    assert distinguishing_keys(specs, []) == ["optimizer.steps"]


@pytest.mark.parametrize(("normalised", "expected"), [(False, []), (True, ["model.eps"])])
def test_a_key_that_does_nothing_does_not_count(normalised, expected):
    specs = [run(0, {}), run(1, {})]
    for one, eps in zip(specs, (1e-7, 1e-3), strict=True):
        one.config["model"] = OWN | {"batch_norm": normalised, "eps": eps}
    assert distinguishing_keys(specs, []) == expected


def test_the_place_of_the_data_counts_if_the_data_differ():
    places = [{"data": {"root": root}} for root in ("A", "B")]
    same = [run(n, {}, "mark", **place) for n, place in enumerate(places)]
    assert distinguishing_keys(same, []) == []
    other = [run(n, {}, f"mark {n}", **place) for n, place in enumerate(places)]
    assert distinguishing_keys(other, []) == ["data.root"]
    by_seed = [run(n, {}, f"mark {n}", seed=n, **place) for n, place in enumerate(places)]
    assert distinguishing_keys(by_seed, ["seed"]) == []


def test_a_comparison_has_a_line_for_each_configuration():
    specs = runs(
        *({"seed": seed, **optimizer(lr=lr)} for lr in (0.1, 1) for seed in (0, 1)),
        swept=lambda config: {"optimizer": "sgd", "seed": config["seed"]},
    )
    assert [*swept_axes(specs)] == ["seed", "optimizer.lr"]
    comparison = compare([SweepRun(spec, replace(result(), spec=spec)) for spec in specs])
    assert comparison.across.key == "optimizer.lr"
    assert [len(comparison.results(value, comparison.lines[0])) for value in (0.1, 1)] == [2, 2]
