"""The text of a result, and files that are there whole or not at all."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from bnsweep.records import Histogram, RunFolder, RunResult, RunSpec, curves_of, write_whole

CONFIG = {"weight_std": 1.0, "model": {"hidden_sizes": [3, 2]}, "seed": 4}
SPEC = RunSpec(
    config=CONFIG,
    options={"model": "plain"},
    fingerprint="abc",
    number=7,
    swept={"weight_std": 1.0, "model.hidden_sizes": [3, 2]},
)


def measured(train, test, losses=(2.3, 2.4), stds=(1.0, 2.0)):
    found = {"train_loss": losses[0], "train_accuracy": train}
    found |= {"test_loss": losses[1], "test_accuracy": test}
    return found | {f"activations/std_{k}": std for k, std in enumerate(stds, 1)}


DIVERGED = RunResult(
    spec=SPEC,
    status="diverged",
    curves=curves_of(
        [
            measured(0.1, 0.2),
            measured(0.3, 0.1, losses=(math.nan, math.inf), stds=(math.nan, 5.0)),
        ]
    ),
    initial_activations=(Histogram((0.0, 0.5, 1.0), (3, 4)),),
    train_seconds=0.5,
    started=1000.0,
    ended=1001.5,
    attempt="a try",
)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def assert_same(one, other):
    assert one.curves.keys() == other.curves.keys()
    for name, curve in one.curves.items():
        np.testing.assert_array_equal(curve, other.curves[name])
    assert replace(one, curves={}).__dict__ == replace(other, curves={}).__dict__


def test_a_history_comes_back_as_it_was(folder):
    folder.finish(DIVERGED)
    assert_same(folder.result(), DIVERGED)


def test_curves_hold_nan_where_a_number_was_not_finite():
    np.testing.assert_array_equal(DIVERGED.curves["test_loss"], [2.4, math.nan])
    np.testing.assert_array_equal(DIVERGED.curves["activations/std_2"], [2.0, 5.0])
    with pytest.raises(ValueError, match="read-only"):
        DIVERGED.curves["test_loss"][0] = 0


def test_a_history_is_strict_json_named_as_the_metrics(folder, tmp_path):
    folder.finish(DIVERGED)
    text = (tmp_path / "history.json").read_text()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the file"))
    assert document["format"] == 2
    assert document["fingerprint"] == "abc"
    assert document["status"] == "diverged"
    assert document["config"] == CONFIG
    assert document["options"] == {"model": "plain"}
    assert document["number"] == 7
    assert document["attempt"] == "a try"
    assert (document["started"], document["ended"]) == (1000.0, 1001.5)
    assert [epoch["epoch"] for epoch in document["epochs"]] == [0, 1]
    assert document["epochs"][0]["activations/std_2"] == 2.0
    assert document["epochs"][1]["train_loss"] is None
    assert document["final_train_accuracy"] == 0.3
    assert "validation_accuracy" not in document["epochs"][0]
    assert document["diverged"] == 1
    assert document["epochs_run"] == 1


def test_the_best_epoch_is_chosen_on_the_validation_samples_or_not_at_all(folder):
    chosen = replace(
        DIVERGED,
        curves=curves_of(
            [
                measured(0.5, test) | {"validation_loss": 1.0, "validation_accuracy": validation}
                for test, validation in [(0.9, 0.1), (0.6, 0.8), (0.7, 0.7)]
            ]
        ),
    )
    folder.finish(chosen)
    assert_same(folder.result(), chosen)
    assert chosen.final_metrics()["best_test_accuracy"] == 0.6
    assert chosen.final_metrics()["final_validation_accuracy"] == 0.7
    assert "best_test_accuracy" not in DIVERGED.final_metrics()


def test_no_infinite_number_is_a_metric():
    assert [*DIVERGED.epochs()][1] == {
        "train_accuracy": 0.3, "test_accuracy": 0.1, "activations/std_2": 5.0
    }  # fmt: skip


def test_a_failed_run_without_epochs_has_a_history(folder):
    failed = RunResult(SPEC, "failed", error="Traceback ...")
    folder.finish(failed)
    assert_same(folder.result(), failed)
    assert "final_train_accuracy" not in failed.final_metrics()
    assert failed.epochs_run == 0


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 99}', '{"format": 2}'])
def test_what_is_no_history_is_said_to_be_none(folder, tmp_path, text):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(ValueError, match=r"history\.json"):
        folder.result()


def test_a_history_of_format_1_is_met_with_one_clear_message(folder, tmp_path):
    (tmp_path / "history.json").write_text('{"format": 1, "epochs": []}')
    message = "written in format 1, and this version reads format 2 alone; do the run again"
    with pytest.raises(ValueError, match=message):
        folder.result()


def test_a_write_that_fails_leaves_what_was_there(folder, tmp_path, monkeypatch):
    folder.finish(DIVERGED)
    before = (tmp_path / "history.json").read_text()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "history.json", b"half")
    assert (tmp_path / "history.json").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]
