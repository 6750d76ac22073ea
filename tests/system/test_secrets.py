"""A password appears nowhere in what a run writes or prints, and nothing is sent unasked."""

import http.server
import threading

import pytest
from faults import ONE_PROCESS, SCRIPTED, SMALL, free_port, prepare, put_database

PASSWORD = "hunter2-Xq7"
TOKEN = "tok-9f3e7a51"


def holders(*folders, but=()):
    """Return the files that contain the password or the token."""
    secrets = (PASSWORD.encode(), TOKEN.encode())
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path not in but and any(s in path.read_bytes() for s in secrets)
    ]


def check(shell, server, done, status=0, but=()):
    assert done.returncode == status, done.stderr
    for text in (done.stdout, done.stderr):
        assert PASSWORD not in text
        assert TOKEN not in text
    # MLflow keeps its own caches outside these folders.
    assert not holders(shell.folder, server.folder, but=but)


def secret_uri(server):
    return server.uri.replace("http://", f"http://user:{PASSWORD}@")


def test_the_search_finds_a_secret_where_there_is_one(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\\0" + TOKEN.encode())
    assert holders(tmp_path)


@pytest.mark.parametrize("door", ["argument", "quoted argument", "environment"])
def test_a_sweep_keeps_the_password_to_itself(shell, server, door):
    prepare(shell.folder)
    uri = secret_uri(server)
    arguments = {
        "argument": [f"tracking.uri={uri}", ONE_PROCESS],
        "quoted argument": [f"++tracking.uri='{uri}'", ONE_PROCESS],
    }
    environment = {"MLFLOW_TRACKING_URI": uri} if door == "environment" else {}
    done = shell(
        "-m",
        *SCRIPTED,
        "optimizer.lr=0.1,0.5",  # one of them fails: its traceback is searched, too
        f"tracking.experiment={door}",
        *arguments.get(door, []),
        **environment,
    )
    check(shell, server, done, status=1)
    statuses = {run.info.status for run in server.runs(door)}
    assert statuses == {"FINISHED", "FAILED"}
    # The jobs themselves reached the store, so the password reached them; worker processes
    # have it from the environment, whichever way it came.
    assert len(server.runs(door)) == 3


def test_a_config_of_ones_own_with_a_password_in_it_is_not_saved_with_it(shell, server):
    config = shell.folder / "own" / "tracking" / "server.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"defaults: [mlflow, _self_]\nuri: {secret_uri(server)}\n")
    for number, mode in enumerate(([], ["-m"])):
        options = ["--config-dir=own", "tracking=server", f"tracking.experiment=own{number}"]
        done = shell(*mode, *options, *SMALL, ONE_PROCESS)
        check(shell, server, done, but=[config])
        assert server.runs(f"own{number}")


def test_an_interpolated_password_and_a_token_of_the_environment_stay_there(shell, server):
    config = shell.folder / "own" / "tracking" / "server.yaml"
    config.parent.mkdir(parents=True)
    uri = server.uri.replace("http://", "http://user:${oc.env:STORE_PASSWORD}@")
    config.write_text(f"defaults: [mlflow, _self_]\nuri: {uri}\nexperiment: interpolated\n")
    for mode in ([], ["-m"]):
        done = shell(
            *mode,
            *("--config-dir=own", "tracking=server", *SMALL),
            STORE_PASSWORD=PASSWORD,
            MLFLOW_TRACKING_TOKEN=TOKEN,
        )
        check(shell, server, done)
    assert len(server.runs("interpolated")) == 3


@pytest.mark.parametrize("full", ["0", "1"])
def test_a_message_about_an_absent_store_is_without_the_password(shell, server, full):
    uri = f"http://user:{PASSWORD}@127.0.0.1:{free_port()}"
    for arguments in (SMALL, ["-m", *SMALL]):
        done = shell(
            *arguments,
            f"tracking.uri={uri}",
            HYDRA_FULL_ERROR=full,
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        )
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
