"""The commands of README and docs, typed into a shell as they stand, page by page.

How each is checked, and what makes it short, is in `documented.RULES`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import documented
import needs
import pytest
from documented import ROOT
from faults import free_port, wait_until

PROGRAMS = Path(sys.executable).parent
PLUGINS = {"ray": "hydra_ray_launcher", "slurm": "hydra_submitit_launcher"}


def as_module(command):
    """Return a command without the folder of the virtual environment."""
    return command.text.removeprefix(".venv/bin/")


def checked(*how):
    """Return the commands that are checked in one of these ways, in order and each once."""
    found = [command for page in documented.PAGES for command in documented.commands(page)]
    first = {as_module(command): command for command in reversed(found)}
    return [
        pytest.param(
            command,
            marks=[needs.mnist] if command.needs_mnist else [],
            id=f"{command.page}: {command.text}",
        )
        for command in found
        if command is first[as_module(command)] and command.rule and command.rule.how in how
    ]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Return a function that gives the folder of a page, with the files that the page shows."""
    made = {}

    def place(name):
        if name not in made:
            folder = made[name] = tmp_path_factory.mktemp(Path(name).stem)
            (page,) = (page for page in documented.PAGES if page.name == name)
            documented.write_files(page, folder)
            (folder / ".venv").symlink_to(PROGRAMS.parent)
            subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        return made[name]

    return place


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment of the shell: its home and its cache hold MNIST, if we have it."""
    home, cache = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("cache")
    if needs.MNIST is not None:
        for folder in (home, cache):
            (folder / "mnist").symlink_to(needs.mnist_folder())
    ours = ("MLFLOW_", "HYDRA_", "BNSWEEP_", "RAY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "HOME": str(home), "BNSWEEP_CACHE": str(cache)}


def typed(line, folder, environment):
    """Type a line into a shell, and return what it prints."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = f"{line}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    assert "Traceback" not in said
    return done.stdout


@pytest.mark.parametrize("command", checked("run", "in the repository"))
def test_a_command_runs_as_it_is_typed(command, places, environment):
    rule = command.rule
    folder = ROOT if rule.how == "in the repository" else places(command.page)
    typed(f"{command.text} {rule.words}", folder, environment)


@pytest.mark.parametrize("command", checked("composed"))
def test_a_command_for_elsewhere_composes(command, places, environment):
    rule = command.rule
    if rule.extra:
        needs.extra(f"hydra_plugins.{PLUGINS[rule.extra]}", rule.extra)
    line = command.text.replace(" -m bnsweep -m ", f" -m bnsweep --cfg {rule.words} ")
    key = "launcher:" if rule.words == "hydra" else "data:"
    assert key in typed(line, places(command.page), environment)


@pytest.mark.parametrize("command", checked("options"))
def test_a_program_has_the_options_that_are_shown(command, environment):
    shown = set(re.findall(r" (--[\w-]+)", command.text))
    program = re.match(r"python \S+|mlflow \w+", command.text)[0]
    assert shown <= set(re.findall(r"--[\w-]+", typed(f"{program} --help", ROOT, environment)))


@pytest.mark.parametrize("command", checked("served"))
def test_a_server_shows_what_the_page_has_done(command, places, environment, tmp_path):
    typed("python -m bnsweep training.epochs=1", places(command.page), environment)
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command.text} --port {port}"],
            cwd=places(command.page),
            env=environment | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers():
        try:
            return direct.open(f"{address}/health", timeout=5).status == 200
        except OSError:
            return False

    try:
        wait_until(answers, "the server answers")
        query = "/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=bnsweep"
        found = json.load(direct.open(address + query, timeout=30))
        assert found["experiment"]["name"] == "bnsweep"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
