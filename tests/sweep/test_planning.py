"""Overrides become jobs, each checked, with few configurations composed."""

import functools
import itertools

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import InterpolationKeyError

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.errors import ConfigError
from bnsweep.hydra_inside import initialized
from bnsweep.records.keys import RESULT_KEYS
from bnsweep.run.build import load_dataset
from bnsweep.run.config import to_plain
from bnsweep.sweep import plan as planning
from bnsweep.sweep.drive import checked_plan


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

        def make(*overrides):
            config = loader.load_configuration("config", [*overrides], run_mode=RunMode.MULTIRUN)
            loader.composed = 0
            planned = planning.make_plan(config, overrides, loader, facts)
            return planned.specs, list(planned.swept), loader.composed

        @functools.cache
        def composed_by_hydra(*overrides):
            composed = to_plain(
                loader.load_configuration("config", [*overrides], run_mode=RunMode.RUN)
            )
            return {key: composed[key] for key in RESULT_KEYS}

        def typed(*arguments):
            """Return the plan of the default sweep with what is typed."""
            config = loader.load_configuration("config", [*arguments], run_mode=RunMode.MULTIRUN)
            overrides = planning.sweep_overrides(config.hydra.sweeper.params, arguments)
            return planning.make_plan(config, overrides, loader, facts)

        make.composed_by_hydra, make.typed, make.loader = composed_by_hydra, typed, loader
        yield make


def test_the_last_key_changes_fastest(make_plan):
    jobs, swept, _ = make_plan("weight_std=1,0.5", "model=batchnorm,plain", "seed=3")
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


def test_two_seeds_are_swept_as_many_are(make_plan):
    assert make_plan("seed=1,2")[1] == ["seed"]


OWN = "optimizer._target_=mine.Mine"
ONE = "weight_std=0.1"
LAST = ["model.dropout_position=last", "data.root=null"]
# What is typed behind -m; all of the default sweep that it does not replace is over the models.
TYPED = [
    [ONE, "training={batch_size:50}", "training={sampling:shuffle}"],
    [ONE, "model={dropout:0.3}"],
    [ONE, "model.dropout=0,0.5", "model={dropout:0.3}"],
    [ONE, "model={dropout:0.3}", "model.dropout=0,0.5"],
    [ONE, "model={dropout:0.3},{dropout:0.1,eps:1e-3}", "seed=1,2"],
    [ONE, "model=plain", "model={dropout: 0.3}"],
    [ONE, "model={dropout: 0.3}", "model=plain"],
    [ONE, "model={dropout:0.3}", "model.dropout=0,0.1", "model=plain,batchnorm"],
    [ONE, "model=plain,{dropout:0.3}", "seed=1,2"],
    [ONE, "model=batchnorm,plain", "model=dropout", "seed=1"],
    [ONE, "model=[plain]"],
    [ONE, "model=[plain],[plain,dropout]"],
    [ONE, "model=plain", "training={epochs: 3}", "training.epochs=5", "training={batch_size: 7}"],
    [ONE, "model=plain", "training.epochs=5", "training={epochs: 3}", "training.epochs=7"],
    [ONE, "model=plain", "training.epochs=5", "training={epochs: 3}"],
    [ONE, "model=plain", "training.epochs=1,2", "training={epochs:5},{batch_size:7}"],
    [ONE, "model=plain", "training={epochs:3},{batch_size:5}", "seed=1,2"],
    [ONE, "model.batch_norm=false", "model={batch_norm: true, eps: 1e-5}", "model=plain"],
    [ONE, "optimizer=adam", "optimizer=sgd", "optimizer={lr: 0.5}"],
    [ONE, "model=plain", "optimizer=adam,rmsprop", "optimizer={lr:0.1},{lr:1}", "seed=1,2"],
    [ONE, "model=batchnorm", "optimizer=adam,rmsprop", "model.eps=${optimizer.eps},1"],
    [ONE, OWN, "model=plain", "+optimizer.gamma=1,2", "optimizer.gamma=3,4"],
    [ONE, OWN, "+optimizer.gamma=1", "++optimizer.gamma=2"],
    [ONE, OWN, "+optimizer.plan={a: 1}", "+optimizer.plan={b: 2}"],
    [ONE, OWN, "model=plain", "+optimizer.extra=1,2", "~optimizer.weight_decay", "seed=1,2"],
    [ONE, "optimizer.weight_decay=0,1", "~optimizer.weight_decay"],
    [ONE, "model=plain", "+mine={a: 1}", "+mine.b=1", "model.eps=${mine.b}", "mine.b=2,3"],
    [ONE, "experiment=overfitting", "model.dropout=0,0.5", "optimizer.lr=0.1", "seed=0", *LAST],
    ["weight_std=1,0.1", "weight_std=0.5"],
    ["model=plain", "weight_std=he,1", "optimizer=sgd,adam", "optimizer.lr=0.1,1e-3"],
    ["weight_std=1,0.1,0.01", "model=batchnorm,plain", "weight_std=1,0.5", "seed=3"],
    [
        "++weight_std=1,2",
        "model=plain",
        "model.hidden_sizes=[10],[20,30]",
        "data.root='/a folder/it\\'s here'",
    ],
    ["model.hidden_sizes=[1]", "model.hidden_sizes=[2,3]", ONE],
    ["weight_std='he','xavier'", "model=glob(*)"],
]


