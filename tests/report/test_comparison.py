from dataclasses import replace

import pytest
from made_up import result, sweep, with_result

from bnsweep.report.comparison import Axis, choose, compare


def texts(comparison):
    return [comparison.across.text(value) for value in comparison.values]


def test_weight_scales_span_the_panels_from_the_largest_and_names_come_last():
    comparison = compare(sweep(weight_std=["he", 0.01, 1, "xavier"], model=["batchnorm", "plain"]))
    assert texts(comparison) == ["1", "0.01", "he", "xavier"]
    assert comparison.across.equation(10**-1.3333) == "W = 0.0464"


def test_numbers_have_enough_digits_to_differ():
    assert texts(compare(sweep(optimizer__lr=[0.10001, 0.10002]))) == ["0.10001", "0.10002"]
    assert texts(compare(sweep(optimizer__lr=[1, 1 + 1e-14]))) == ["1", "1.00000000000001"]


def test_equal_numbers_are_one_value():
    assert compare(sweep(weight_std=[1, 1.0, 0.1])).values == (1, 0.1)


@pytest.mark.parametrize(
    ("grid", "across"),
    [
        # Three scales come first, names included; two only if no other key is numeric.
        ({"optimizer__lr": [0.1, 1, 10, 100], "weight_std": [1, 0.1, 0.01]}, "weight_std"),
        ({"optimizer__lr": [0.1, 1, 10, 100], "weight_std": ["he", 1, 0.1]}, "weight_std"),
        ({"weight_std": ["he", 0.01], "optimizer__lr": [0.1, 1]}, "optimizer.lr"),
        ({"optimizer__lr": [0.1, 1, 10], "weight_std": [1, 0.1]}, "weight_std"),
        ({"optimizer": ["a", "b", "c"], "weight_std": ["he", "xavier"]}, "weight_std"),
        # The models are lines, however many there are.
        ({"model": ["batchnorm", "plain", "dropout"], "optimizer": ["a", "b"]}, "optimizer"),
        ({"optimizer": ["a", "b"], "data": ["c", "d", "e"]}, "data"),
        ({"optimizer": ["a", "b"], "data": ["c", "d"]}, "optimizer"),
        ({"optimizer": ["a", "b"]}, "optimizer"),
    ],
)
def test_the_key_across(grid, across):
    assert compare(sweep(**grid)).across.key == across


def test_keys_that_are_not_across_are_lines():
    runs = sweep(weight_std=["he", 0.01], optimizer__lr=[0.1, 1, 10], model=["batchnorm", "plain"])
    assert compare(runs).lines[0].label == "W = 0.01, batchnorm"


def test_models_are_sorted_within_the_other_keys():
    runs = sweep(model=["plain", "batchnorm"], data=["digits", "mnist"], weight_std=[1, 0.1, 0.01])
    assert [line.label for line in compare(runs).lines] == [
        "batchnorm, digits",
        "plain, digits",
        "batchnorm, mnist",
        "plain, mnist",
    ]


def test_names_that_explain_themselves_have_no_label():
    axis = Axis("model.activation", ("relu", None))
    assert [axis.phrase(value) for value in axis.values] == ["relu", "activation none"]


def test_without_weight_scales_the_longest_numeric_key_spans_the_panels():
    runs = sweep(optimizer=["sgd", "adam", "momentum"], optimizer__lr=[1, 0.1], seed=[0, 1, 2])
    comparison = compare(runs)
    assert comparison.across.key == "optimizer.lr"
    assert comparison.values == (0.1, 1)
    assert [line.label for line in comparison.lines] == ["sgd", "adam", "momentum"]


def test_a_key_with_one_value_is_not_swept():
    comparison = compare(sweep(weight_std=["he"], optimizer__lr=[0.1, 1], model=["plain"]))
    assert comparison.across.key == "optimizer.lr"
    assert [line.label for line in comparison.lines] == [""]


