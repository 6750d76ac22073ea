"""Which claims are made about Batch Normalization: a table of sweeps and sentences.

In each sweep the differences between the models are known, and vary a little from seed to seed.
"""

import re

import pytest
from made_up import sweep

from bnsweep.report.claims import initial_weights
from bnsweep.report.comparison import compare
from bnsweep.report.findings import Findings
from bnsweep.report.gaps import dropout, overfitting
from bnsweep.report.learning import where_it_learns
from bnsweep.report.rates import learning_rate

MODELS = ["batchnorm", "plain"]
NOISE = (0.0, 0.01, -0.01, 0.005, -0.005, 0.002, 0.008, -0.008, 0.004, -0.002)


def noise(run):
    """Return noise that depends on the seed and the model."""
    return NOISE[run.seed] * (1 if run.model == "plain" else -0.5)


def weights(ends, *, seeds, models=MODELS):
    """Return the claims about final accuracies by model and scale."""
    runs = sweep(
        lambda run: (0.1, ends[run.model][run.weight_std] + noise(run)),
        weight_std=[1, 0.1, 0.01],
        model=models,
        seed=range(seeds),
    )
    return [claim.text for claim in initial_weights(compare(runs))]


STEADY = {1: 0.8, 0.1: 0.9, 0.01: 0.85}
FRAIL = {1: 0.1, 0.1: 0.95, 0.01: 0.2}


@pytest.mark.parametrize(
    ("normed", "plain", "seeds", "parts"),
    [
        (STEADY, FRAIL, 1, ["**1 seed: no verdict.**"]),
        (STEADY, FRAIL, 3, ["**3 seeds: no verdict.**"]),
        (STEADY, FRAIL, 5, ["**Holds.**"]),
        (STEADY, FRAIL, 10, ["**Holds.**", "difference -0.699 \N{PLUS-MINUS SIGN} 0.007, n = 10"]),
        (FRAIL, STEADY, 10, ["**Does not hold here.**"]),
        (STEADY, STEADY, 10, ["**Undecided.**"]),
        # A network that fails nearly everywhere varies little, but depends on its weights.
        (STEADY, {1: 0.42, 0.1: 0.1, 0.01: 0.1}, 10, ["**Holds.**"]),
        (STEADY, dict.fromkeys(FRAIL, 0.1), 10, ["Not judged: plain learns at none of the 3"]),
        (STEADY, FRAIL, 10, ["plain ends higher at 1 of 3 scales (0.1)"]),
        (STEADY, FRAIL, 10, ["batchnorm ends higher at 2 of 3 scales (1, 0.01)"]),
    ],
)
def test_initial_weights(normed, plain, seeds, parts):
    (text,) = weights({"batchnorm": normed, "plain": plain}, seeds=seeds)
    assert all(part in text for part in parts), text


def test_few_seeds_do_not_say_where_a_model_ends_higher():
    (text,) = weights({"batchnorm": STEADY, "plain": FRAIL}, seeds=3)
    assert "ends higher" not in text


@pytest.mark.parametrize("models", [["batchnorm", "dropout"], ["plain", "dropout"], ["plain"]])
def test_models_that_differ_in_more_than_the_layer_get_no_claim(models):
    ends = {"batchnorm": STEADY, "plain": FRAIL, "dropout": FRAIL}
    assert weights(ends, seeds=10, models=models) == []


def test_values_at_which_only_some_seeds_learn_are_listed():
    ends = {"batchnorm": {1: 0.402, 0.1: 0.9, 0.01: 0.9}, "plain": FRAIL}
    runs = sweep(
        lambda run: (0.1, ends[run.model][run.weight_std] + noise(run)),
        weight_std=[1, 0.1, 0.01],
        model=MODELS,
        seed=range(10),
    )
    assert where_it_learns(compare(runs)) == [
        "batchnorm learns with each of 10 seeds at 2 of 3 scales (0.1, 0.01); at 1 with 7 of 10.",
        "plain learns with each of 10 seeds at 1 of 3 scales (0.1).",
    ]


RATES = [0.01, 0.1, 1.0, 10.0]


