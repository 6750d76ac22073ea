from pathlib import Path

from bnsweep.records import absolute, from_here


def test_a_path_is_shown_from_the_working_directory_if_it_lies_below(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_here(tmp_path / "outputs" / "runs") == Path("outputs/runs")
    for elsewhere in (tmp_path, tmp_path.parent, Path("/another/outputs"), Path("below/already")):
        assert from_here(elsewhere) == elsewhere


def test_a_tilde_is_the_users_folder_unless_a_name_begins_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/my/home")
    assert absolute("~/x") == Path("/my/home/x")
    assert absolute("~") == Path("/my/home")
    assert absolute("x/~") == tmp_path / "x" / "~"
    assert absolute("~nobody I know/x") == tmp_path / "~nobody I know" / "x"