def test_seeds_share_a_place():
    runs = sweep(weight_std=[1, 0.1], seed=[0, 1, 2])
    comparison = compare(runs)
    (line,) = comparison.lines
    assert [r.spec.seed for r in comparison.results(0.1, line)] == [0, 1, 2]
    assert compare(runs[:4]).repeats == 3


def test_few_names_share_a_panel_but_numbers_do_not():
    assert compare(sweep(optimizer=["sgd", "adam"]), overlay="names").values == (None,)
    assert len(compare(sweep(optimizer__lr=[0.1, 1]), overlay="names").values) == 2
    runs = sweep(optimizer=["sgd", "adam"], model=["batchnorm", "plain"])
    assert compare(runs, overlay="names").values == ("sgd", "adam")
    for count, panels in ((8, 1), (9, 9)):
        runs = sweep(optimizer=[f"mine{k}" for k in range(count)])
        assert len(compare(runs, overlay="names").values) == panels


def test_lists_can_be_swept():
    runs = sweep(model__hidden_sizes=[[100, 100, 100], [50, 20]], model=["batchnorm", "plain"])
    assert texts(compare(runs)) == ["3 x 100", "50-20"]


def test_lines_of_one_kin_differ_only_in_the_model():
    runs = sweep(weight_std=[1, 0.1], model=["plain", "batchnorm"], optimizer=["sgd", "adam"])
    lines = {line.label: line for line in compare(runs).lines}
    assert lines["batchnorm, sgd"].variant == lines["batchnorm, adam"].variant == 0
    assert lines["plain, sgd"].variant == lines["plain, adam"].variant == 1
    assert lines["plain, sgd"].kin == lines["batchnorm, sgd"].kin != lines["plain, adam"].kin


def test_the_switch_of_batch_normalization_chooses_a_model():
    runs = sweep(weight_std=[1, 0.1, 0.01], model__batch_norm=[False, True], data=["a", "b"])
    comparison = compare(runs)
    assert comparison.normalisation_differs
    assert [(line.kin, line.variant) for line in comparison.lines] == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip


def test_models_without_batch_normalization_are_odd_variants():
    runs = sweep(weight_std=[1, 0.1, 0.01], model=["dropout", "batchnorm", "plain"])
    comparison = compare(runs)
    assert [(line.label, line.variant) for line in comparison.lines] == [
        ("batchnorm", 0), ("dropout", 1), ("plain", 3),
    ]  # fmt: skip
    assert comparison.normalisation_differs
    assert not compare(sweep(model=["dropout", "plain"])).normalisation_differs


def test_a_line_is_looked_up_by_a_changed_value():
    runs = sweep(model=["batchnorm", "plain"], data=["a", "b"], optimizer=["sgd", "adam"])
    comparison = compare(runs, overlay="all")
    first = comparison.lines[0]
    assert comparison.changed(first, 1, "b").values == ("batchnorm", "b", "sgd")
    assert comparison.changed(first, 1, "c") is None


def labels(pairs):
    return [(one.label, other.label) for one, other in pairs]


def test_pairs_differ_in_batch_normalization_and_in_nothing_else():
    runs = sweep(model=["plain", "batchnorm", "dropout"], optimizer=["sgd", "adam"])
    assert labels(compare(runs, overlay="all").with_and_without) == [
        ("batchnorm, sgd", "plain, sgd"),
        ("batchnorm, adam", "plain, adam"),
    ]


@pytest.mark.parametrize(
    "grid",
    [
        {"model": ["batchnorm", "dropout"]},
        {"model": ["batchnorm", "mine"]},
        {"model": ["plain", "dropout"]},
        {"optimizer": ["sgd", "adam"]},
    ],
)
def test_networks_with_other_differences_are_no_pair(grid):
    assert compare(sweep(weight_std=[1, 0.1, 0.01], **grid)).with_and_without == []