def rates(edges, *, seeds, epochs=(2, 4), validation=True, tried=RATES):
    """Return the claims if the models learn up to `edges` and take `epochs` epochs to 90 %."""

    def accuracies(run):
        edge, fast = (pair[MODELS.index(run.model)] for pair in (edges, epochs))
        needed = fast + (run.seed % 2 if run.model == "plain" else 0)
        learnt = run.optimizer__lr <= edge
        return (*(0.1,) * needed, *(0.95 if learnt else 0.1,) * (9 - needed))

    runs = sweep(
        accuracies,
        fields=lambda run: {"validation": 0.9 - run.optimizer__lr / 100} if validation else {},
        optimizer__lr=tried,
        model=MODELS,
        seed=range(seeds),
    )
    return [claim.text for claim in learning_rate(runs)]


@pytest.mark.parametrize(
    ("edges", "seeds", "part"),
    [
        ((1, 0.01), 1, "1 seed: no verdict"),
        ((1, 0.01), 3, "3 seeds: no verdict"),
        ((1, 0.01), 10, "**Holds.** The largest rate that learns is 1 (1 to 1) with batchnorm and"),
        ((1, 0.01), 10, "a factor of 100 (10 to 1e+03), n = 10"),
        # One step of the grid apart, the true edges may lie anywhere in between.
        ((1, 0.1), 10, "**Undecided.**"),
        ((0.1, 0.1), 10, "**Undecided.**"),
        ((0.01, 1), 10, "**Does not hold here.**"),
        ((1, 0), 10, "Not judged: plain learns at no rate tried"),
        ((0, 0), 10, "Not judged: batchnorm learns at no rate tried"),
        ((10, 0.01), 10, "**Holds.** The largest rate that learns is 10 (10 to 10) with batchnorm"),
        ((10, 0.01), 10, "a factor of at least 100, n = 10"),
        ((10, 1), 10, "**Undecided.**"),
        # The plain network might learn at even larger rates.
        ((10, 10), 10, "Not judged: plain still learns at the largest rate tried"),
        ((1, 10), 10, "Not judged: plain still learns at the largest rate tried"),
    ],
)
def test_larger_learning_rates(edges, seeds, part):
    assert part in rates(edges, seeds=seeds)[0]


def test_a_factor_between_rates_may_be_larger_than_any_number():
    tried = [5e-324, 1e-320, 1e-319, 1e300, 1e307, 1.7e308]
    text, *_ = rates((1e300, 1e-320), seeds=10, tried=tried)
    assert "a factor of 1e+620 (1e+613 to 1e+627), n = 10" in text
    text, *_ = rates((1e307, 1e-319), seeds=1, tried=tried)
    assert "a factor of 1e+626, n = 1; the rates tried lie a factor of 1e+619 apart there" in text


@pytest.mark.parametrize(
    ("epochs", "seeds", "part"),
    [
        ((2, 4), 1, "1 seed: no verdict"),
        ((2, 4), 3, "3 seeds: no verdict"),
        ((2, 4), 10, "**Holds.** Each at its best on the validation samples (batchnorm: learning"),
        ((2, 4), 10, "are 2.0 \N{PLUS-MINUS SIGN} 0.0 with batchnorm and 4.5"),
        ((4, 2), 10, "**Does not hold here.**"),
        ((9, 2), 10, "90% is not reached by batchnorm with 10 of 10 seeds"),
    ],
)
def test_speed(epochs, seeds, part):
    assert part in rates((1, 1), seeds=seeds, epochs=epochs)[1]


def test_without_validation_samples_speed_is_not_judged():
    larger, faster = rates((1, 0.01), seeds=10, validation=False)
    assert "**Holds.**" in larger
    assert "Not judged" in faster
    assert "validation_size" in faster


