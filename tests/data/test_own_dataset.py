"""The data set that CONTRIBUTING.md shows how to write, run as it is typed."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"


def snippets():
    """Return the section's files by the path in their first line, and its command."""
    section = GUIDE.read_text().partition("\n## A data set of your own\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)
    files = {
        text.partition("\n")[0].removeprefix("# "): text
        for language, text in blocks
        if language in ("python", "yaml")
    }
    (command,) = [shlex.split(text) for language, text in blocks if language == "sh"]
    return files, command


@pytest.mark.parametrize("validation_size", [0, 200])
def test_a_data_set_of_ones_own_is_a_function_and_a_config(tmp_path, validation_size):
    files, (python, *arguments) = snippets()
    assert python == "python"
    assert {Path(name).suffix for name in files} == {".py", ".yaml"}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sizes = {"train_size": 600, "test_size": 300, "validation_size": validation_size}
    done = subprocess.run(
        [sys.executable, *arguments, *(f"data.{key}={size}" for key, size in sizes.items()),
         "tracking=none", "training.epochs=1"],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("outputs/runs/*/history.json")
    history = json.loads(path.read_text())
    assert history["status"] == "finished"
    assert history["options"]["data"] == "rings"
    assert history["config"]["data"] == {"_target_": "rings.rings", "root": None} | sizes
    assert ("validation_accuracy" in history["epochs"][-1]) == (validation_size > 0)
