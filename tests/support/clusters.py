"""Real clusters on this machine, started for a test and stopped after it."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import needs
import pytest
from faults import free_port, wait_until

TIMES = ("train_seconds", "started", "ended")
SLURM_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MaxArraySize={array_size}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=4000
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE
"""


class Daemons:
    """Programs that run in the foreground until the test is over."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.started: list[subprocess.Popen] = []

    def start(self, name: str, *command: str, cwd: Path | None = None) -> None:
        with (self.folder / f"{name}.out").open("w") as log:
            self.started.append(
                subprocess.Popen(
                    command,
                    cwd=cwd or self.folder,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def asks(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def said(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in self.folder.glob("*.out"))

    def stop(self) -> None:
        """End them, the last one first."""
        for process in reversed(self.started):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def histories(output_dir: Path):
    """Return what a sweep's runs recorded, except for times and the like, by learning rate."""
    found = {}
    for path in output_dir.glob("sweeps/*/*/history.json"):
        history = json.loads(path.read_text())
        # A job is composed from overrides of its own.
        for name in (*TIMES, "attempt", "number", "overrides", "error"):
            history.pop(name)
        found[history["config"]["optimizer"]["lr"]] = history
    return found


@contextlib.contextmanager
def ray_cluster(hidden: Path):
    """Run a head and a second node of one core each, which cannot see the folder `hidden`.

    Yields:
        The address, and what a driver needs in its environment.
    """
    needs.extra("ray", "ray")
    private = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']
    if subprocess.run([*private, hidden, "true"], capture_output=True, check=False).returncode:
        needs.right_to_mount()
    ray = str(Path(sys.executable).with_name("ray"))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    quiet = {"RAY_USAGE_STATS_ENABLED": "0"}
    address = f"127.0.0.1:{free_port()}"
    node = ["--block", "--num-cpus=1", "--node-ip-address=127.0.0.1", "--object-store-memory"]
    node += [str(100 * 2**20)]
    # It holds sockets, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as temporary:
        folder = Path(temporary)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        daemons = Daemons(folder, kept | quiet | token)
        # Neither node has the driver's working directory.
        port = address.rpartition(":")[2]
        head = [ray, "start", "--head", f"--port={port}", *node, "--include-dashboard=false"]
        try:
            daemons.start("head", *private, str(hidden), *head, f"--temp-dir={temporary}/r")
            wait_until(lambda: "will now block" in daemons.said(), "the head runs")
            daemons.start(
                "second", *private, str(hidden), ray, "start", "--address", address, *node
            )
            listing = [sys.executable, "-c", RAY_CORES, address]
            wait_until(lambda: daemons.asks(*listing).stdout.split() == ["2.0"], "two nodes run")
            yield address, token
        except AssertionError as error:
            raise AssertionError(f"{error}\n{daemons.said()}") from error
        finally:
            daemons.stop()


RAY_CORES = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print(ray.cluster_resources().get("CPU"))
"""


@contextlib.contextmanager
def slurm_cluster(array_size: int):
    """Run a Slurm of one node; yield what its clients need in their environment."""
    needs.extra("submitit", "slurm")
    if os.geteuid() != 0 or not all(_program(name) for name in SLURM_PROGRAMS):
        pytest.skip("needs root and Slurm: apt-get install munge slurmctld slurmd slurm-client")
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o755 if name == "munge" else 0o700)
        (folder / "munge" / "key").write_bytes(secrets.token_bytes(1024))
        (folder / "munge" / "key").chmod(0o400)
        configuration = folder / "slurm.conf"
        configuration.write_text(
            SLURM_CONF.format(
                host=socket.gethostname().partition(".")[0],
                folder=folder,
                cores=os.cpu_count(),
                array_size=array_size,
                controller_port=free_port(),
                node_port=free_port(),
            )
        )
        environment = {"SLURM_CONF": str(configuration)}
        daemons = Daemons(folder, os.environ | environment)
        munge = [f"--{what}={folder}/munge/{what}" for what in ("socket", "seed-file", "log-file")]
        munge += [f"--key-file={folder}/munge/key", f"--pid-file={folder}/munge/pid"]
        try:
            daemons.start("munged", _program("munged"), "--foreground", "--force", *munge)
            wait_until((folder / "munge" / "socket").exists, "munge runs")
            daemons.start("slurmctld", _program("slurmctld"), "-D")
            daemons.start("slurmd", _program("slurmd"), "-D")
            idle = ["sinfo", "--noheader", "--format=%t"]
            wait_until(lambda: daemons.asks(*idle).stdout.strip() == "idle", "the node is idle", 60)
            yield environment
        except AssertionError as error:
            raise AssertionError(f"{error}\n{daemons.said()}") from error
        finally:
            daemons.stop()


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
