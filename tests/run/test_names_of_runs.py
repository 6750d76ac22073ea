"""From overrides to every name that a run goes by: all of them say what is trained."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.hydra_inside import initialized
from bnsweep.records import RunResult
from bnsweep.report.labels import setting
from bnsweep.run.config import option_files, specify
from bnsweep.sweep.plan import make_plan

FILES = {
    "optimizer/mine.yaml": "_target_: mine.SignSGD\nlr: 0.001\n",
    "optimizer/anywhere.yaml": "# @package _global_\noptimizer:\n  _target_: mine.SignSGD\n",
    "optimizer/half.yaml": "defaults: [mine]\nlr: 0.0005\n",
    "data/mine.yaml": "_target_: bnsweep.data.datasets.digits\nroot: null\n",
    "optimizer/tied.yaml": "_target_: mine.SignSGD\nlr: ${weight_std}\n",
    "model/mine.yaml": "_target_: mine.Net\nwidth: 3\n",
    "model/mine_normalised.yaml": "_target_: mine.Net\nwidth: 3\nbatch_norm: true\n",
    "experiment/signs.yaml": "# @package _global_\noptimizer:\n  _target_: mine.SignSGD\n",
    "experiment/bare.yaml": (
        "# @package _global_\ndefaults:\n  - override /optimizer: null\n"
        "optimizer:\n  _target_: mine.SignSGD\n  lr: 0.1\n"
    ),
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    prepare_hydra()
    with initialized(config_folder()):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration(
            "config", [f"hydra.searchpath=[file://{folder}]"], run_mode=RunMode.MULTIRUN
        )

        def make(overrides):
            planned = make_plan(config, ["weight_std=0.01", *overrides], loader)
            return planned.specs, planned.swept

        def single(overrides):
            cfg = loader.load_sweep_config(config, overrides)
            return specify(cfg, option_files(cfg.hydra))

        make.single = single
        yield make


def case(overrides, names, *, swept=None, runs=None, told=None, says="", keeps_from=()):
    """Return a row of the table.

    Args:
        names: what model, optimizer and data are called, in each run or in all.
        swept: the swept keys, each with its value in each run.
        runs: the runs' names.
        told: parameters by which the first run is known, beside the names.
        says: part of the sentence about what is the same in all runs.
        keeps_from: keys that are no parameters.
    """
    names = names if isinstance(names, list) else [names]
    return pytest.param(
        overrides, names, swept or {}, runs, told or {}, says, keeps_from, id=" ".join(overrides)
    )


TARGETS = ("model._target_", "optimizer._target_", "data._target_")
CASES = [
    case(
        [],
        "batchnorm/sgd/digits",
        runs=["batchnorm weight_std=0.01 seed=0"],  # the usual optimizer goes without saying
        says="digits, 1000 training samples, batchnorm, 5 x 100, relu, sgd, learning rate 0.01",
        keeps_from=TARGETS,
    ),
    case(
        ["model=plain", "model.batch_norm=true", "weight_std=1,0.01"],
        "plain with Batch Normalization/sgd/digits",
        swept={"weight_std": [1, 0.01]},
        runs=[
            "plain with Batch Normalization weight_std=1 seed=0",
            "plain with Batch Normalization weight_std=0.01 seed=0",
        ],
        told={"model.batch_norm": True},
        says=", plain with Batch Normalization, ",
    ),
    case(
        ["model.batch_norm=true,false"],
        ["batchnorm/sgd/digits", "batchnorm without Batch Normalization/sgd/digits"],
        swept={"model.batch_norm": [True, False]},
        runs=[
            "batchnorm weight_std=0.01 model.batch_norm=true seed=0",
            "batchnorm without Batch Normalization weight_std=0.01 model.batch_norm=false seed=0",
        ],
    ),
    case(["model=dropout"], "dropout/sgd/digits", told={"model.dropout": 0.5}),
    case(["model=dropout", "model.dropout=0"], "dropout without Dropout/sgd/digits"),
    case(
        ["model=dropout", "model={batch_norm: true}"], "dropout with Batch Normalization/sgd/digits"
    ),
    case(
        ["optimizer._target_=mine.SignSGD", "optimizer.lr=0.001"],
        "batchnorm/SignSGD/digits",
        runs=["batchnorm optimizer=SignSGD weight_std=0.01 seed=0"],
        told={"optimizer._target_": "mine.SignSGD"},
        says=", SignSGD, learning rate 0.001",
    ),
    case(["optimizer={_target_: mine.SignSGD}"], "batchnorm/SignSGD/digits"),
    case(
        ["optimizer=adam", "seed=1,2"],
        "batchnorm/adam/digits",
        swept={"seed": [1, 2]},
        runs=[f"batchnorm optimizer=adam weight_std=0.01 seed={seed}" for seed in (1, 2)],
    ),
    case(
        ["optimizer.lr=0.1,1", "optimizer=adam,sgd"],
        ["batchnorm/adam/digits", "batchnorm/sgd/digits"],
        swept={"optimizer.lr": [0.1, 0.1, 1, 1], "optimizer": ["adam", "sgd"] * 2},
        runs=[
            f"batchnorm optimizer={optimizer} weight_std=0.01 optimizer.lr={lr} seed=0"
            for lr in (0.1, 1)
            for optimizer in ("adam", "sgd")
        ],
    ),
    case(
        ["optimizer._target_=bnsweep.nn.optimizers.SGD"],
        "batchnorm/sgd/digits",
        keeps_from=TARGETS,
    ),
    case(
        ["optimizer._target_=bnsweep.nn.optimizers.SGD,mine.SignSGD"],
        ["batchnorm/sgd/digits", "batchnorm/SignSGD/digits"],
        swept={"optimizer._target_": ["bnsweep.nn.optimizers.SGD", "mine.SignSGD"]},
        runs=[
            "batchnorm weight_std=0.01 optimizer._target_=bnsweep.nn.optimizers.SGD seed=0",
            "batchnorm weight_std=0.01 optimizer._target_=mine.SignSGD seed=0",
        ],
        keeps_from=TARGETS,
    ),
    case(["optimizer=mine"], "batchnorm/mine/digits", says=", mine, ", keeps_from=TARGETS),
    case(["optimizer=half"], "batchnorm/half/digits", keeps_from=TARGETS),
    case(["optimizer=tied"], "batchnorm/tied/digits", keeps_from=TARGETS),
    case(["optimizer=anywhere"], "batchnorm/anywhere/digits"),
    case(["experiment=signs"], "batchnorm/SignSGD/digits"),
    case(["experiment=signs", "optimizer=mine"], "batchnorm/mine/digits", keeps_from=TARGETS),
    case(["experiment=bare"], "batchnorm/SignSGD/digits"),
    case(["data=mine"], "batchnorm/sgd/mine", says="mine, "),
    case(["data=mine", "data._target_=bnsweep.data.datasets.mnist"], "batchnorm/sgd/mnist"),
    case(["model=mine"], "mine/sgd/digits", keeps_from=TARGETS),
    case(
        ["model=mine,mine_normalised", "model._target_=mine.Other"],
        "Other/sgd/digits",
        swept={"model.batch_norm": [None, True]},
        told={"model._target_": "mine.Other"},
    ),
    case(
        ["model=batchnorm,plain"],
        ["batchnorm/sgd/digits", "plain/sgd/digits"],
        swept={"model": ["batchnorm", "plain"]},
    ),
    case(
        ["optimizer={lr: 0.1, weight_decay: 0},{lr: 1, weight_decay: 0}"],
        "batchnorm/sgd/digits",
        swept={"optimizer.lr": [0.1, 1]},
        runs=[
            "batchnorm weight_std=0.01 optimizer.lr=0.1 seed=0",
            "batchnorm weight_std=0.01 optimizer.lr=1 seed=0",
        ],
        told={"optimizer.lr": 0.1},
    ),
    case(
        ["training={epochs: 3},{batch_size: 50}"],
        "batchnorm/sgd/digits",
        swept={"training.epochs": [3, 20], "training.batch_size": [100, 50]},
    ),
    case(["seed=1,1"], "batchnorm/sgd/digits"),
    case(["optimizer.lr=0.1,1", "optimizer={lr: 0.5}"], "batchnorm/sgd/digits"),
]


@pytest.fixture(autouse=True)
def no_data_are_read(monkeypatch):
    class Data:
        facts = {"digest": "0123"}  # noqa: RUF012

    monkeypatch.setattr("bnsweep.run.config.load_dataset", lambda config: Data())
    monkeypatch.setattr("bnsweep.sweep.plan.Rehearsal", lambda launcher: lambda config: Data.facts)


@pytest.mark.parametrize(
    ("overrides", "names", "swept", "runs", "told", "says", "keeps_from"), CASES
)
def test_every_name_says_what_is_trained(
    planned, overrides, names, swept, runs, told, says, keeps_from
):
    jobs, keys = planned(overrides)
    groups = [
        dict(zip(("model", "optimizer", "data"), name.split("/"), strict=True)) for name in names
    ]
    for job, expected in zip(jobs, groups * (len(jobs) // len(groups)), strict=True):
        assert {group: job.options[group] for group in expected} == expected
        assert job.parameters.items() >= expected.items()
    assert {key: [job.swept[key] for job in jobs] for key in keys} == swept
    if runs is not None:
        assert [job.name for job in jobs] == runs
    first = jobs[0].parameters
    assert first.items() >= told.items()
    assert not first.keys() & set(keeps_from)
    results = [RunResult(job, "finished") for job in jobs]
    assert says in setting(results)
    assert len({job.fingerprint for job in jobs}) == len({tuple(j.swept.items()) for j in jobs})


@pytest.mark.parametrize(
    "overrides",
    [["model=plain", "model.batch_norm=true"], ["optimizer._target_=mine.SignSGD"], []],
    ids=" ".join,
)
def test_a_single_run_goes_by_the_names_of_a_sweeps_run(planned, overrides):
    (job,), _ = planned(overrides)
    single = planned.single(["weight_std=0.01", *overrides])
    assert (single.options, single.number) == (job.options, 0)
