"""The pictures of the MLflow UI: the default sweep in a headless Chromium.

They need the extra `services`, and Debian's packages chromium and chromium-driver.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).resolve().parent / "pictures"
COMMAND = ("-m",)  # the default sweep
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
BROWSER_OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
    "--disable-background-networking --hide-scrollbars --window-size=1500,950"
)
PATIENCE = 120.0  # seconds
# The buttons that lie over the charts, the one of a chat, and the frame around what was clicked.
HIDDEN = (
    ".modebar, [data-assistant-ui] { display: none !important } "
    ".ag-cell-focus { border-color: transparent !important }"
)
RUNS = 32  # of the default sweep


def take() -> None:
    """Run the default sweep, and store two pictures of it in the MLflow UI."""
    try:
        from selenium import webdriver
    except ImportError:
        webdriver = None
    if not (webdriver and BROWSER and DRIVER):
        print(
            "mlflow: skipped, as its pictures need a browser: apt-get install chromium "
            "chromium-driver, pip install -e '.[services]'"
        )
        return
    with tempfile.TemporaryDirectory() as folder, served(folder) as address:
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for option in (*BROWSER_OPTIONS.split(), f"--user-data-dir={folder}/browser"):
            options.add_argument(option)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        try:
            shoot(driver, address)
        finally:
            driver.quit()


@contextlib.contextmanager
def served(folder: str) -> Iterator[str]:
    """Run the sweep in a folder, serve it by the command it prints, and yield its address."""
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
    sweep = [sys.executable, "-m", "bnsweep", *COMMAND]
    done = subprocess.run(
        sweep, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    command = shlex.split(re.findall(r"in MLflow: mlflow (.*)", done.stdout)[0])
    (address,) = re.findall(r"and open (http\S+)", done.stdout)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command, f"--port={port}", "--workers=1"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait(lambda: is_up(f"http://127.0.0.1:{port}/health"), "the server")
        yield address.replace(":5000/", f":{port}/")
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # its workers, too
        server.wait()


def shoot(driver: Any, address: str) -> None:
    """Take the pictures: the charts of the sweep, as its link opens them, and the table."""

    def shown(selector: str, text: str = "") -> list[Any]:
        found = driver.find_elements("css selector", selector)
        return [element for element in found if element.is_displayed() and text in element.text]

    def find(selector: str, text: str = "") -> Any:
        return wait(lambda: shown(selector, text), f"{selector} {text}")[0]

    def close_notices() -> None:
        for button in shown("button[aria-label='Close'], button[aria-label='Hide banner']"):
            button.click()

    def store(name: str) -> None:
        time.sleep(2)  # what moves comes to rest
        close_notices()  # of a changed view
        style = "const s = document.createElement('style'); s.textContent = arguments[0];"
        driver.execute_script(f"{style} document.head.append(s)", HIDDEN)
        time.sleep(1)
        driver.save_screenshot(str(PICTURES / f"{name}.png"))

    driver.get(address)
    find("body", "Accuracy over the epochs")
    close_notices()  # a panel greets new visitors
    find("body", f"{RUNS} matching runs")
    wait(lambda: len(shown(".js-plotly-plot")) > 1, "the charts")
    store("mlflow_charts")

    driver.get("about:blank")  # or the browser does not load the page anew
    driver.get(address.replace("&compareRunsMode=CHART", ""))
    find(".ag-row", "batchnorm weight_std=0.0")
    store("mlflow_runs")


def is_up(address: str) -> bool:
    """Say whether a server answers."""
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True


def wait(look: Callable[[], Any], what: str) -> Any:
    """Return what `look` finds, once it finds something.

    Raises:
        TimeoutError: it finds nothing.
    """
    from selenium.common.exceptions import StaleElementReferenceException

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(StaleElementReferenceException):
            if found := look():
                return found
        time.sleep(0.3)
    raise TimeoutError(f"{what}: not seen within {PATIENCE:.0f} s")
