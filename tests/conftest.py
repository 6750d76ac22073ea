"""BNSWEEP_NO_SKIP=1 turns a skipped test into a failed session: there, all is installed."""

import os


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("BNSWEEP_NO_SKIP") == "1" and skipped and exitstatus == 0:
        session.exitstatus = 1
