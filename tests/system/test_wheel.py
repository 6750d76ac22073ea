"""The wheel works in a new environment: it contains the configurations."""

import subprocess
import sys
import venv
from pathlib import Path

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
    venv.create(clean, with_pip=True)
    python = clean / "bin" / "python"
    # The dependencies are taken from the tests' environment, since installing them would take a
    # minute. The package itself comes only from the wheel.
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    here = [path for path in sys.path if path.endswith("site-packages")]
    (Path(site) / "needed.pth").write_text("\n".join(here))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for command in ([python, "-m", "bnsweep"], [clean / "bin" / "bnsweep"]):
        done = subprocess.run(
            [*command, "-m", "weight_std=0.1", "training.epochs=1", "tracking=none"],
            cwd=elsewhere, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    place = subprocess.run(
        [python, "-c", "import bnsweep; print(bnsweep.__file__)"],
        cwd=elsewhere, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert str(clean) in place
    assert len(list(elsewhere.glob("outputs/sweeps/*/*/history.json"))) == 4