@pytest.mark.parametrize("typed", TYPED, ids=" ".join)
def test_each_run_of_a_sweep_is_what_hydra_composes_for_what_is_typed(make_plan, typed):
    replaced = any(text.startswith("model=") and "{" not in text for text in typed)
    overrides = [*([] if replaced else ["model=batchnorm,plain"]), *typed]
    parser = OverridesParser.create(config_loader=make_plan.loader)
    choices = [
        [f"{o.get_key_element()}={text}" for text in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [o.input_line]
        for o in parser.parse_overrides(overrides)
    ]
    expected = []
    for combination in itertools.product(*choices):
        composed = make_plan.composed_by_hydra(*combination)
        if composed not in expected:
            expected.append(composed)
    plan = make_plan.typed(*typed)
    assert [spec.config for spec in plan.specs] == expected
    assert [spec.number for spec in plan.specs] == [*range(len(expected))]
    for spec in plan.specs:  # by which a launcher composes it again
        assert make_plan.composed_by_hydra(*spec.overrides) == spec.config


def test_equal_runs_are_done_once_and_it_is_said(make_plan, capsys):
    specs = make_plan.typed("weight_std=0.1,1e-1,1", "model=plain", "seed=1,2").specs
    given = [(spec.config["weight_std"], spec.seed) for spec in specs]
    assert given == [(0.1, 1), (0.1, 2), (1, 1), (1, 2)]
    assert [spec.number for spec in specs] == [0, 1, 2, 3]
    assert capsys.readouterr().err == (
        "bnsweep: 2 of the 6 runs left out: each equals another one, which is done once, such as "
        "plain weight_std=0.1 seed=1\n"
    )
    specs = make_plan.typed(ONE, "model.dropout=0,0.5", "model={dropout:0.3}").specs
    assert [(s.options["model"], s.config["model"]["dropout"]) for s in specs] == [
        ("batchnorm", 0.3),
        ("plain", 0.3),
    ]
    assert "bnsweep: 2 of the 4 runs left out" in capsys.readouterr().err


def test_runs_that_differ_in_a_key_that_does_nothing_in_them_are_not_equal(make_plan, capsys):
    plan = make_plan.typed(ONE, "model=plain", "model.eps=1e-5,1e-3")
    assert [spec.swept["model.eps"] for spec in plan.specs] == [1e-5, 1e-3]
    assert len({spec.fingerprint for spec in plan.specs}) == 1
    assert capsys.readouterr().err == ""


def test_a_list_of_options_is_called_by_its_last_one(make_plan):
    plan = make_plan.typed(ONE, "model=[plain],[plain,dropout],batchnorm", "optimizer=[sgd,adam]")
    assert [spec.options["model"] for spec in plan.specs] == ["plain", "dropout", "batchnorm"]
    assert {spec.options["optimizer"] for spec in plan.specs} == {"adam"}
    assert [spec.swept["model"] for spec in plan.specs] == ["plain", "dropout", "batchnorm"]


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
    plan = make_plan.typed("++weight_std=0.5")
    assert plan.swept == ("model",)
    assert {spec.config["weight_std"] for spec in plan.specs} == {0.5}


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


def test_experiments_with_sweeps_of_their_own_are_not_swept(make_plan):
    # Hydra 1.4 refuses them by itself.
    with pytest.raises((ConfigError, HydraException), match=r"one experiment at a time|sweeper"):
        make_plan("experiment=overfitting,learning_rate")


@pytest.mark.parametrize("override", ["sed=1,2", "model.layers=1,2", "model=batchnorn,plain"])
def test_a_mistake_is_told_as_hydra_does(make_plan, override):
    with pytest.raises(HydraException) as ours:
        make_plan(override)
    with pytest.raises(HydraException) as theirs:
        make_plan.composed_by_hydra(override.partition(",")[0])
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["weight_std=0.1,-1"], "weight_std=-1"),
        (["weight_std=interval(0,1)"], "interval(0,1)"),
        (["tracking.note=one, two"], "'tracking.note=\"one, two\"'"),
        (["+tracking.tags.course=a,b"], "tracking.tags.course: is one for the whole sweep"),
        (["tracking={note:a},{note:b}"], "tracking: is one for the whole sweep"),
        (["tracking=[none],[mlflow]"], "tracking: is one for the whole sweep"),
        (["tracking.figures=true,false"], "tracking.figures: is one for the whole sweep"),
        (["output_dir=a,b"], "output_dir: is one for the whole sweep"),
        (["resume=true,false"], "resume: is one for the whole sweep"),
        (["on_failure=stop,continue"], "on_failure: is one for the whole sweep"),
        (["report.style=paper,slides"], "report.style: is one for the whole sweep"),
        (["debug=fast,null"], "debug: is one for the whole sweep"),
        (["sweep.number=1,2"], "sweep.number=1: is set by the program"),
        (["sweep.keys=null"], "sweep.keys=null: is set by the program"),
        (["+training.epoch=1,2"], "training.epoch: there is no such key"),
        (["seed=range(5,1)"], "seed=range(5,1): is a sweep of no values; give at least one"),
        (["model=glob(x*)"], "model=glob(x*): is a sweep of no values; there are batchnorm, "),
        (["data.train_size=100,50"], "training.batch_size=100"),
        (["seed=range(1000)", "data.test_size=range(1,500)"], "499000 runs"),
    ],
)
def test_what_cannot_be_run_is_refused_as_a_whole(make_plan, overrides, named):
    with pytest.raises(ConfigError) as refusal:
        make_plan(*overrides)
    assert named in str(refusal.value)


def test_a_value_may_refer_to_a_swept_key_that_only_the_runs_have(make_plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["+mine=0.1,0.2", "weight_std=${mine}"]
    config = make_plan.loader.load_configuration("config", given, run_mode=RunMode.MULTIRUN)
    _, plan = checked_plan(config, given, make_plan.loader)
    assert [spec.config["weight_std"] for spec in plan.specs] == [0.1, 0.2]
    with pytest.raises(InterpolationKeyError, match="nowhere"):
        checked_plan(config, ["weight_std=${nowhere}"], make_plan.loader)


def test_a_default_sweep_sets_nothing_that_all_runs_share(make_plan):
    config = make_plan.loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
    with pytest.raises(ConfigError, match=r"output_dir=there: is one for .* where it is outputs"):
        planning.make_plan(config, ["output_dir=there"], make_plan.loader)
