"""Who looks at a run that is under way sees how far it is: in its folder, and in the store."""

import json

import pytest
from faults import ONE_PROCESS, SCRIPTED, Started, prepare, wait_until


@pytest.mark.parametrize("kind", ["a run by itself", "one process", "processes"])
def test_a_run_under_way_shows_its_course_on_disk_and_in_the_store(shell, kind):
    prepare(shell.folder)
    arguments = {
        "a run by itself": [*SCRIPTED, "optimizer.lr=0.2"],
        "one process": ["-m", *SCRIPTED, "optimizer.lr=0.2,0.1", ONE_PROCESS],
        "processes": ["-m", *SCRIPTED, "optimizer.lr=0.2,0.1"],
    }
    with Started(shell, *arguments[kind]) as started:
        # It waits in the middle of its second epoch.
        started.until((shell.folder / "waiting-0.2").exists, "the run is under way")
        (folder,) = (
            path.parent
            for path in shell.folder.glob("outputs/**/run.json")
            if json.loads(path.read_text())["config"]["optimizer"]["lr"] == 0.2
        )
        attempt = json.loads((folder / "run.json").read_text())["attempt"]
        epochs = folder / f"epochs.{attempt}.jsonl"
        lines = [json.loads(line) for line in epochs.read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [0, 1]
        assert all(line["train_loss"] > 0 for line in lines)
        assert not (folder / "history.json").exists()

        def stored():
            condition = f"tags.`bnsweep.attempt` = '{attempt}' and status = 'RUNNING'"
            for run in shell.runs(condition):
                points = shell.client().get_metric_history(run.info.run_id, "train_loss")
                if len(points) == 2:
                    return {point.step: (point.value, point.timestamp) for point in points}
            return None

        points = started.until(stored, "the store shows the epochs of the run")
        # Each with the time at which it was measured, not that at which it was brought.
        assert points == {
            line["epoch"]: (float(f"{line['train_loss']:.4g}"), round(1000 * line["time"]))
            for line in lines
        }
        (shell.folder / "go").touch()
        assert started.ends() == 0, started.text
    (run,) = shell.runs(f"tags.`bnsweep.attempt` = '{attempt}'")
    assert run.info.status == "FINISHED"
    history = json.loads((folder / "history.json").read_text())
    assert history["attempt"] == attempt
    wait_until(lambda: run.data.metrics["epochs_run"] == 3, "the end is in the store")
