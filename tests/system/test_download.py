"""Downloads from a real HTTP server on loopback, and what can go wrong with them."""

import gzip
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from bnsweep.data import datasets, download
from bnsweep.errors import DataError

FIRST = "train-images-idx3-ubyte.gz"


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes())


RNG = np.random.default_rng(0)
FILES = {
    FIRST: idx(RNG.integers(0, 256, (500, 28, 28), np.uint8)),
    "train-labels-idx1-ubyte.gz": idx(RNG.integers(0, 10, 500, np.uint8)),
    "t10k-images-idx3-ubyte.gz": idx(RNG.integers(0, 256, (20, 28, 28), np.uint8)),
    "t10k-labels-idx1-ubyte.gz": idx(RNG.integers(0, 10, 20, np.uint8)),
}
CHECKSUMS = {name: f"sha256:{hashlib.sha256(file).hexdigest()}" for name, file in FILES.items()}


class Mirror(ThreadingHTTPServer):
    """Serves FILES, or lets `behave(handler, content)` answer if it is given."""

    daemon_threads = True

    def __init__(self, behave=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave = behave
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        (self.server.behave or send)(self, FILES[name])

    def log_message(self, *arguments):
        pass


def send(handler, content, *, claimed=None, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content) if claimed is None else claimed))
    handler.end_headers()
    handler.wfile.write(content)


def corrupt(handler, content):
    send(handler, content[:-20] + b"x" * 20)