def test_pairs_depend_on_configurations_and_not_on_names():
    runs = sweep(model=["batchnorm", "dropout"], weight_std=[1, 0.1, 0.01])
    for number, run in enumerate(runs):
        if run.spec.swept["model"] == "dropout":  # with `model.dropout=0`
            undropped = result(model="plain", weight_std=run.spec.swept["weight_std"])
            runs[number] = replace(
                run, result=replace(undropped, spec=replace(undropped.spec, swept=run.spec.swept))
            )
    assert labels(compare(runs).with_and_without) == [("batchnorm", "dropout")]


def test_keys_that_need_batch_normalization_do_not_multiply_pairs():
    runs = sweep(
        model=["batchnorm", "plain"],
        model__norm_position=["before", "after"],
        weight_std=[1, 0.1, 0.01],
    )
    assert labels(compare(runs).with_and_without) == [
        ("batchnorm, norm position before", "plain, norm position before"),
        ("batchnorm, norm position after", "plain, norm position after"),
    ]


def test_a_contrast_differs_only_in_its_key():
    runs = sweep(model=["batchnorm", "plain"], model__dropout=[0, 0.5], weight_std=[1, 0.1, 0.01])
    assert labels(compare(runs).contrast("model.dropout")) == [
        ("batchnorm, dropout 0", "batchnorm, dropout 0.5"),
        ("plain, dropout 0", "plain, dropout 0.5"),
    ]


@pytest.mark.parametrize(
    ("values", "pairs"),
    [
        (["he", 1, 0.1], [(0.1, 1), (0.1, "he"), (1, "he")]),
        ([None, 1], [(1, None)]),
        ([None, 0.5, 2], [(0.5, 2), (0.5, None), (2, None)]),
        (["he", 10, 9], [(9, 10), (9, "he"), (10, "he")]),
        ([False, True], [(True, False)]),
        ([False, True, "Always"], [(True, False), (True, "Always"), ("Always", False)]),
        ([False, "batch"], [("batch", False)]),
        ([None, "b", "a"], [("b", None), ("a", "b"), ("a", None)]),
        ([None, False], [(False, None)]),
    ],
)
def test_the_order_within_a_contrast(values, pairs):
    comparison = compare(sweep(model__mine=values), overlay="all")
    contrast = comparison.contrast("model.mine")
    assert {(a.values[0], b.values[0]) for a, b in contrast} == {*pairs}
    assert len(contrast) == len(pairs)


def test_a_contrast_of_a_part_allows_for_all_its_keys():
    runs = sweep(optimizer=["sgd", "adam"], model=["batchnorm", "plain"])
    assert labels(compare(runs, overlay="all").contrast("optimizer")) == [
        ("adam, batchnorm", "sgd, batchnorm"),
        ("adam, plain", "sgd, plain"),
    ]


def test_the_same_data_in_another_folder_is_no_difference():
    runs = sweep(optimizer__lr=[0.1, 1])
    for number, run in enumerate(runs):
        data = {"root": f"folder {number}"}
        config = {**run.spec.config, "data": data}
        spec = replace(run.spec, config=config, fingerprint=f"mark {number}")
        runs[number] = replace(run, spec=spec, result=replace(run.result, spec=spec))
    assert len(compare(runs, overlay="all").contrast("optimizer.lr")) == 1


def chosen_rates(best):
    """Return the learning rate chosen for each model; `best` is the best one for each."""
    runs = sweep(
        fields=lambda run: {"validation": 0.9 - abs(run.optimizer__lr - best[run.model])},
        model=["batchnorm", "plain"],
        optimizer__lr=[0.1, 0.2, 0.3],
        seed=[0, 1],
    )
    kept = choose(runs, ["optimizer.lr"])
    assert len(kept) == 4
    assert all("optimizer.lr" not in run.spec.swept for run in kept)
    return {run.spec.swept["model"]: run.chosen["optimizer.lr"] for run in kept}


def test_values_are_chosen_on_the_validation_samples_for_each_combination_of_the_others():
    assert chosen_rates({"batchnorm": 0.3, "plain": 0.2}) == {"batchnorm": 0.3, "plain": 0.2}


