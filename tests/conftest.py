"""The order of the tests on several processors, and a last word on those that were skipped.

BNSWEEP_NO_SKIP=1 makes a session with a skipped test fail: for where everything is installed.
"""

import logging
import os
import signal
from collections import Counter

import pytest


def pytest_configure(config):
    # A shell starts a job in the background deaf to Ctrl-C, and `nohup` to a hang-up, which some
    # tests send; what these start is deaf to neither.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    # What Hydra will take no longer fails today, in what the tests start as well.
    os.environ["HYDRA_DEPRECATION_WARNINGS_AS_ERRORS"] = "1"
    # pytest-xdist starts with the files that hold most tests; ours that take longest hold few.
    config.option.loadscopereorder = False


@pytest.fixture(autouse=True)
def quiet_after_hydra():
    """Take away what a test has Hydra log to: its stream ends with the test."""
    root = logging.getLogger()
    before, level = [*root.handlers], root.level
    yield
    for handler in [*root.handlers]:
        if handler not in before and type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    root.setLevel(level)


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):  # one of several processes
        items.sort(key=lambda item: "system" not in item.path.parts)


def skipped(config):
    """Return the reason of each skipped test."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return [report.longrepr[2].removeprefix("Skipped: ") for report in reports]


def pytest_sessionfinish(session, exitstatus):
    if os.environ.get("BNSWEEP_NO_SKIP") == "1" and skipped(session.config) and exitstatus == 0:
        session.exitstatus = 1


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Print the reasons below all else, where they are seen."""
    for reason, count in Counter(skipped(config)).most_common():
        print(f"{count} skipped: {reason}")
    if skipped(config) and os.environ.get("BNSWEEP_NO_SKIP") == "1":
        print("BNSWEEP_NO_SKIP=1: a skipped test counts as failed")
