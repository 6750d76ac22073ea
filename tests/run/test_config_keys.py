"""The keys of a configuration: which there are, for which part, and whose."""

import pytest
from hydra import compose

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.errors import ConfigError
from bnsweep.hydra_inside import initialized
from bnsweep.run.config import check_keys, option_files

GLOBAL = "# @package _global_\n"


def checked(*overrides, files=None, folder=None):
    """Check the keys of what is composed, with files of the user's own."""
    prepare_hydra()
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    place = [f"hydra.searchpath=[file://{folder}]"] if files else []
    with initialized(config_folder()):
        cfg = compose("config", [*overrides, *place], return_hydra_config=True)
    check_keys(cfg, cfg.hydra.overrides.task)


def options():
    return [
        f"{path.parent.name}={path.stem}"
        for path in sorted(config_folder().glob("*/*.yaml"))
        if path.parent.name != "hydra"
    ]


@pytest.mark.parametrize("option", options())
def test_each_option_that_comes_with_the_package_has_known_keys(option):
    checked(option)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training: {epoch: 5}", "training.epoch: there is no such key"),
        ("lr: 0.5", "lr: there is no such key"),
        ("frobnicate: 0.5", "frobnicate: there is no such key"),
        (
            "training.batchsize: 10",
            "training.batchsize: there is no such key; a dot leads nowhere in a file, write "
            "training: {batchsize: 10}",
        ),
        ("training.epochs: 10", "write training: {epochs: 10}"),
        ("tracking: {experiment: {a: 1}}", "tracking.experiment={a:1}: must be a name"),
        ("sweep: null", "sweep=null: is set by the program"),
        ("sweep: {tags: {a: b}}", "sweep.tags.a=b: is set by the program"),
        ("training: null", None),  # that a part is missing is said where values are checked
        ("hydra: {sweeper: {params: {seed: 1}}}", None),
        ("tracking: {tags: {course.part: ml}}", None),
        ("model: {norm_layer: {_target_: mine.LayerNorm, _partial_: true, power: 2}}", None),
        ("optimizer: {_target_: mine.Mine, power: 2, a.b: {c: 3}}", None),
        ("helper: {_target_: mine.Helper, power: 2}", None),
    ],
)
def test_a_slip_in_a_file_is_refused_and_what_is_the_users_own_is_not(tmp_path, text, said):
    given = {"files": {"experiment/mine.yaml": f"{GLOBAL}{text}\n"}, "folder": tmp_path}
    if said is None:
        checked("experiment=mine", **given)
        return
    with pytest.raises(ConfigError) as refusal:
        checked("experiment=mine", **given)
    assert said in str(refusal.value)


@pytest.mark.parametrize("group", ["experiment", "debug"])
def test_a_file_that_lands_in_its_own_group_is_told_what_it_lacks(tmp_path, group):
    files = {f"{group}/mine.yaml": "training: {epochs: 5}\n"}
    with pytest.raises(ConfigError) as refusal:
        checked(f"{group}=mine", files=files, folder=tmp_path)
    assert str(refusal.value) == (
        f"{group}.training.epochs: there is no such key; a file of {group}= sets keys of the whole "
        "configuration if it begins with the line `# @package _global_`"
    )


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["+model.inputs=3"], "model.inputs: there is no such key"),
        (["+data.dtype=float64"], "data.dtype: there is no such key"),
        (["+training.epoch=3"], "training.epoch: there is no such key"),
        (["++tracking.urn=x"], "tracking.urn: there is no such key"),
        (["sweep.parent_run_id=abc"], "sweep.parent_run_id=abc: is set by the program"),
        (["sweep.keys=null"], "sweep.keys=null: is set by the program; leave it out"),
        (["~sweep.keys"], "sweep=null: is set by the program"),
        (["~sweep"], "sweep=null: is set by the program"),
        (["+mine=3", "+my.own={a: 1}", "++other.thing=2"], None),
        (["+model@teacher=plain"], None),
        (["optimizer._target_=mine.Mine", "+optimizer.gamma=1"], None),
        (["data._target_=mine.data", "~data.train_size", "+data.rows=1"], None),
        (["optimizer._target_=bnsweep.nn.optimizers.NotThere"], None),
        (["+tracking.tags.course=ml"], None),
        (["model=[plain]", "tracking=[none]"], None),
    ],
)
def test_what_is_added_acts_or_is_refused(overrides, said):
    if said is None:
        checked(*overrides)
        return
    with pytest.raises(ConfigError) as refusal:
        checked(*overrides)
    assert said in str(refusal.value)


def test_a_file_of_an_option_is_a_mapping(tmp_path):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "listed.yaml").write_text("- 1\n")
    prepare_hydra()
    place = f"hydra.searchpath=[file://{tmp_path}]"
    with initialized(config_folder()):
        cfg = compose("config", ["optimizer=listed", place], return_hydra_config=True)
    with pytest.raises(ConfigError, match=r"^optimizer/listed: its file is not a mapping"):
        option_files(cfg.hydra)
