"""Where the folders of runs and sweeps are, and which of them earlier starts may have had."""

import contextlib
from pathlib import Path

import pytest
from hydra import compose
from made_up import sweep

from bnsweep.cli.app import config_folder, prepare_hydra
from bnsweep.errors import ConfigError
from bnsweep.hydra_inside import initialized
from bnsweep.records import SweepPlan
from bnsweep.sweep import opening
from bnsweep.sweep.places import ANY, expand_home, files_in, folder_of, folders_of, same_part


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Return what composes a configuration, in a working directory and a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    prepare_hydra()
    with initialized(config_folder()):
        yield lambda *overrides: compose("config", [*overrides], return_hydra_config=True)


@pytest.mark.parametrize(
    ("given", "folders"),
    [
        ("outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}", "outputs/*/*"),
        ("outputs/${now:%Y-%m-%d/%H-%M-%S}", "outputs/*/*"),
        ("runs/${hydra.job.override_dirname}", "runs/*"),
        ("runs/${hydra:job.override_dirname}/${hydra:job.num}", "runs/*/*"),
        ("here/${folder_name:}/run", "here/*/run"),
        ("${output_dir}/runs/${folder_name:}", "outputs/runs/*"),
        ("${oc.env:HOME}/${hydra:runtime.choices.model}-s${seed}", "home/*-s*"),
        ("${oc.env:NOWHERE,home}/${optimizer.lr}_${weight_std}", "home/*_*"),
        ("${hydra.runtime.cwd}/${my.random:5}", "*"),
        ("${hydra:runtime.cwd}/${folder_name:}", "*"),
        ("${hydra.sweep.subdir}/x", "*/x"),
        ("~/${now:%Y}", "home/*"),
        ("[a]*/${now:%Y}", "[a]\\*/*"),
        # Where nothing differs, others were typed.
        ("a/b", "a/*"),
        ("/a/b", "/a/*"),
    ],
)
def test_what_differs_from_start_to_start_may_be_anything(configured, tmp_path, given, folders):
    config = configured(f"hydra.run.dir='{given}'")
    expected = folders.replace("\\*", "?").replace("*", ANY).replace("?", "*")
    assert folders_of(config, "run") == tmp_path / expected


def test_what_another_key_says_may_differ_as_well(configured, tmp_path):
    config = configured("output_dir='of ${now:%Y}'", "hydra.sweep.dir='${hydra.run.dir}/sweep'")
    assert folders_of(config, "run") == tmp_path / f"of {ANY}" / "runs" / ANY
    assert folders_of(config, "sweep") == tmp_path / f"of {ANY}" / "runs" / ANY / "sweep"
    assert same_part(folders_of(config, "run")) == tmp_path


def test_files_are_found_wherever_a_start_has_put_them(tmp_path):
    for place in ("a/1/x", "a/2/x", "a/2/y", "b/1/x", "a/1/2/x", "[a]/3/x"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "file").touch()

    def found(*parts):
        return {
            str(p.parent.relative_to(tmp_path)) for p in files_in(tmp_path.joinpath(*parts), "file")
        }

    assert found("a", ANY, "x") == {"a/1/x", "a/2/x"}
    assert found(ANY, "1", ANY) == {"a/1/x", "b/1/x"}
    assert found("[a]", ANY, "x") == {"[a]/3/x"}
    assert found("nowhere", ANY) == set()


def test_drivers_that_resume_choose_one_after_the_other_whatever_the_time(
    configured, tmp_path, monkeypatch
):
    plan = SweepPlan(tuple(run.spec for run in sweep(seed=[0, 1])), ("seed",))
    held = []

    def note(place, **_):
        held.append(place)
        return contextlib.nullcontext()

    monkeypatch.setattr(opening, "lock", note)
    for moment in ("now", "later"):
        # As ${now:...} gives them; the folder itself is the first one's.
        monkeypatch.setenv("MOMENT", moment)
        config = configured("resume=true", "hydra.sweep.dir='multi/${now:%f}/${oc.env:MOMENT}'")
        with opening.opened(config, plan, None):
            pass
    assert held[0] == held[2] == tmp_path / "multi"


@pytest.mark.parametrize("kind", ["run", "sweep"])
@pytest.mark.parametrize("key", ["output_dir", "hydra.KIND.dir"])
def test_a_tilde_is_the_users_folder_and_no_name(configured, tmp_path, kind, key):
    config = configured(f"{key.replace('KIND', kind)}='~/x'")
    folder = folder_of(config, kind)
    assert folder.is_relative_to(tmp_path / "home" / "x")
    expand_home(config, kind)
    assert config.hydra[kind].dir == str(folder)


def test_a_job_of_another_sweeper_gets_the_users_folder_in_the_place_of_a_tilde(
    configured, tmp_path
):
    config = configured('hydra.sweep.dir="~/it\'s"')
    expand_home(config, "sweep")
    again = configured(*config.hydra.overrides.hydra)
    assert again.hydra.sweep.dir == config.hydra.sweep.dir == str(tmp_path / "home" / "it's")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.KIND.dir=taken", r"hydra\.KIND\.dir=taken: taken is no folder"),
        ("hydra.KIND.dir=taken/x", r"hydra\.KIND\.dir=taken/x: taken is no folder"),
        ("output_dir=taken", "output_dir=taken: taken is no folder"),
        ("output_dir=locked", "output_dir=locked: no folder can be made in locked"),
        ("hydra.KIND.dir=locked/x", r"hydra\.KIND\.dir=locked/x: no folder can be made in locked"),
        (f"hydra.KIND.dir={'x' * 300}", r"hydra\.KIND\.dir=x+: File name too long"),
        ("hydra.KIND.dir=", r"hydra\.KIND\.dir=: must be the path of a folder"),
    ],
)
@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_a_folder_that_cannot_be_is_refused_by_the_key_that_was_given(
    configured, monkeypatch, kind, override, message
):
    Path("taken").touch()
    Path("locked").mkdir()
    # Root may write everywhere.
    monkeypatch.setattr("os.access", lambda path, _: Path(path).name != "locked")
    config = configured(override.replace("KIND", kind))
    with pytest.raises(ConfigError, match=message.replace("KIND", kind)):
        folder_of(config, kind)
