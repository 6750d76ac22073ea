import csv
from dataclasses import replace

import pytest
from made_up import result, sweep

from bnsweep.errors import UserError
from bnsweep.report.report import MAX_NOTE, counts, write_report

MODELS = ["batchnorm", "plain"]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_results_csv_has_a_row_for_each_run_and_a_column_for_each_swept_key(tmp_path):
    runs = sweep(weight_std=[0.1, "he"], model=MODELS)
    runs[1] = replace(runs[1], reused=True)
    runs[2] = replace(runs[2], result=result(status="failed", accuracies=()), run_id=None)
    table = rows(write_report(runs, tmp_path, []).csv)
    assert list(table[0]) == [
        *("run_id", "name", "status", "weight_std", "model"),
        *("final_train_accuracy", "final_test_accuracy", "best_test_accuracy"),
        *("train_seconds", "diverged", "epochs_run"),
    ]
    assert [row["weight_std"] for row in table] == ["0.1", "0.1", "he", "he"]
    assert [row["model"] for row in table] == MODELS * 2
    assert [row["status"] for row in table] == ["finished", "reused", "failed", "finished"]
    assert [row["run_id"] for row in table] == ["id0", "id1", "", "id3"]
    assert float(table[0]["final_test_accuracy"]) == pytest.approx(0.9)
    assert table[2]["final_test_accuracy"] == ""


def test_a_reused_run_counts_as_nothing_else():
    outcomes = ["finished", "diverged", "failed", "killed", "finished"]
    runs = sweep(seed=[*range(5)])
    runs = [replace(r, result=result(status=s)) for r, s in zip(runs, outcomes, strict=True)]
    runs[4] = replace(runs[4], reused=True)
    found = counts(runs)
    assert found.pop("runs_total") == sum(found.values()) == 5
    assert found == dict.fromkeys(
        ["runs_finished", "runs_diverged", "runs_failed", "runs_killed", "runs_reused"], 1
    )


def test_the_report_lies_in_the_folder(tmp_path):
    runs = sweep(weight_std=[1, 0.1], model=MODELS)
    report = write_report(runs, tmp_path, ["final_accuracy", "curves"])
    assert [path.name for path in report.figures] == ["final_accuracy.png", "curves.png"]
    assert all(path.stat().st_size for path in report.figures)
    assert (tmp_path / "summary.md").read_text() == report.summary


def test_a_sweep_in_which_all_failed_still_has_its_report(tmp_path):
    broken = result((), status="failed", error="Traceback...\nMemoryError: too large")
    runs = [replace(run, result=broken) for run in sweep(weight_std=[1, 0.1])]
    report = write_report(runs, tmp_path, ["curves", "final_accuracy"])
    assert report.figures == ()
    assert "2 runs: 2 failed." in report.summary
    assert "- `run 1`: failed, MemoryError: too large" in report.summary
    assert len(rows(report.csv)) == 2


def test_an_unknown_figure_is_named_with_those_there_are(tmp_path):
    with pytest.raises(UserError, match=r"report\.figures=.*pie.*curves, final_accuracy"):
        write_report(sweep(weight_std=[1, 0.1]), tmp_path, ["pie"])


def test_the_note_is_never_longer_than_the_store_takes(tmp_path):
    runs = sweep(weight_std=[0.9**k for k in range(32)], model=MODELS, seed=[0, 1])
    runs = [replace(run, result=result((0.1, 0.1 * run.number % 1))) for run in runs]
    names = ["curves", "final_accuracy", "epochs_to_target", "generalization_gap"]
    report = write_report(runs, tmp_path, names)
    assert len((tmp_path / "summary.md").read_text()) > MAX_NOTE >= len(report.summary)
    assert "The rest is in `summary.md`" in report.summary


def summary(tmp_path, figure, *args, **kwargs):
    return write_report(sweep(*args, **kwargs), tmp_path, [figure]).summary


def test_the_heading_says_what_was_compared(tmp_path):
    text = summary(tmp_path, "curves", weight_std=[1, 0.1], model=MODELS, seed=[0, 1, 2])
    assert text.startswith(
        "# Sweep of weight scale W (1, 0.1) x model (batchnorm, plain) x 3 seeds\n"
    )
    assert "12 runs: 12 finished." in text


ENDS = {("plain", 1): 0.1, ("plain", 0.1): 0.9, ("plain", 0.01): 0.2, ("plain", 0.001): 0.1}


