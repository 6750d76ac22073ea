"""A Composer gives launchers what Hydra's own loader would, without composing each time."""

import pickle

import pytest
from bnsweep.sweep.composing import Composer
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from bnsweep.cli.app import config_folder, prepare_hydra

SWEEPS = [
    ["weight_std=1,0.1", "model=batchnorm,plain"],
    ["weight_std=he,0.01", "optimizer=sgd,adam", "optimizer.lr=0.1,1e-3"],
    ["model.hidden_sizes=[10],[20,30]", "data.root='/a folder/it\\'s here'", "seed=1,2"],
    ["training={epochs:3},{batch_size:5}", "seed=1,2"],
    ["+model.extra=1,2", "~optimizer.weight_decay", "seed=1,2"],
    ["hydra.job.name=a,b", "hydra.sweep.dir=/somewhere", "seed=1"],
    ["experiment=overfitting", "model.dropout=0,0.5", "data.root=null"],
    ["model.eps=${optimizer.eps}", "optimizer=adam,rmsprop"],
    ["training.epochs=1,2", "training={epochs:5}"],
    ["model.dropout=0,0.1", "model={dropout:0.3}"],
    ["model={dropout:0.3}", "model.dropout=0,0.1", "model=plain,batchnorm"],
    ["optimizer.weight_decay=0,1", "~optimizer.weight_decay"],
    ["+optimizer.gamma=1", "optimizer.gamma=2,3"],
    ["sweep.options={model:'with, a comma',optimizer._target_:'mine.A'}", "seed=1,2"],
    ["weight_std='he','xavier'", "+hydra.job.env_set.A=1"],
]


@pytest.fixture(scope="module")
def hydra():
    prepare_hydra()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)


def jobs(composer, sweep):
    """Return the overrides of the first two jobs of a sweep."""
    overrides = composer.parse(sweep)
    for number in (0, 1):
        yield [
            f"{override.get_key_element()}={list(override.sweep_string_iterator())[number]}"
            if override.is_sweep_override()
            else override.input_line
            for override in overrides
        ]


@pytest.mark.parametrize("sweep", SWEEPS, ids=" ".join)
def test_a_job_is_configured_as_hydra_would(hydra, sweep):
    loader, master = hydra
    composer = Composer(loader)
    for overrides in jobs(composer, sweep):
        expected = loader.load_sweep_config(master, overrides)
        found = composer.load_sweep_config(master, overrides)
        assert OmegaConf.to_container(found) == OmegaConf.to_container(expected)
        assert OmegaConf.is_struct(found)


def test_what_a_job_changes_in_its_configuration_no_other_sees(hydra):
    loader, master = hydra
    composer = Composer(loader)
    composer.parse(["seed=1,2"])
    first = composer.load_sweep_config(master, ["seed=1"])
    first.training.epochs = 77
    assert composer.load_sweep_config(master, ["seed=2"]).training.epochs == 20


def test_a_copy_in_a_worker_composes_once_for_many_jobs(hydra):
    loader, master = hydra
    composer = Composer(loader)
    composer.parse(["seed=1,2", "model=batchnorm,plain"])
    calls = []
    for seed in range(10):
        sent = pickle.loads(pickle.dumps(composer))
        own = sent._loader.load_sweep_config
        sent._loader.load_sweep_config = lambda *a, own=own: calls.append(a) or own(*a)
        for model in ("batchnorm", "plain"):
            overrides = [f"seed={seed}", f"model={model}", f"sweep.number={seed}"]
            config = sent.load_sweep_config(master, overrides)
            assert (config.seed, config.model.batch_norm) == (seed, model == "batchnorm")
            assert config.sweep.number == seed
    assert len(calls) == 2


@pytest.mark.parametrize("override", ["sed=1,2", "model.layers=1,2", "model=batchnorn"])
def test_a_mistake_is_told_as_hydra_does(hydra, override):
    loader, master = hydra
    composer = Composer(loader)
    composer.parse([override])
    first = override.partition(",")[0]
    with pytest.raises(HydraException) as ours:
        composer.load_sweep_config(master, [first])
    with pytest.raises(HydraException) as theirs:
        loader.load_sweep_config(master, [first])
    assert str(theirs.value).startswith(str(ours.value).rstrip("."))
