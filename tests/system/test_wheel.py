"""The wheel works in a new environment: it contains the configurations."""

import os
import subprocess
import sys
import venv
from pathlib import Path

from faults import NO_FIGURES, ONE_PROCESS

PROJECT = Path(__file__).parent.parent.parent


def test_a_wheel_runs_from_any_folder(tmp_path):
    wheels = tmp_path / "wheels"
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, PROJECT],
        check=True,
        capture_output=True,
    )
    (wheel,) = wheels.glob("bnsweep-*.whl")
    clean = tmp_path / "venv"
    venv.create(clean)
    python = clean / "bin" / "python"
    # The dependencies are taken from the tests' environment, since installing them would take a
    # minute. The package itself comes only from the wheel.
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "-q", "--no-deps", wheel], env=environment, check=True)
    here = [path for path in sys.path if path.endswith("site-packages")]
    (Path(site) / "needed.pth").write_text("\n".join(here))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    module, script = [python, "-m", "bnsweep"], [clean / "bin" / "bnsweep", ONE_PROCESS]
    for command in (module, script):
        done = subprocess.run(
            [*command, "-m", "weight_std=0.1", "training.epochs=1", "tracking=none", *NO_FIGURES],
            cwd=elsewhere, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    place = subprocess.run(
        [python, "-c", "import bnsweep; print(bnsweep.__file__)"],
        cwd=elsewhere, env=environment, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert str(clean) in place
    assert len(list(elsewhere.glob("outputs/sweeps/*/*/history.json"))) == 4