def test_the_first_of_equally_good_values_is_chosen():
    assert chosen_rates({"batchnorm": 0.15, "plain": 0.2})["batchnorm"] == 0.1


def test_networks_compared_at_values_chosen_for_each_are_a_pair():
    runs = sweep(
        fields=lambda run: {"validation": run.optimizer__lr if run.model == "plain" else 0.5},
        model=["batchnorm", "plain"],
        optimizer__lr=[0.1, 0.2],
    )
    comparison = compare(choose(runs, ["optimizer.lr"]), overlay="all")
    assert labels(comparison.with_and_without) == [("batchnorm", "plain")]


def test_values_are_chosen_on_the_seeds_that_all_have():
    runs = sweep(
        fields=lambda run: {"validation": run.optimizer__lr + run.seed},
        optimizer__lr=[0.1, 0.5],
        seed=range(3),
    )
    runs = [
        run for run in runs if (run.spec.swept["optimizer.lr"], run.spec.swept["seed"]) != (0.5, 2)
    ]
    assert {run.chosen["optimizer.lr"] for run in choose(runs, ["optimizer.lr"])} == {0.5}


def with_validation(*accuracies):
    """Return runs with (learning rate, seed, validation accuracy)."""
    by_place = {(rate, seed): accuracy for rate, seed, accuracy in accuracies}
    runs = sweep(
        fields=lambda run: {"validation": by_place.get((run.optimizer__lr, run.seed), 0.0)},
        optimizer__lr=list(dict.fromkeys(rate for rate, *_ in accuracies)),
        seed=range(3),
    )
    return [run for run in runs if (run.spec.swept["optimizer.lr"], run.spec.seed) in by_place]


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ([(0.1, 0, 0.5), (0.2, 1, 0.6)], 0.2),
        ([(0.1, 0, 0.7), (0.2, 1, 0.6)], 0.1),
        # Equally good on the seeds that both have: the one with more seeds.
        ([(0.1, 0, 0.5), (0.2, 0, 0.5), (0.2, 1, 0.1)], 0.2),
        ([(0.1, 0, 0.5), (0.1, 1, 0.1), (0.2, 0, 0.5)], 0.1),
    ],
)
def test_values_without_the_same_seeds_can_be_chosen(accuracies, best):
    chosen = choose(with_validation(*accuracies), ["optimizer.lr"])
    assert {run.chosen["optimizer.lr"] for run in chosen} == {best}


def test_a_run_that_did_not_end_is_never_chosen():
    runs = with_validation((0.1, 0, 0.5), (0.2, 0, 0.4), (0.3, 0, 0.3))
    runs[0] = with_result(runs[0], replace(runs[0].result, status="killed"))
    runs[1] = with_result(runs[1], result((), status="failed"))
    assert [run.chosen["optimizer.lr"] for run in choose(runs, ["optimizer.lr"])] == [0.3]


def test_without_keys_to_choose_all_runs_remain():
    runs = sweep(weight_std=[1, 0.1])
    runs[0] = with_result(runs[0], result((), status="failed"))
    assert choose(runs, []) == runs


def test_pairs_of_a_thousand_lines_are_quick():
    runs = sweep(
        model=["batchnorm", "plain"], optimizer__lr=[*range(1, 31)], model__eps=[*range(1, 17)]
    )
    comparison = compare(runs, overlay="all")
    assert len(comparison.lines) == 960
    assert len(comparison.with_and_without) == 480


def test_without_validation_samples_nothing_is_chosen():
    with pytest.raises(ValueError, match="not all runs have samples to choose by"):
        choose(sweep(optimizer__lr=[0.1, 0.2]), ["optimizer.lr"])


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_runs_that_did_not_end_are_not_compared(status):
    runs = sweep(weight_std=[1, 0.1], seed=[0, 1])
    runs[0] = with_result(runs[0], result(status=status))
    comparison = compare(runs)
    assert len(comparison.results(1, comparison.lines[0])) == 1