def gaps(
    by_model, *, seeds, train=(0.99, 0.99), rates_of_dropout=(0,), gain=(0.0, 0.0), validation=True
):
    """Return the runs of a sweep with these gaps, training accuracies and gains from Dropout."""

    def of(pair, run):
        return pair[MODELS.index(run.model)]

    return sweep(
        lambda run: (0.1, of(train, run)),
        fields=lambda run: {
            "gap": of(by_model, run)
            + noise(run)
            - (of(gain, run) + noise(run) if run.model__dropout == 0.1 else 0)
            + (0.05 if run.model__dropout == 0.5 else 0),
            **({"validation": 0.9 - run.model__dropout} if validation else {}),
        },
        model=MODELS,
        model__dropout=rates_of_dropout,
        seed=range(seeds),
    )


@pytest.mark.parametrize(
    ("by_model", "train", "seeds", "part"),
    [
        ((0.1, 0.3), (0.99, 0.99), 1, "1 seed: no verdict"),
        ((0.166, 0.158), (0.99, 0.99), 1, "1 seed: no verdict"),
        ((0.1, 0.3), (0.99, 0.99), 3, "3 seeds: no verdict"),
        ((0.1, 0.3), (0.99, 0.99), 10, "**Holds.**"),
        ((0.3, 0.1), (0.99, 0.99), 10, "**Does not hold here.**"),
        ((0.3, 0.302), (0.99, 0.99), 10, "**Undecided.**"),
        ((0.3, 0.3), (0.99, 0.99), 10, "**Undecided.**"),
        ((0.1, 0.3), (0.978, 0.672), 10, "Not judged: the training accuracy ends at 0.978"),
        ((0.1, 0.3), (0.978, 0.95), 1, "Not judged"),
        ((0.1, 0.3), (0.2, 0.2), 10, "Not judged"),
    ],
)
def test_gaps(by_model, train, seeds, part):
    runs = gaps(by_model, train=train, seeds=seeds)
    (claim,) = overfitting(compare(runs, overlay="all"))
    assert part in claim.text, claim.text


def test_equal_configurations_are_judged_once():
    runs = sweep(
        fields=lambda run: {"gap": 0.1 + noise(run)},
        model=MODELS,
        model__dropout=[0],
        model__dropout_position=["every", "last"],
        seed=range(10),
    )
    assert len(overfitting(compare(runs, overlay="all"))) == 1


@pytest.mark.parametrize(
    ("gain", "seeds", "part"),
    [
        ((0.01, 0.05), 1, "1 seed: no verdict"),
        ((0.01, 0.05), 3, "3 seeds: no verdict"),
        ((0.01, 0.05), 10, "**Holds.**"),
        ((0.05, 0.01), 10, "**Does not hold here.**"),
        ((0.03, 0.03), 10, "**Undecided.**"),
        ((-0.01, -0.05), 10, ": it measurably helps neither."),
        ((0.01, 0.05), 10, "with batchnorm (dropout 0.1) and by +0.050"),
    ],
)
def test_dropout(gain, seeds, part):
    runs = gaps((0.2, 0.2), seeds=seeds, gain=gain, rates_of_dropout=(0, 0.1, 0.5))
    (claim,) = dropout(runs)
    assert part in claim.text, claim.text


def test_dropout_is_not_judged_without_validation_samples():
    runs = gaps((0.2, 0.2), seeds=10, rates_of_dropout=(0, 0.5), validation=False)
    (claim,) = dropout(runs)
    assert "Not judged: the best rate is chosen on validation samples" in claim.text


def test_seeds_that_learn_at_no_rate_prevent_a_judgement():
    runs = sweep(
        lambda run: (0.1, 0.1 if run.model == "plain" and run.seed > 4 else 0.95),
        optimizer__lr=RATES[:3],
        model=MODELS,
        seed=range(10),
    )
    runs = [
        run
        for run in runs
        if run.spec.swept["optimizer.lr"] < 1 or run.spec.swept["model"] != "plain"
    ]
    (larger, _) = learning_rate(runs)
    assert "plain learns at no rate tried with 5 of 10 seeds" in larger.text