def test_the_summary_says_where_networks_learn_and_that_a_claim_holds(tmp_path):
    text = summary(
        tmp_path,
        "curves",
        lambda run: (0.1, ENDS.get((run.model, run.weight_std), 0.95)),
        weight_std=[1, 0.1, 0.01, 0.001],
        model=MODELS,
    )
    assert "- batchnorm learns at 4 of 4 values of W." in text
    assert "- plain learns at 1 of 4 values of W (0.1), in part at 0.01." in text
    assert "depends little on the initial weights. It **holds**" in text


def test_a_claim_that_does_not_hold_is_called_so(tmp_path):
    text = summary(
        tmp_path,
        "curves",
        lambda run: (0.1, ENDS["plain", run.weight_std] if run.model == "batchnorm" else 0.95),
        weight_std=[1, 0.1, 0.01, 0.001],
        model=MODELS,
    )
    assert "depends little on the initial weights. It **does not hold here**" in text
    assert "At W = 1 to 0.001, plain ends higher." in text


def test_no_claim_is_made_of_a_sweep_that_cannot_say(tmp_path):
    for figure in ("curves", "epochs_to_target", "generalization_gap"):
        text = summary(tmp_path, figure, weight_std=[1, 0.1], optimizer=["sgd", "adam"])
        assert "Claim" not in text


def test_the_final_table_gives_mean_and_range_over_the_seeds(tmp_path):
    text = summary(
        tmp_path,
        "final_accuracy",
        lambda run: (0.1, 0.5 + 0.1 * run.seed),
        weight_std=[1, "he"],
        seed=[0, 1, 2],
    )
    assert "| he | 0.600 (0.500 to 0.700) / 0.500 (0.400 to 0.600) |" in text


def learning(run):
    """Batch Normalization learns up to 1, plain up to 0.1 and half as fast."""
    if run.optimizer__lr > (1 if run.model == "batchnorm" else 0.1):
        return (0.1,) * 9
    return (*(0.1,) * (2 if run.model == "batchnorm" else 4), *(0.95,) * 5)


def test_a_sweep_of_learning_rates_tells_the_largest_and_the_speed_up(tmp_path):
    text = summary(
        tmp_path, "epochs_to_target", learning, optimizer__lr=[0.01, 0.1, 1, 10], model=MODELS
    )
    assert "| batchnorm | 1 | 1 |" in text
    assert "| plain | 0.1 | 0.1 |" in text
    assert (
        "It **holds**: batchnorm still learns at 1; plain still learns at 0.1, a factor of 10"
        in text
    )
    assert "needs 2 epochs to 90%" in text
    assert "a speed-up of 2." in text


def test_a_network_that_learns_at_no_rate_has_no_best_one(tmp_path):
    text = summary(
        tmp_path,
        "epochs_to_target",
        lambda run: (0.1, 0.95 if run.model == "batchnorm" else 0.1),
        optimizer__lr=[0.1, 1],
        model=MODELS,
    )
    assert "batchnorm still learns at 1, the largest tried; plain learns at none" in text
    assert "plain reaches 90% at no rate tried" in text


def gaps(by_model, **grid):
    def fields(run):
        dropout = getattr(run, "model__dropout", 0)
        return {"gap": by_model[run.model] + 0.01 * run.seed - 0.1 * dropout}

    return {"fields": fields, "model": MODELS, "seed": [0, 1, 2], **grid}


@pytest.mark.parametrize(
    ("normed", "verdict"),
    [
        (0.1, "it **holds**"),
        (0.5, "it **does not hold here**"),
        (0.31, "it **is undecided, the difference being within the spread of the seeds**"),
    ],
)
def test_a_gap_is_held_against_the_spread_of_the_seeds(tmp_path, normed, verdict):
    grid = gaps({"batchnorm": normed, "plain": 0.3})
    text = summary(tmp_path, "generalization_gap", **grid)
    assert verdict in text
    assert "a gap of" in text


def test_the_gap_table_says_whether_a_change_is_larger_than_the_spread(tmp_path):
    grid = gaps({"batchnorm": 0.3, "plain": 0.31}, model__dropout=[0, 0.5])
    text = summary(tmp_path, "generalization_gap", **grid)
    assert "| batchnorm, dropout 0 to plain, dropout 0 | +0.010 | no | -0.010 |" in text
    assert "| plain, dropout 0 to plain, dropout 0.5 | -0.050 | yes | +0.050 |" in text
    assert "Claim: Dropout matters less." in text


def test_networks_that_have_not_learnt_are_no_witnesses(tmp_path):
    text = summary(
        tmp_path, "generalization_gap", lambda _: (0.1, 0.1), **gaps({"batchnorm": 0, "plain": 0})
    )
    assert "this sweep cannot say" in text
    assert "**holds**" not in text
