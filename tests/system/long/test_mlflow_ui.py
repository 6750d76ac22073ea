"""The MLflow UI as a person uses it: a real browser on a real sweep."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import needs
import pytest

PATIENCE = 120  # seconds: a loaded machine draws a page slowly
QUERY = 'metrics.final_train_accuracy > 0.9 and params.model = "batchnorm"'
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic "
    "--no-first-run --disable-background-networking --disable-component-update --disable-sync "
    "--window-size=1700,1100"
)

webdriver = needs.extra("selenium.webdriver", "services")
Stale = needs.extra("selenium.common.exceptions", "services").StaleElementReferenceException
if not (BROWSER and DRIVER):
    pytest.skip("needs Chromium: apt-get install chromium chromium-driver", allow_module_level=True)

ENTER = "\ue007"


class Page:
    """A browser window; it waits for what a person sees in it."""

    def __init__(self, driver, start):
        self.driver = driver
        self.start = start
        self.server = start.partition("/#/")[0]

    def wait(self, look, what):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if found := look():
                    return found
            except Stale:
                pass
            time.sleep(0.3)
        pytest.fail(f"{what}: not seen at {self.driver.current_url}\n{self.text}")

    @property
    def text(self):
        return self.driver.find_element("tag name", "body").text

    def shown(self, selector, text=""):
        found = self.driver.find_elements("css selector", selector)
        return [e for e in found if e.is_displayed() and text in e.text]

    def see(self, *texts):
        for text in texts:
            self.wait(lambda text=text: text in self.text, text)

    def click(self, selector, text=""):
        self.wait(lambda: self.shown(selector, text), f"{selector} {text}")[0].click()

    def open(self, address):
        # If only the part after # changes, the browser does not reload the page.
        self.driver.get("about:blank")
        self.driver.get(address)

    def runs(self):
        """Open the runs at the address in the sweep's last line, and wait for them."""
        self.open(self.start)
        self.see("sweep of")

    def column(self, name):
        """Return the texts in a column of the table of runs, from the top."""
        cells = self.shown(f".ag-cell[col-id='{name}']")
        cells.sort(key=lambda cell: cell.location["y"])
        # A colour mark precedes each name.
        return [cell.text.rpartition("\n")[2] for cell in cells]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def sweep(module_shell):
    done = module_shell("-m", "weight_std=0.00001,0.05,0.3")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def address(module_shell, sweep):
    """The address that the sweep printed, served by the command that it printed."""
    command = re.search(r"to see them in MLflow: mlflow (.*)", sweep)[1]
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *shlex.split(command), f"--port={port}", "--workers=1"],
        cwd=module_shell.folder,
        env=module_shell.environment | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(PATIENCE):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, "the server ended at once"
                time.sleep(1)
        yield re.search(r"and open (http\S+)", sweep)[1].replace(":5000/", f":{port}/")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def page(address, tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for option in OPTIONS.split():
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        driver.set_page_load_timeout(PATIENCE)
        page = Page(driver, address)
        page.runs()
        # On a first visit a panel opens by itself and takes a third of the window.
        for close in page.shown("button[aria-label='Close']"):
            close.click()
        yield page
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def ids(module_shell, sweep):
    """Run ids by run names."""
    return {run.info.run_name: run.info.run_id for run in module_shell.runs()}


def unfold(page):
    page.runs()
    page.click(".ag-row button")
    page.see("batchnorm weight_std=0.05 seed=0")


def test_the_printed_address_opens_the_experiment_as_model_training(page):
    page.runs()
    page.see("bnsweep", "Runs", "Model registry")
    assert "Evaluation runs" not in page.text  # in the menu of the other kind


def test_a_sweep_is_one_parent_that_unfolds_into_runs_told_apart_by_name(page):
    page.runs()
    assert page.column("attributes.`Run Name`") == ["sweep of weight_std, model"]
    unfold(page)
    names = page.wait(
        lambda: len(found := page.column("attributes.`Run Name`")) == 7 and found, "7 runs"
    )
    assert set(names[1:]) == {
        f"{model} weight_std={scale} seed=0"
        for model in ("batchnorm", "plain")
        for scale in ("1e-5", "0.05", "0.3")
    }


def test_accuracies_and_scales_have_columns_without_asking(page):
    unfold(page)
    for column in ("final_train_accuracy", "final_test_accuracy"):
        values = page.column(f"metrics.`{column}`")
        assert values[0] == "-"
        assert all(0 <= float(value) <= 1 for value in values[1:])
    assert set(page.column("params.`model`")) == {"-", "batchnorm", "plain"}


def test_runs_sort_by_weight_std_as_numbers(page):
    page.runs()
    page.click(".ag-header-cell", "weight_std")
    numbers = page.wait(
        lambda: len(found := page.column("metrics.`weight_std`")) >= 6 and found, "6 runs"
    )
    found = [float(number.rstrip("…. ")) for number in numbers if number not in ("", "-")]
    assert found in (sorted(found), sorted(found, reverse=True))
    assert set(found) == {1e-5, 0.05, 0.3}


def test_runs_are_found_by_a_metric_and_a_parameter(page):
    page.runs()
    box = page.wait(lambda: page.shown("input[placeholder*='metrics.']"), "the search box")[0]
    box.send_keys(QUERY, ENTER)
    # The UI also shows and counts the folded parent of what it found.
    page.see("2 matching runs")
    page.click(".ag-row button")
    page.see("batchnorm weight_std=0.05 seed=0")
    assert page.column("attributes.`Run Name`") == [
        "sweep of weight_std, model",
        "batchnorm weight_std=0.05 seed=0",
    ]


def test_runs_group_by_model(page):
    page.runs()
    page.click("button", "Group by")
    page.wait(lambda: page.shown("[role=menuitemcheckbox], [role=menuitem]", "model"), "model")
    exact = [
        item
        for item in page.shown("[role=menuitemcheckbox], [role=menuitem]", "model")
        if item.text == "model"
    ]
    exact[0].click()
    page.see("batchnorm", "plain")
    page.wait(lambda: "Group by: model" in page.text, "the grouping")


def test_the_chart_view_lays_the_curves_of_the_runs_over_each_other(page):
    unfold(page)
    page.driver.execute_script(
        "arguments[0].click()",
        page.driver.find_element("css selector", "input[type=radio][value=CHART]"),
    )
    box = page.wait(lambda: page.shown("input[placeholder*='metric charts']"), "the charts")[0]
    box.send_keys("train_accuracy")
    for model in ("batchnorm", "plain"):
        page.see(f"{model} weight_std=0.05 seed=0 (train_accuracy)")


def test_the_page_of_a_sweep_has_its_note_and_its_figures(page, ids):
    sweep = ids["sweep of weight_std, model"]
    page.open(f"{page.server}/#/experiments/1/runs/{sweep}")
    page.see("batchnorm learns at", "Claim: the result", "runs_total")
    see_figure(page, sweep, "curves.png")


def test_the_page_of_a_run_names_its_data_and_has_its_figures(page, ids):
    run = ids["batchnorm weight_std=0.05 seed=0"]
    page.open(f"{page.server}/#/experiments/1/runs/{run}")
    page.see("digits", "Parent run", "final_train_accuracy", "optimizer.lr")
    see_figure(page, run, "learning_curves.png")


def see_figure(page, run, name):
    page.open(f"{page.server}/#/experiments/1/runs/{run}/artifacts")
    page.see("figures")
    page.click("[role=treeitem], .artifact-view li, li, span", "figures")
    page.see(name)
    page.click("[role=treeitem], .artifact-view li, li, span", name)
    look = "return [...document.images].filter(i => i.naturalWidth > 400).length"
    page.wait(lambda: page.driver.execute_script(look), f"the picture {name}")