@pytest.mark.parametrize("key", ["data__train_size", "training__epochs"])
def test_speed_is_compared_on_the_same_problem(key):
    runs = sweep(
        fields=lambda run: {"validation": 0.9 if run.model == "plain" else getattr(run, key) / 999},
        optimizer__lr=[0.1, 0.2, 0.3],
        model=MODELS,
        seed=range(5),
        **{key: [200, 400]},
    )
    _, faster = learning_rate(runs)
    sizes = [
        re.findall(" [24]00", f"{judgement.pair.lines} {judgement.pair.shared}")
        for judgement in faster.judgements
    ]
    assert [set(of_pair) for of_pair in sizes] == [{" 200"}, {" 400"}]


def test_means_and_their_difference_use_the_same_seeds():
    runs = [
        run
        for run in gaps((0.1, 0.3), seeds=10)
        if run.spec.swept["model"] == "batchnorm" or run.spec.swept["seed"] < 5
    ]
    (claim,) = overfitting(compare(runs, overlay="all"))
    normed, plain, difference = (
        float(number) for number in re.findall(r"([-+\d.]+) \N{PLUS-MINUS SIGN}", claim.text)
    )
    assert difference == pytest.approx(normed - plain, abs=0.0011)


def test_the_answer_counts_pairs_that_disagree():
    ends = {("batchnorm", "relu"): STEADY, ("plain", "relu"): FRAIL}
    ends |= {("batchnorm", "tanh"): FRAIL, ("plain", "tanh"): STEADY}
    runs = sweep(
        lambda run: (0.1, ends[run.model, run.model__activation][run.weight_std] + noise(run)),
        weight_std=[1, 0.1, 0.01],
        model=MODELS,
        model__activation=["relu", "tanh"],
        seed=range(5),
    )
    _, claim = Findings(runs).answer
    assert "**Holds** for relu; **does not hold here** for tanh." in claim
    assert re.search(r"changes by -0\.\d+ ± 0\.\d+ to \+0\.\d+ ± 0\.\d+, n = 5", claim)
    assert claim.endswith("these intervals hold for both pairs at once.")


def test_dropout_is_not_judged_without_a_reference():
    runs = [
        run
        for run in gaps((0.2, 0.2), seeds=10, rates_of_dropout=(0, 0.1))
        if run.spec.swept["model"] == "batchnorm" or run.spec.swept["model.dropout"]
    ]
    (claim,) = dropout(runs)
    assert "Not judged: plain has no result without it" in claim.text


def test_too_few_seeds_give_no_verdict_in_bold():
    for runs in (
        gaps((0.1, 0.3), seeds=3, rates_of_dropout=(0, 0.1)),
        sweep(lambda run: (0.1, 0.5), weight_std=[1, 0.1, 0.01], model=MODELS, seed=range(4)),
    ):
        answer = " ".join(Findings(runs).answer)
        assert "no verdict" in answer
        assert all("no verdict" in bold for bold in re.findall(r"\*\*(.+?)\*\*", answer))


def test_a_sweep_without_results_has_no_answer():
    assert Findings([]).answer == []


def test_many_pairs_are_one_sentence_and_a_row_each():
    runs = sweep(
        lambda run: (
            0.1,
            (STEADY if run.model == "batchnorm" else FRAIL)[run.weight_std] + noise(run),
        ),
        weight_std=[1, 0.1, 0.01],
        model=MODELS,
        training__batch_size=range(1, 41),
        seed=range(5),
    )
    (claim,) = initial_weights(compare(runs))
    assert claim.text.count("difference") + claim.text.count("changes by") == 1
    assert "**Holds** for all 40 pairs." in claim.text
    assert "these intervals hold for all 40 pairs at once" in claim.text
    _, table = claim.table
    head, _, *rows = table.splitlines()
    assert head == "|  | verdict | with BN | without BN | difference | n | higher with BN at |"
    assert len(rows) == 40
    assert rows[1].startswith("| batch size 2 | holds | 0.1")
    assert rows[1].endswith(" | 5 | 1, 0.01 |")
    # Bonferroni: the interval of one of 40 pairs is wider than that of one alone.
    alone = weights({"batchnorm": STEADY, "plain": FRAIL}, seeds=5)[0]
    widths = [float(re.findall(r"-0\.\d+ ± (0\.\d+)", text)[0]) for text in (alone, rows[1])]
    assert widths[0] < widths[1]


