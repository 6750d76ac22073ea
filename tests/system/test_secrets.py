"""A password appears nowhere in what a run writes or prints, and nothing is sent unasked."""

import contextlib
import http.server
import threading
from pathlib import Path

import pytest
from faults import (
    SCRIPTED,
    SMALL,
    Started,
    free_port,
    members,
    prepare,
    put_database,
)

PASSWORD = "hunter2-Xq7"
TOKEN = "tok-9f3e7a51"


def holders(*folders):
    """Return the files that contain the password or the token."""
    secrets = (PASSWORD.encode(), TOKEN.encode())
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and any(s in path.read_bytes() for s in secrets)
    ]


def check(shell, server, done, status=0):
    assert done.returncode == status, done.stderr
    for text in (done.stdout, done.stderr):
        assert PASSWORD not in text
        assert TOKEN not in text
    # MLflow keeps its own caches outside these folders.
    assert not holders(shell.folder, server.folder)


def listed(group):
    """Return the command of each process of a group, as everybody sees it in the list."""
    commands = []
    for pid in members(group):
        with contextlib.suppress(OSError):  # it has ended since
            commands.append(Path(f"/proc/{pid}/cmdline").read_text())
    return commands


def secret_uri(server):
    return server.uri.replace("http://", f"http://user:{PASSWORD}@")


def test_the_search_finds_a_secret_where_there_is_one(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\\0" + TOKEN.encode())
    assert holders(tmp_path)


def test_a_sweep_keeps_the_password_of_the_environment_to_itself(shell, server):
    """Also from the list of processes, and where the traceback of a failed run is written."""
    prepare(shell.folder)
    with Started(
        shell,
        *("-m", *SCRIPTED, "optimizer.lr=0.1,0.2,0.5", "tracking.experiment=secret"),
        "hydra.launcher.n_jobs=2",
        MLFLOW_TRACKING_URI=secret_uri(server),
        MLFLOW_TRACKING_TOKEN=TOKEN,
    ) as sweep:
        sweep.until((shell.folder / "waiting-0.2").exists, "the sweep is under way")
        commands = listed(sweep.process.pid)
        assert any("tracking.experiment=secret" in command for command in commands)
        assert not [command for command in commands if PASSWORD in command or TOKEN in command]
        (shell.folder / "go").touch()
        assert sweep.ends() == 1, sweep.text
    assert not holders(shell.folder, server.folder)
    # The runs are in the store, so the password was used.
    statuses = [run.info.status for run in server.runs("secret")]
    assert sorted(statuses) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]  # and the sweep itself


def test_a_run_by_itself_keeps_the_password_of_the_environment_to_itself(shell, server):
    environment = {"MLFLOW_TRACKING_URI": secret_uri(server), "MLFLOW_TRACKING_TOKEN": TOKEN}
    done = shell(*SMALL, "tracking.experiment=alone", **environment)
    check(shell, server, done)
    assert "to see it in MLflow" in done.stdout
    assert len(server.runs("alone")) == 1


INTERPOLATED = "http://user:${oc.env:STORE_PASSWORD}@127.0.0.1:9"
REFUSED = {
    "argument": [f"tracking.uri=http://user:{PASSWORD}@127.0.0.1:9"],
    "quoted argument": [f"++tracking.uri='http://user:{PASSWORD}@127.0.0.1:9'"],
    "token": [f"tracking.uri='http://127.0.0.1:9/?token={TOKEN}'"],
    "database": [f"tracking.uri=postgresql://user:{PASSWORD}@127.0.0.1:9/x"],
    "interpolated argument": [f"tracking.uri='{INTERPOLATED}'"],
    "config": ["--config-dir=own", "tracking=written"],
    "interpolated config": ["--config-dir=own", "tracking=interpolated"],
    "own environment": ["--config-dir=own", "experiment=env"],
}


@pytest.mark.parametrize("where", REFUSED)
def test_a_password_that_would_be_saved_is_refused(shell, where):
    """It would be in the configuration of each run, so nothing is begun, nor is it repeated."""
    own = shell.folder / "own" / "tracking"
    own.mkdir(parents=True)
    secret = f"http://user:{PASSWORD}@127.0.0.1:9"
    for name, uri in {"written": secret, "interpolated": INTERPOLATED}.items():
        (own / f"{name}.yaml").write_text(f"defaults: [mlflow, _self_]\nuri: {uri}\n")
    (own.parent / "experiment").mkdir()
    (own.parent / "experiment" / "env.yaml").write_text(
        f"# @package _global_\nhydra: {{job: {{env_set: {{MLFLOW_TRACKING_URI: '{secret}'}}}}}}\n"
    )
    before = {*shell.folder.rglob("*")}
    for mode in ([], ["-m"], ["-m", "hydra/sweeper=basic"]):
        done = shell(*mode, *REFUSED[where], *SMALL, STORE_PASSWORD=PASSWORD)
        assert done.returncode == 2, (mode, done.stderr)
        (message,) = done.stderr.splitlines()
        assert "MLFLOW_TRACKING_URI" in message
        for text in (done.stdout, done.stderr):
            assert PASSWORD not in text
            assert TOKEN not in text
        assert {*shell.folder.rglob("*")} == before


@pytest.mark.parametrize(("mode", "full"), [([], "1"), (["-m"], "0"), (["-m"], "1")])
def test_a_message_about_an_absent_store_is_without_the_password(shell, server, mode, full):
    uri = f"http://user:{PASSWORD}@127.0.0.1:{free_port()}"
    done = shell(*mode, *SMALL, HYDRA_FULL_ERROR=full, MLFLOW_TRACKING_URI=uri)
    assert "127.0.0.1" in done.stderr
    check(shell, server, done, status=2)


def test_nothing_is_sent_unasked(shell):
    """All HTTP requests go through a proxy that records them: it records none."""
    put_database(shell.folder)
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def note(self):
            asked.append(self.path)
            self.send_error(502)

        do_GET = do_POST = do_CONNECT = note  # noqa: N815  # the names that http.server calls

        def log_message(self, *_):
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{proxy.server_port}"
    # MLflow sends nothing when it detects a test or continuous integration.
    hidden = ("PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS", "MLFLOW_DISABLE_TELEMETRY")
    with pytest.MonkeyPatch.context() as patch:
        for name in (*hidden, "DO_NOT_TRACK", "NO_PROXY", "no_proxy"):
            patch.delenv(name, raising=False)
        done = shell("-m", *SMALL, HTTP_PROXY=address, HTTPS_PROXY=address, https_proxy=address)
    proxy.shutdown()
    assert done.returncode == 0, done.stderr
    assert asked == []
