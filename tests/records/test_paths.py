from pathlib import Path

from bnsweep.records import from_here


def test_a_path_is_shown_from_the_working_directory_if_it_lies_below(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_here(tmp_path / "outputs" / "runs") == Path("outputs/runs")
    for elsewhere in (tmp_path, tmp_path.parent, Path("/another/outputs"), Path("below/already")):
        assert from_here(elsewhere) == elsewhere
