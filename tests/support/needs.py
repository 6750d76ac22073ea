"""What some tests need beside Python's packages, and what to do where it is missing."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

MNIST = os.environ.get("BNSWEEP_MNIST")

mnist = pytest.mark.skipif(
    MNIST is None, reason="needs MNIST's four files: set BNSWEEP_MNIST to their folder"
)
torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs PyTorch: pip install torch"
)


def mnist_folder() -> Path:
    """Return the folder of MNIST's files, for a test that is marked with `mnist`."""
    return Path(MNIST).absolute()


def extra(module: str, name: str):
    """Return a module that comes with the extra `name`; skip the test or file without it."""
    reason = f"needs the extra `{name}`: pip install -e '.[{name}]'"
    return pytest.importorskip(module, reason=reason)


def right_to_mount() -> None:
    """Skip a test that may not mount a file system."""
    pytest.skip("needs the right to mount a file system: run the tests as root")


def plain_rights() -> list[str]:
    """Return the words before a command with which root may no more than the files allow."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, to do without the rights of root: apt-get install util-linux")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
