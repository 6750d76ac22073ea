"""Several sweeps at once and many workers at once lose nothing."""

from faults import SMALL, Started


def test_four_sweeps_that_start_at_once_without_outputs_all_succeed(shell):
    sweeps = [
        Started(shell, "-m", *SMALL, f"optimizer.lr=0.1,0.0{n}", name=f"sweep{n}")
        for n in (1, 2, 3, 4)
    ]
    for sweep in sweeps:
        with sweep:
            assert sweep.ends() == 0, sweep.text
            assert "Error" not in sweep.text
    parents = shell.runs("tags.`bnsweep.role` = 'sweep'")
    assert [run.data.metrics["runs_finished"] for run in parents] == [2] * 4
    assert len({run.data.tags["bnsweep.folder"] for run in parents}) == 4
    assert len(list(shell.folder.glob("outputs/sweeps/*"))) == 4
    runs = shell.runs("tags.`bnsweep.role` = 'run'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 8
    assert len({run.info.experiment_id for run in runs}) == 1


def test_eight_workers_that_write_at_once_lose_nothing(shell):
    seeds = ",".join(str(seed) for seed in range(16))
    arguments = ["-m", *SMALL, "training.epochs=5", f"seed={seeds}", "hydra.launcher.n_jobs=8"]
    done = shell(*arguments)
    assert done.returncode == 0, done.stderr
    runs = shell.runs("tags.`bnsweep.role` = 'run'")
    assert len(runs) == 16
    client = shell.client()
    for run in runs:
        assert run.info.status == "FINISHED"
        points = client.get_metric_history(run.info.run_id, "train_loss")
        assert [point.step for point in points] == [0, 1, 2, 3, 4, 5]
        names = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert names >= {"config.yaml", "history.json", "weights.npz"}
