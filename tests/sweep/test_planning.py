"""Overrides become jobs, each checked, with few configurations composed."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.errors import ConfigError
from bnsweep.hydra_inside import initialized
from bnsweep.records.keys import RESULT_KEYS
from bnsweep.run.build import load_dataset
from bnsweep.run.config import to_plain
from bnsweep.sweep import plan as planning


class CountingLoader:
    """A config loader that counts what it composes."""

    def __init__(self, loader):
        self.loader = loader
        self.composed = 0

    def load_sweep_config(self, *arguments):
        self.composed += 1
        return self.loader.load_sweep_config(*arguments)

    def __getattr__(self, name):
        return getattr(self.loader, name)


@pytest.fixture(scope="module")
def make_plan():
    def facts(config):
        return load_dataset(config).facts

    prepare_hydra()
    with initialized(config_folder()):
        loader = CountingLoader(GlobalHydra.instance().config_loader())
        config = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)

        def make(*overrides):
            loader.composed = 0
            planned = planning.make_plan(config, overrides, loader, facts)
            return planned.specs, list(planned.swept), loader.composed

        def composed_by_hydra(overrides):
            composed = to_plain(loader.loader.load_sweep_config(config, list(overrides)))
            return {key: composed[key] for key in RESULT_KEYS}

        make.composed_by_hydra = composed_by_hydra
        yield make


def test_the_last_key_changes_fastest_and_a_later_override_replaces_an_earlier(make_plan):
    jobs, swept, _ = make_plan(
        "weight_std=1,0.1,0.01", "model=batchnorm,plain", "weight_std=1,0.5", "seed=3"
    )
    assert swept == ["weight_std", "model"]
    assert [(job.swept["weight_std"], job.swept["model"]) for job in jobs] == [
        (1, "batchnorm"),
        (1, "plain"),
        (0.5, "batchnorm"),
        (0.5, "plain"),
    ]
    assert [job.number for job in jobs] == [0, 1, 2, 3]
    assert {job.config["seed"] for job in jobs} == {3}
    assert jobs[1].config["model"]["batch_norm"] is False
    assert jobs[3].overrides == ("weight_std=0.5", "model=plain", "seed=3")


def test_an_override_that_replaces_another_takes_its_place_in_the_order(make_plan):
    jobs, swept, _ = make_plan(
        "model=batchnorm,plain", "weight_std=1,0.1", "seed=1,2", "weight_std=3,4"
    )
    assert swept == ["model", "weight_std", "seed"]
    assert [(job.swept["weight_std"], job.swept["seed"]) for job in jobs[:4]] == [
        (3, 1),
        (3, 2),
        (4, 1),
        (4, 2),
    ]


def test_an_override_that_is_replaced_behind_a_mapping_is_gone(make_plan):
    given = ("seed=1", "training.epochs=5", "training={epochs:3}", "training.epochs=7")
    (job,), _, _ = make_plan(*given)
    assert job.overrides == ("seed=1", "training={epochs:3}", "training.epochs=7")


def test_two_seeds_are_swept_as_many_are(make_plan):
    assert make_plan("seed=1,2")[1] == ["seed"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=plain", "model={dropout: 0.3}"],
        ["model={dropout: 0.3}", "model=plain"],
        ["training={batch_size:50}", "training={sampling:shuffle}"],
        ["training={epochs: 3}", "training.epochs=5", "training={batch_size: 7}"],
        ["training.epochs=5", "training={epochs: 3}", "training.epochs=7"],
        ["training.epochs=5", "training={epochs: 3}"],
        ["training.epochs=5", "training={epochs: 3}", "seed=1", "training.epochs=7"],
        ["model.batch_norm=false", "model={batch_norm: true, eps: 1e-5}", "model=plain"],
        ["optimizer=adam", "optimizer=sgd", "optimizer={lr: 0.5}"],
        ["+optimizer.gamma=1", "optimizer.gamma=2"],
        ["+optimizer.gamma=1", "++optimizer.gamma=2"],
        ["+optimizer.plan={a: 1}", "+optimizer.plan={b: 2}"],
        ["optimizer.weight_decay=3", "~optimizer.weight_decay"],
        ["weight_std=1", "weight_std=0.5"],
        ["model.hidden_sizes=[1]", "model.hidden_sizes=[2,3]"],
    ],
    ids=" ".join,
)
def test_overrides_of_one_run_act_as_in_hydra(make_plan, overrides):
    (job,), swept, _ = make_plan(*overrides)
    assert swept == []
    assert job.config == make_plan.composed_by_hydra(overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=batchnorm,plain", "model={dropout:0.3}"],
        ["model=batchnorm,plain", "model={dropout:0.3},{dropout:0.1,eps:1e-3}", "seed=1,2"],
        ["model.dropout=0,0.1", "model={dropout:0.3}"],
        ["model={dropout:0.3}", "model.dropout=0,0.1"],
        ["training.epochs=1,2", "training={epochs:5},{batch_size:7}", "training.epochs=3,4"],
        ["model=plain,{dropout:0.3}", "weight_std=1,2"],
        ["+optimizer.gamma=1,2", "optimizer.gamma=3,4"],
        ["optimizer=adam,rmsprop", "optimizer={lr:0.1},{lr:1}", "model.eps=${optimizer.eps},1"],
        ["experiment=overfitting,learning_rate", "model.batch_norm=true,false"],
        ["weight_std=he,0.01", "optimizer=sgd,adam", "optimizer.lr=0.1,1e-3"],
        ["model.hidden_sizes=[10],[20,30]", "data.root='/a folder/it\\'s here'", "seed=1,2"],
        ["training={epochs:3},{batch_size:5}", "seed=1,2"],
        ["+model.extra=1,2", "~optimizer.weight_decay", "seed=1,2"],
        ["hydra.job.name=a,b", "hydra.sweep.dir=/somewhere", "seed=1"],
        ["experiment=overfitting", "model.dropout=0,0.5", "data.root=null"],
        ["model={dropout:0.3}", "model.dropout=0,0.1", "model=plain,batchnorm"],
        ["optimizer.weight_decay=0,1", "~optimizer.weight_decay"],
        ["weight_std='he','xavier'", "+hydra.job.env_set.A=1"],
    ],
    ids=" ".join,
)
def test_a_job_is_what_hydra_makes_of_its_overrides_alone(make_plan, overrides):
    jobs, _, _ = make_plan("weight_std=0.1", *overrides)
    assert len(jobs) > 1
    for job in jobs:
        assert job.config == make_plan.composed_by_hydra(job.overrides)


def test_a_mapping_takes_nothing_from_the_default_sweep(make_plan):
    jobs, swept, _ = make_plan("weight_std=1,0.1", "model=batchnorm,plain", "model={dropout:0.3}")
    assert swept == ["weight_std", "model"]
    assert [job.options["model"] for job in jobs] == ["batchnorm", "plain"] * 2
    assert {job.config["model"]["dropout"] for job in jobs} == {0.3}


def test_each_job_has_its_data_where_its_own_configuration_says(make_plan, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    jobs, _, _ = make_plan("data.root=A,B/,'~/C',null")
    places = [f"{tmp_path}/A", f"{tmp_path}/B", "/home/me/C", None]
    assert [job.config["data"]["root"] for job in jobs] == places
    assert [job.swept["data.root"] for job in jobs] == places


def test_a_plus_before_a_key_makes_no_other_key(make_plan):
    jobs, swept, _ = make_plan("weight_std=1,0.1", "model=batchnorm,plain", "++weight_std=0.5")
    assert swept == ["model"]
    assert {job.config["weight_std"] for job in jobs} == {0.5}


def test_a_new_key_can_be_swept(make_plan):
    jobs, swept, _ = make_plan("optimizer._target_=mine.Mine", "+optimizer.gamma=0.1,0.9")
    assert swept == ["optimizer.gamma"]
    assert [job.swept["optimizer.gamma"] for job in jobs] == [0.1, 0.9]
    assert [job.config["optimizer"]["gamma"] for job in jobs] == [0.1, 0.9]


def test_choices_may_stand_in_quotes(make_plan):
    jobs, _, _ = make_plan("weight_std='he',\"xavier\"")
    assert [job.config["weight_std"] for job in jobs] == ["he", "xavier"]


def test_a_shuffled_list_says_the_same_to_the_job_and_of_it(make_plan):
    jobs, _, _ = make_plan("seed=shuffle(range(0,50))")
    assert [job.overrides for job in jobs] == [(f"seed={job.config['seed']}",) for job in jobs]
    assert {job.config["seed"] for job in jobs} == set(range(50))


def test_more_choices_than_a_sweep_holds_are_refused_at_once(make_plan):
    with pytest.raises(ConfigError, match="seed: more than 100000 choices"):
        make_plan("seed=range(1000000000)")


def test_a_composition_serves_all_values_of_one_choice_of_groups(make_plan):
    seeds = ",".join(str(seed) for seed in range(100))
    jobs, _, composed = make_plan(f"seed={seeds}", "model=batchnorm,plain", "optimizer=sgd,adam")
    assert len(jobs) == 400
    assert composed == 4
    assert len({job.fingerprint for job in jobs}) == 400


def test_jobs_do_not_share_their_values(make_plan):
    jobs, _, _ = make_plan("model.hidden_sizes=[10],[20,30]", "optimizer.lr=0.1,0.2")
    assert [job.config["model"]["hidden_sizes"] for job in jobs] == [[10], [10], [20, 30], [20, 30]]
    assert [job.config["optimizer"]["lr"] for job in jobs] == [0.1, 0.2, 0.1, 0.2]


def test_the_fingerprint_ignores_order_and_spelling_and_nothing_that_matters(make_plan):
    def marks(*overrides):
        return [job.fingerprint for job in make_plan(*overrides)[0]]

    (mark,) = marks("weight_std=0.1", "optimizer.lr=0.01", "model=batchnorm")
    assert marks("model=batchnorm", "optimizer.lr=1e-2", "weight_std=1e-1") == [mark]
    assert marks("weight_std=0.1", "optimizer=sgd", "output_dir=there") == [mark]
    for other in ("seed=1", "optimizer.lr=0.02", "model=plain", "dtype=float64"):
        assert marks("weight_std=0.1", other) != [mark]


@pytest.mark.parametrize("override", ["sed=1,2", "model.layers=1,2", "model=batchnorn,plain"])
def test_a_mistake_is_told_as_hydra_does(make_plan, override):
    with pytest.raises(HydraException) as ours:
        make_plan(override)
    with pytest.raises(HydraException) as theirs:
        make_plan.composed_by_hydra([override.partition(",")[0]])
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["weight_std=0.1,-1"], "weight_std=-1"),
        (["weight_std=interval(0,1)"], "interval(0,1)"),
        (["tracking.note=one, two"], "'tracking.note=\"one, two\"'"),
        (["+tracking.tags.course=a,b"], "tracking.tags.course: is one for the whole sweep"),
        (["data.train_size=100,50"], "training.batch_size=100"),
        (["seed=range(1000)", "data.test_size=range(1,500)"], "499000 runs"),
    ],
)
def test_what_cannot_be_run_is_refused_as_a_whole(make_plan, overrides, named):
    with pytest.raises(ConfigError) as refusal:
        make_plan(*overrides)
    assert named in str(refusal.value)
