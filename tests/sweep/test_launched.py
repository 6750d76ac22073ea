"""Runs by a launcher of Hydra's: what it is given, and what is taken from what it returns."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from made_up import result, sweep
from omegaconf import OmegaConf

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.errors import ConfigError
from bnsweep.hydra_inside import initialized
from bnsweep.records import RunFolder, SweepPlan, decode, encode
from bnsweep.sweep import cluster, launched
from bnsweep.sweep.launched import Launched, do_job
from bnsweep.sweep.workers import STOP_FILE, OpenSweep, Terms, run_all
from bnsweep.tracking.store import Store, StoredRun


class Launcher:
    """Does to each batch what the next step of a script says, and remembers what it was given."""

    def __init__(self, *script):
        self.script = list(script)
        self.batches = []

    def launch(self, job_overrides, initial_job_idx):
        self.batches.append(job_overrides)
        step = self.script.pop(0) if self.script else returns_histories
        return step([number_of(overrides) for overrides in job_overrides])


def number_of(overrides):
    (number,) = (o for o in overrides if o.startswith("sweep.number="))
    return int(number.partition("=")[2])


def completed(value):
    returned = JobReturn(status=JobStatus.COMPLETED)
    returned.return_value = value
    return returned


def failed(error):
    returned = JobReturn(status=JobStatus.FAILED)
    returned.return_value = error
    return returned


def returns_histories(numbers):
    return [completed(encode(result(seed=number))) for number in numbers]


@pytest.fixture
def specs():
    return [run.spec for run in sweep(seed=[0, 1, 2], data__root=["/data"])]


@pytest.fixture
def opened(tmp_path, specs, monkeypatch):
    monkeypatch.setattr(launched, "APPEAR_SECONDS", 0.2)
    return OpenSweep(SweepPlan(tuple(specs), ("seed",), parent="the parent"), Terms(tmp_path))


def workers_of(opened, launcher, store=None):
    config = {"output_dir": "/out", "hydra": {"sweep": {"dir": str(opened.folder)}}}
    return Launched(launcher, OmegaConf.create(config), store)


def numbers(launcher):
    return [[number_of(overrides) for overrides in batch] for batch in launcher.batches]


def seeds(opened):
    return [opened.run(number).result().spec.seed for number in range(3)]


def test_a_history_that_comes_with_the_return_is_written_where_it_is_missing(opened, specs):
    def step(numbers):
        opened.run(0).path.mkdir()
        opened.run(0).finish(result(seed=0))
        return [completed(encode(result(seed=7))) for _ in numbers]

    assert run_all(workers_of(opened, Launcher(step)), specs, opened) == {}
    assert seeds(opened) == [0, 7, 7]


def test_a_run_that_the_driver_sees_itself_needs_no_history_in_the_return(opened, specs):
    def step(numbers):
        for number in numbers:
            opened.run(number).path.mkdir()
            opened.run(number).finish(result(seed=number))
        return [completed(None) for _ in numbers]

    launcher = Launcher(step)
    assert run_all(workers_of(opened, launcher), specs, opened) == {}
    assert numbers(launcher) == [[0, 1, 2]]


def test_a_failed_job_says_why_and_is_launched_again(opened, specs):
    def step(numbers):
        return [failed(ValueError("no such thing")), *returns_histories(numbers[1:])]

    launcher = Launcher(step, step, step, step)
    reasons = run_all(workers_of(opened, launcher), specs, opened)
    assert reasons == {0: "ValueError: no such thing"}
    assert numbers(launcher)[:2] == [[0, 1, 2], [0]]
    assert [opened.run(number).has_history() for number in range(3)] == [False, True, True]


def test_a_launcher_that_raises_leaves_nothing_running_and_is_asked_again(
    opened, specs, monkeypatch
):
    stopped = []
    monkeypatch.setattr(cluster, "stop", stopped.append)

    def dies(numbers):
        begun = opened.run(1).begin(specs[1])
        opened.run(1).append(begun.id, 0, {"train_loss": 1.0})
        raise RuntimeError("a node was lost\nand more")

    launcher = Launcher(dies)
    run_all(workers_of(opened, launcher), specs, opened)
    assert stopped == [opened.folder]
    assert numbers(launcher) == [[0, 1, 2], [0, 2], [1]]
    assert seeds(opened) == [0, 1, 2]


def test_where_the_launcher_cannot_start_its_reason_stands(opened, specs):
    def step(numbers):
        raise RuntimeError("no such partition")

    launcher = Launcher(*[step] * 9)
    reasons = run_all(workers_of(opened, launcher), specs, opened)
    assert reasons == dict.fromkeys(range(3), "RuntimeError: no such partition")
    assert len(launcher.batches) == 3


def test_a_stopped_sweep_waits_for_no_history(opened, specs, monkeypatch):
    monkeypatch.setattr(launched, "APPEAR_SECONDS", 600)

    def step(numbers):
        (opened.folder / STOP_FILE).touch()
        return [completed(None) for _ in numbers]

    run_all(workers_of(opened, Launcher(step)), specs, opened)


def test_jobs_are_told_what_holds_in_any_working_directory(opened, specs):
    spec = replace(specs[0], overrides=("seed=0", "output_dir=there", "data.root=x"), number=9)
    spec.config["data"]["root"] = "/a folder/it's here"
    launcher = Launcher()
    workers_of(opened, launcher).run([spec], opened)
    ((overrides,),) = launcher.batches
    assert overrides[0] == "seed=0"
    parsed = OverridesParser.create().parse_overrides(overrides)
    values = {override.get_key_element(): override.value() for override in parsed}
    assert len(values) == len(parsed)  # each key once
    assert str(values["output_dir"]) == "/out"
    assert str(values["data.root"]) == "/a folder/it's here"
    assert str(values["hydra.sweep.dir"]) == str(opened.folder)
    assert str(values["hydra.sweep.subdir"]) == "9"
    assert values["sweep.number"] == 9
    assert str(values["sweep.parent_run_id"]) == "the parent"
    assert [str(key) for key in values["sweep.keys"]] == ["seed"]
    assert {key: str(name) for key, name in values["sweep.options"].items()} == spec.options


@pytest.mark.parametrize(
    ("uri", "told"),
    [("sqlite:////a b/mlflow.db", "sqlite:////a b/mlflow.db"), ("http://me:s3cret@host", None)],
)
def test_a_password_reaches_no_job_by_its_overrides(opened, specs, uri, told):
    launcher = Launcher()
    workers_of(opened, launcher, Store(uri=uri, experiment="unit")).run(specs[:1], opened)
    ((overrides,),) = launcher.batches
    assert "s3cret" not in " ".join(overrides)
    (uri_override,) = (o for o in overrides if o.startswith("tracking.uri="))
    value = OverridesParser.create().parse_override(uri_override).value()
    assert value == told if told is None else str(value) == told


class Knows:
    """A recorder of a store that holds some runs, by their numbers, and that store."""

    experiment = "bnsweep"

    def __init__(self, status="finished", **histories):
        self.status = status
        self.histories = {mark.removeprefix("run"): text for mark, text in histories.items()}

    def learn(self):
        return [StoredRun(f"id {n}", "", "", n, self.status) for n in self.histories]

    def fetch(self, run_id, folder, names):
        if "history.json" in names:
            (folder / "history.json").write_text(self.histories[run_id.removeprefix("id ")])

    uri = "http://host"


def loses_one(numbers):
    lost = failed(RuntimeError("the node is gone"))
    return [lost if n == 1 else completed(encode(result(seed=n))) for n in numbers]


def test_what_a_launcher_loses_and_the_store_has_is_not_done_again(opened, specs):
    """The run was done and recorded on another machine, whose answer never came."""
    knows = Knows(run1=encode(result(seed=1)))
    opened = replace(opened, recorder=knows)
    launcher = Launcher(loses_one)
    run_all(workers_of(opened, launcher, knows), specs, opened)
    assert numbers(launcher) == [[0, 1, 2]]
    assert seeds(opened) == [0, 1, 2]


@pytest.mark.parametrize("status", ["running", "failed", "killed"])
def test_what_a_launcher_loses_and_the_store_has_not_finished_is_done_again(opened, specs, status):
    knows = Knows(status, run1=encode(result(seed=1)))
    opened = replace(opened, recorder=knows)
    launcher = Launcher(loses_one)
    run_all(workers_of(opened, launcher, knows), specs, opened)
    assert numbers(launcher) == [[0, 1, 2], [1]]
    assert seeds(opened) == [0, 1, 2]


def test_slurm_gets_no_larger_job_array_than_it_takes(opened, specs, monkeypatch):
    monkeypatch.setattr(cluster, "_array_size", lambda: 2)
    launcher = Launcher()
    launcher.params = {"submitit_folder": ".submitit"}
    assert run_all(workers_of(opened, launcher), specs, opened) == {}
    assert numbers(launcher) == [[0, 1], [2]]
    assert seeds(opened) == [0, 1, 2]


SMALL = (
    *("weight_std=0.1", "model=plain", "model.hidden_sizes=[3]", "training.epochs=1"),
    *("data.train_size=100", "data.test_size=10", "tracking=none"),
    *("tracking.figures=false", "tracking.weights=false"),
)


@pytest.fixture(scope="module")
def composed():
    prepare_hydra()
    with initialized(config_folder()):
        loader = GlobalHydra.instance().config_loader()

        def make(*overrides):
            cfg = loader.load_configuration(
                "config", [*SMALL, *overrides], run_mode=RunMode.MULTIRUN
            )
            hydra = cfg.hydra
            return OmegaConf.masked_copy(cfg, [k for k in cfg if k != "hydra"]), hydra

        yield make


def job(folder, composed, *overrides):
    cfg, hydra = composed(*overrides)
    place = SimpleNamespace(dir=str(folder))
    runtime = SimpleNamespace(
        output_dir=str(folder / "4"),
        cwd=str(folder),
        choices=hydra.runtime.choices,
        config_sources=hydra.runtime.config_sources,
    )
    return cfg, SimpleNamespace(
        sweep=place,
        runtime=runtime,
        overrides=hydra.overrides,
        job=SimpleNamespace(num=4, chdir=False),
    )


def test_a_job_whose_disk_the_driver_sees_returns_nothing(tmp_path, composed):
    (tmp_path / "sweep.json").write_text("{}")
    assert do_job(*job(tmp_path, composed)) is None
    found = RunFolder(tmp_path / "4").result()
    assert (found.status, found.spec.number) == ("finished", 4)
    assert found.spec.options["model"] == "plain"


def test_a_job_elsewhere_returns_its_history(tmp_path, composed):
    text = do_job(*job(tmp_path, composed))
    assert encode(decode(text)) == encode(RunFolder(tmp_path / "4").result())


def test_a_job_keeps_the_number_and_the_names_that_its_sweep_gives_it(tmp_path, composed):
    given = ("sweep.number=7", "sweep.keys=[seed]", "sweep.options={model:a,optimizer:b,data:c}")
    found = decode(do_job(*job(tmp_path, composed, *given)))
    assert found.spec.number == 7
    assert found.spec.options == {"model": "a", "optimizer": "b", "data": "c"}
    assert found.spec.swept == {"seed": 0}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("+training.epoch=3", "training.epoch: there is no such key"),
        ("sweep=null", "sweep=null: is set by the program"),
        ("sweep.parent_run_id=abc", "sweep.parent_run_id=abc: is set by the program"),
    ],
)
def test_a_job_of_another_sweeper_than_ours_takes_no_unknown_key(
    tmp_path, composed, override, said
):
    with pytest.raises(ConfigError, match=said):
        do_job(*job(tmp_path, composed, override))
    assert not (tmp_path / "4").exists()


def test_a_job_of_a_stopped_sweep_does_nothing(tmp_path, composed):
    (tmp_path / STOP_FILE).touch()
    assert do_job(*job(tmp_path, composed)) is None
    assert not (tmp_path / "4").exists()


@pytest.mark.parametrize(("on_failure", "stops"), [("stop", True), ("continue", False)])
def test_a_job_that_cannot_be_done_fails_in_its_folder(tmp_path, composed, on_failure, stops):
    broken = ("data=mnist", "data.root=/nowhere", f"on_failure={on_failure}")
    names = ("sweep.options={model:a,optimizer:b,data:c}",)
    found = decode(do_job(*job(tmp_path, composed, *broken, *names)))
    assert found.status == "failed"
    assert "/nowhere" in found.error
    assert (tmp_path / STOP_FILE).exists() == stops
    assert "/nowhere" in (tmp_path / "4" / "error.txt").read_text()