def truncated(handler, content):
    send(handler, content[: len(content) // 2], claimed=len(content))


def silently_truncated(handler, content):
    send(handler, content[: len(content) // 2])


def missing(handler, content):
    send(handler, b"no such file", status=404)


@contextmanager
def serving(behave=None):
    with Mirror(behave) as mirror:
        threading.Thread(target=mirror.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield mirror
        finally:
            mirror.shutdown()


@pytest.fixture
def good():
    with serving() as mirror:
        yield mirror


def unused_url():
    """Return the address of a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Point the cache at a new folder, and return MNIST's folder in it."""
    monkeypatch.setenv("BNSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "mnist"


def load(monkeypatch, *mirrors):
    """Load the data set as a process does that has read nothing yet."""
    monkeypatch.setattr(datasets, "MNIST", download.Source("mnist", mirrors, CHECKSUMS))
    return datasets.mnist(train_size=400, test_size=20)


def stored(cache):
    return {path.name: path.read_bytes() for path in cache.iterdir()}


def test_what_was_downloaded_once_is_not_asked_for_again(monkeypatch, capfd, cache, good):
    dataset = load(monkeypatch, good.url)
    assert dataset.x_train.shape == (400, 784)
    assert stored(cache) == FILES
    assert sorted(good.asked) == sorted(FILES)
    assert load(monkeypatch, good.url).digest == dataset.digest
    assert len(good.asked) == len(FILES)
    assert capfd.readouterr() == ("", "")  # no bar, no log where there is no terminal


def test_the_cache_is_the_operating_systems_without_a_variable(tmp_path, monkeypatch, good):
    monkeypatch.delenv("BNSWEEP_CACHE")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "os" / name))
    load(monkeypatch, good.url)
    assert stored(tmp_path / "os" / "bnsweep" / "mnist") == FILES


def test_a_terminal_sees_a_progress_bar(monkeypatch, capsys, good):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    load(monkeypatch, good.url)
    captured = capsys.readouterr()
    assert "100%" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("behave", [corrupt, truncated, silently_truncated, missing])
def test_a_second_mirror_stands_in_for_a_bad_first(monkeypatch, cache, good, behave):
    with serving(behave) as bad:
        load(monkeypatch, bad.url, good.url)
        assert FIRST in bad.asked
    assert stored(cache) == FILES


def test_a_second_mirror_stands_in_for_one_that_is_down(monkeypatch, cache, good):
    load(monkeypatch, unused_url(), good.url)
    assert stored(cache) == FILES


def test_a_mirror_that_falls_silent_is_given_up(monkeypatch, cache, good):
    released = threading.Event()

    def silent(handler, content):
        send(handler, content[:1000], claimed=len(content))
        released.wait(60)

    monkeypatch.setattr(download, "_TIMEOUTS", (1, 1))
    started = time.monotonic()
    with serving(silent) as bad:
        load(monkeypatch, bad.url, good.url)
        assert time.monotonic() - started < 30
        released.set()
    assert stored(cache) == FILES


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (corrupt, "its checksum differs"),
        (truncated, r"Connection broken: \w+\([^()]*\)(?=; )"),
        (silently_truncated, "its checksum differs"),
        (missing, "the server answered 404"),
    ],
)
def test_when_no_mirror_has_the_file_one_message_says_why(monkeypatch, cache, behave, reason):
    dead = unused_url()
    with serving(behave) as bad, pytest.raises(DataError) as caught:
        load(monkeypatch, bad.url, dead)
    message = str(caught.value)
    assert re.search(rf"{bad.url}{FIRST}: [^;]*({reason})", message)
    assert f"{dead}{FIRST}: " in message
    assert "Connection refused" in message
    assert str(cache / FIRST) in message
    assert "data.root=" in message
    assert "HTTPConnection" not in message
    assert stored(cache) == {}


def test_a_cached_file_damaged_since_is_fetched_again(monkeypatch, cache, good):
    load(monkeypatch, good.url)
    (cache / FIRST).write_bytes(FILES[FIRST][:-1] + b"x")
    load(monkeypatch, good.url)
    assert stored(cache) == FILES
    assert good.asked.count(FIRST) == 2


def test_a_cached_file_damaged_since_is_named_where_it_cannot_be_had(monkeypatch, cache, good):
    load(monkeypatch, good.url)
    (cache / FIRST).write_bytes(b"")
    with pytest.raises(DataError, match=f"{cache / FIRST} is damaged, and downloading it failed"):
        load(monkeypatch, unused_url())


def test_a_file_where_the_cache_should_be_is_named(monkeypatch, cache, good):
    cache.parent.write_text("")
    with pytest.raises(DataError, match=f"{cache / FIRST} cannot be written .*BNSWEEP_CACHE="):
        load(monkeypatch, good.url)


LOAD = """
import sys
from bnsweep.data import datasets, download
from tests_mirror import CHECKSUMS
datasets.MNIST = download.Source("mnist", (sys.argv[1],), CHECKSUMS)
print(datasets.mnist(train_size=400, test_size=20).digest)
"""


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a process that loads the data from a mirror."""
    (tmp_path / "tests_mirror.py").write_text(f"CHECKSUMS = {CHECKSUMS!r}")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    started = []

    def start(url):
        process = subprocess.Popen(
            [sys.executable, "-c", LOAD, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_processes_that_download_at_once_do_not_disturb_each_other(monkeypatch, cache, start):
    together = threading.Barrier(2)

    def slowly(handler, content):
        """Hold both processes in the middle of the first file."""
        half = len(content) // 2
        send(handler, content[:half], claimed=len(content))
        if content == FILES[FIRST]:
            together.wait(60)
        handler.wfile.write(content[half:])

    with serving(slowly) as mirror:
        processes = [start(mirror.url) for _ in range(2)]
        digests = [process.communicate(timeout=120)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        assert mirror.asked.count(FIRST) == 2
    assert stored(cache) == FILES
    assert set(digests) == {load(monkeypatch, unused_url()).digest + "\n"}


def test_a_download_that_was_killed_half_way_is_not_used(monkeypatch, cache, good, start):
    half_way, released = threading.Event(), threading.Event()

    def stop_half_way(handler, content):
        send(handler, content[: len(content) // 2], claimed=len(content))
        handler.wfile.flush()
        half_way.set()
        released.wait(120)

    with serving(stop_half_way) as mirror:
        process = start(mirror.url)
        assert half_way.wait(60)
        until = time.monotonic() + 60
        while not any(path.stat().st_size for path in cache.glob("*")):
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        released.set()
    assert FIRST not in stored(cache)
    load(monkeypatch, good.url)
    assert FILES.items() <= stored(cache).items()
