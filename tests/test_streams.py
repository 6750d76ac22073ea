"""Output that nobody can read is lost, and nothing else is."""

import subprocess
import sys

import pytest

WRITING = """
import os, sys
from bnsweep.screen import outlive_screen
outlive_screen()
opened = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
for _ in range(3):
    print("x" * 100_000)
    print("y", file=sys.stderr, flush=True)
os.write(opened, b"kept")
os._exit(5) if opened < 3 else sys.exit(0)
"""


@pytest.mark.parametrize(
    "screen", [">/dev/full 2>&1", ">&- 2>&-", "<&- >&-", "2>&-", "2>&1 | head -c 1", "2>&1"]
)
def test_whoever_reads_or_not_the_process_goes_on(tmp_path, screen):
    (tmp_path / "writing.py").write_text(WRITING)
    command = f"{{ '{sys.executable}' writing.py file; echo $? >status; }} {screen}"
    subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "status").read_text() == "0\n"
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_what_cannot_be_encoded_is_a_question_mark():
    code = "from bnsweep.screen import outlive_screen; outlive_screen(); print('1, ä, 最')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"1, ?, ?\n"
