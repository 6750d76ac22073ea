import json
import math
from dataclasses import replace

import pytest

from bnsweep import records
from bnsweep.records import EpochRecord, Histogram, RunResult

DIVERGED = RunResult(
    status="diverged",
    fingerprint="abc",
    config={"weight_std": 1.0, "model": {"hidden_sizes": [3, 2]}},
    options={"model": "plain"},
    epochs=(
        EpochRecord(0, 2.3, 0.1, 2.4, 0.2, (1.0, 2.0)),
        EpochRecord(1, math.nan, 0.3, math.inf, 0.1, (math.nan, 5.0)),
    ),
    initial_activations=(Histogram((0.0, 0.5, 1.0), (3, 4)),),
    train_seconds=0.5,
)


def test_a_history_comes_back_as_it_was(tmp_path):
    records.write(tmp_path, DIVERGED)
    back = records.read(tmp_path)
    assert math.isnan(back.epochs[1].train_loss)
    assert repr(back).replace("inf", "nan") == repr(DIVERGED).replace("inf", "nan")


def test_a_history_is_strict_json_named_as_the_metrics(tmp_path):
    records.write(tmp_path, DIVERGED)
    text = (tmp_path / "history.json").read_text()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the file"))
    assert document["epochs"][0]["activations/std_2"] == 2.0
    assert document["epochs"][1]["train_loss"] is None
    assert document["final_train_accuracy"] == 0.3
    assert "validation_accuracy" not in document["epochs"][0]
    assert document["diverged"] == 1
    assert document["epochs_run"] == 1


def test_the_best_epoch_is_chosen_on_the_validation_samples_or_not_at_all(tmp_path):
    chosen = replace(
        DIVERGED,
        epochs=tuple(
            EpochRecord(epoch, 1.0, 0.5, 1.0, test, (), 1.0, validation)
            for epoch, (test, validation) in enumerate([(0.9, 0.1), (0.6, 0.8), (0.7, 0.7)])
        ),
    )
    records.write(tmp_path, chosen)
    assert records.read(tmp_path) == chosen
    assert chosen.final_metrics()["best_test_accuracy"] == 0.6
    assert chosen.final_metrics()["final_validation_accuracy"] == 0.7
    assert "best_test_accuracy" not in DIVERGED.final_metrics()


def test_no_infinite_number_is_a_metric():
    assert DIVERGED.epochs[1].metrics() == {
        "train_accuracy": 0.3, "test_accuracy": 0.1, "activations/std_2": 5.0
    }  # fmt: skip


def test_a_failed_run_without_epochs_has_a_history(tmp_path):
    failed = RunResult("failed", "abc", {}, {}, error="Traceback ...")
    records.write(tmp_path, failed)
    assert records.read(tmp_path) == failed
    assert "final_train_accuracy" not in failed.final_metrics()


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 99}', '{"format": 1}'])
def test_what_is_no_history_is_said_to_be_none(tmp_path, text):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(ValueError, match=r"history\.json"):
        records.read(tmp_path)


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    records.write(tmp_path, DIVERGED)
    before = (tmp_path / "history.json").read_text()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        records.write_whole(tmp_path / "history.json", b"half")
    assert (tmp_path / "history.json").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]