def test_pairs_that_cannot_be_judged_are_named_with_the_reason():
    ends = {"relu": FRAIL, "tanh": dict.fromkeys(FRAIL, 0.1)}
    runs = sweep(
        lambda run: (
            0.1,
            (STEADY if run.model == "batchnorm" else ends[run.model__activation])[run.weight_std]
            + noise(run),
        ),
        weight_std=[1, 0.1, 0.01],
        model=MODELS,
        model__activation=["relu", "tanh"],
        seed=range(10),
    )
    (claim,) = initial_weights(compare(runs))
    assert "**Holds** for relu: over 3 scales, the final training accuracy" in claim.text
    assert "n = 10" in claim.text
    assert claim.text.endswith("Not judged for tanh: plain learns at none of the 3 scales.")
    note, table = claim.table
    assert note.endswith("Not judged: plain learns at none of the 3 scales.")
    assert table.splitlines()[-1] == "| tanh | not judged | - | - | - | - | - | - |"


def test_a_claim_that_no_pair_can_judge_says_so_once():
    runs = gaps((0.1, 0.3), train=(0.9, 0.2), seeds=5, rates_of_dropout=(0, 0.1, 0.5))
    (claim,) = overfitting(compare(runs, overlay="all"))
    assert claim.text == (
        "Claim: Batch Normalization reduces overfitting. "
        "Not judged for any of the 3 pairs: the two have not fitted alike."
    )
    assert claim.table == []


def test_without_a_claim_the_test_accuracies_are_compared_in_one_sentence():
    runs = sweep(
        fields=lambda run: {"gap": 0.2 + noise(run) - 0.1 * (run.model == "batchnorm")},
        model=MODELS,
        model__activation=["relu", "tanh", "sigmoid"],
        seed=range(5),
    )
    _, compared = Findings(runs).answer
    assert compared.startswith("With Batch Normalization, the test accuracy changes by +0.1")
    assert compared.endswith("n = 5; these intervals hold for all 3 pairs at once.")


OPTIMIZERS = {"model": MODELS, "optimizer": ["sgd", "adam"], "seed": range(5)}


def lost_with_sgd(run):
    """Whether a run is one of the plain network with sgd: the pair of adam alone is left."""
    return run.spec.swept["model"] == "plain" and run.spec.swept["optimizer"] == "sgd"


def test_a_comparison_of_the_only_pair_left_names_its_place():
    runs = [run for run in sweep(**OPTIMIZERS) if not lost_with_sgd(run)]
    _, compared = Findings(runs).answer
    assert compared.startswith("For adam: the test accuracy is 0.9")


@pytest.mark.parametrize(
    ("plain", "start"),
    [
        (FRAIL, "**Holds** for adam: over 3 scales, the final"),
        (dict.fromkeys(FRAIL, 0.1), "Not judged for adam: plain learns at none of the 3 scales."),
    ],
)
def test_a_verdict_on_the_only_pair_left_names_its_place(plain, start):
    ends = {"batchnorm": STEADY, "plain": plain}
    runs = sweep(
        lambda run: (0.1, ends[run.model][run.weight_std] + noise(run)),
        weight_std=[1, 0.1, 0.01],
        **OPTIMIZERS,
    )
    (claim,) = initial_weights(compare([run for run in runs if not lost_with_sgd(run)]))
    assert claim.outcome.startswith(start)


def test_initial_weights_are_not_judged_by_a_single_scale():
    runs = sweep(weight_std=[1, 0.1, 0.01], model=MODELS, seed=range(5))
    left = [r for r in runs if r.spec.swept["model"] != "plain" or r.spec.swept["weight_std"] == 1]
    (claim,) = initial_weights(compare(left))
    assert claim.outcome == "Not judged: both have results at 1 of 3 scales only."


def test_initial_weights_are_not_judged_without_a_common_seed():
    runs = sweep(weight_std=[1, 0.1, 0.01], model=MODELS, seed=range(2))
    left = [r for r in runs if (r.spec.swept["model"] == "plain") == r.spec.swept["seed"]]
    (claim,) = initial_weights(compare(left))
    assert claim.outcome == "Not judged: the two have no seed in common."
