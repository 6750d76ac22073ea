"""`python -OO` leaves out docstrings and assertions."""

import subprocess
import sys

from faults import ONE_PROCESS, SMALL, put_database


def test_python_without_docstrings_and_assertions_warns_of_nothing(shell):
    put_database(shell.folder)
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "bnsweep", "-m", *SMALL, ONE_PROCESS],
        cwd=shell.folder,
        env=shell.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("1/1 runs")
    assert len(done.stderr.splitlines()) == 1
