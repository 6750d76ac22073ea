"""Overrides become jobs, each checked, with few configurations composed."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from bnsweep.app import config_folder, prepare_hydra
from bnsweep.config import ConfigError
from bnsweep.sweep.composing import Composer
from bnsweep.sweep.plan import plan


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
    prepare_hydra()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        loader = CountingLoader(GlobalHydra.instance().config_loader())
        config = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)

        def make(*overrides):
            loader.composed = 0
            return (*plan(config, overrides, Composer(loader)), loader.composed)

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
    with pytest.raises(ConfigError, match="seed: has more than"):
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


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["weight_std=0.1,-1"], "weight_std=-1"),
        (["weight_std=interval(0,1)"], "interval(0,1)"),
        (["data.train_size=100,50"], "training.batch_size=100"),
        (["seed=range(1000)", "data.test_size=range(1,500)"], "499000 runs"),
    ],
)
def test_what_cannot_be_run_is_refused_as_a_whole(make_plan, overrides, named):
    with pytest.raises(ConfigError) as refusal:
        make_plan(*overrides)
    assert named in str(refusal.value)
