"""The MLflow UI as a person uses it: a real browser on a real sweep."""

import json
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

import bnsweep
from bnsweep.data.datasets import digits

PATIENCE = 120  # seconds: a loaded machine draws a page slowly
QUERY = ' and metrics.final_train_accuracy > 0.9 and params.model = "batchnorm"'
SCALES = ("1", "0.05", "0.00001")
NAMES = [
    f"{model} weight_std={scale} seed=0"
    for scale in ("1", "0.05", "1e-5")
    for model in ("batchnorm", "plain")
]
OTHER = ("weight_std=he,xavier", "model=batchnorm", "training.epochs=2")
# What the charts of the page draw, beside their titles.
CHARTS = """
return [...document.querySelectorAll('.js-plotly-plot')].map(chart => ({
  type: chart.data[0].type,
  range: chart.layout.yaxis && chart.layout.yaxis.range,
  names: chart.data.map(trace => trace.name),
  colors: chart.data.map(trace => trace.marker && trace.marker.color),
  x: chart.layout.xaxis && chart.layout.xaxis.title && chart.layout.xaxis.title.text,
}))
"""
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

ENTER, END = "\ue007", "\ue010"


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
        """Open the table of runs at the address in the sweep's last line, and wait for them."""
        self.open(self.start.replace("&compareRunsMode=CHART", ""))
        self.see("6 matching runs")

    def charts(self, fits, what):
        """Return those charts of the page that fit."""
        return self.wait(
            lambda: [chart for chart in self.driver.execute_script(CHARTS) if fits(chart)], what
        )

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
    """What a sweep printed; another one in the same experiment came before it."""
    before = module_shell("-m", *OTHER)
    assert before.returncode == 0, before.stderr
    done = module_shell("-m", f"weight_std={','.join(SCALES)}", "tracking.tags={course: ml}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def single(module_shell, sweep):
    """What a run by itself printed, which has its network in MLflow."""
    note = "A note of my own."
    done = module_shell(
        "tracking.model=true", "weight_std=1", "model=plain", f"tracking.note={note}"
    )
    assert done.returncode == 0, done.stderr
    finished = module_shell("tracking.model=true", "training.epochs=2")
    assert finished.returncode == 0, finished.stderr
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


def test_the_printed_address_opens_the_sweep_as_model_training(page):
    page.open(page.start)
    page.see("Accuracy over the epochs", "6 matching runs", "Model registry")
    assert "Evaluation runs" not in page.text  # in the menu of the other kind


def test_the_charts_hold_the_accuracies_of_all_runs_in_the_colours_of_their_models(
    page, module_shell
):
    page.open(page.start)
    page.see("train_accuracy", "test_accuracy")
    charts = page.charts(lambda chart: set(NAMES) <= set(chart["names"]), "curves of all runs")
    tags = {
        run.info.run_name: run.data.tags["mlflow.runColor"]
        for run in module_shell.runs()
        if "mlflow.parentRunId" in run.data.tags
    }
    for chart in charts:
        assert chart["range"] == [0, 1]
        drawn = {*zip(chart["names"], chart["colors"], strict=True)}
        assert {(name, tags[name].lower()) for name in NAMES} <= {
            (name, str(color).lower()) for name, color in drawn
        }
    assert len({tags[name] for name in NAMES}) == len(NAMES)


def test_final_accuracies_stand_against_the_logarithm_of_the_scale(page):
    page.open(page.start)
    page.see("Final accuracy")
    page.driver.set_window_size(1700, 2600)
    try:
        found = page.charts(lambda chart: chart["x"] == "log10_weight_std", "the logarithm")
        page.see("Parallel Coordinates")
    finally:
        page.driver.set_window_size(1700, 1100)
    assert {chart["type"] for chart in found} == {"scatter"}


def test_other_final_metrics_are_bars(page):
    page.open(page.start)
    page.driver.set_window_size(1700, 2600)
    try:
        page.click("[role=button], .ant-collapse-header, button", "Model metrics")
        assert page.charts(lambda chart: chart["type"] == "bar", "bars")
    finally:
        page.driver.set_window_size(1700, 1100)


def test_the_table_holds_the_runs_of_the_sweep_alone_sorted_by_scale(page):
    page.runs()
    names = page.wait(
        lambda: len(found := page.column("attributes.`Run Name`")) == 6 and found, "6 runs"
    )
    assert set(names) == set(NAMES)
    assert page.column("metrics.`weight_std`") == ["1", "1", "0.05", "0.05", "0.00001", "0.00001"]
    assert set(page.column("params.`model`")) == {"batchnorm", "plain"}


def test_a_run_that_diverged_says_so_and_accuracies_are_short(page):
    page.runs()
    names = page.wait(lambda: page.column("attributes.`Run Name`"), "the runs")
    statuses = dict(zip(names, page.column("tags.`bnsweep.status`"), strict=True))
    assert [name for name, status in statuses.items() if status == "diverged"] == [
        "plain weight_std=1 seed=0"
    ]
    for column in ("final_train_accuracy", "final_test_accuracy"):
        values = page.column(f"metrics.`{column}`")
        assert all(0 <= float(value) <= 1 and len(value) <= 7 for value in values)


def test_runs_are_found_by_a_metric_and_a_parameter_within_their_sweep(page):
    page.runs()
    box = page.wait(lambda: page.shown("input[placeholder*='metrics.']"), "the search box")[0]
    box.send_keys(END, QUERY, ENTER)
    page.see("1 matching run")
    assert page.column("attributes.`Run Name`") == ["batchnorm weight_std=0.05 seed=0"]


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


def test_the_page_of_a_sweep_tells_it_by_itself(page, ids):
    sweep = ids["digits, 3 scales x 2 models"]
    page.open(f"{page.server}/#/experiments/1/runs/{sweep}?workflowType=machine_learning")
    page.see("batchnorm learns at", "runs_total", "1, 0.05, 1e-05", "digits (", "course", "ml")
    page.see("Show more")
    # What is seen without a click: the answer, and no line printed over another one.
    answer = page.shown("p", "batchnorm learns at")[0]
    assert (
        answer.location["y"] + answer.size["height"]
        <= page.shown("button", "Show more")[0].location["y"]
    )
    heading = page.shown("h4, span, div", "Description")[-1]
    assert answer.location["y"] - heading.location["y"] < 60
    see_figure(page, sweep, "curves.png")
    for name in ("results.csv", "summary.md", "report.html", "multirun.yaml", "sweep.json"):
        page.see(name)


def test_the_page_of_a_run_names_its_data_and_has_its_figures(page, ids):
    run = ids["batchnorm weight_std=0.05 seed=0"]
    page.open(f"{page.server}/#/experiments/1/runs/{run}")
    page.see("digits", "Parent run", "final_train_accuracy", "optimizer.lr")
    see_figure(page, run, "learning_curves.png")


def test_the_printed_address_of_a_run_opens_its_page(page, single):
    printed = re.search(r"and open (http\S+)", single)[1]
    page.open(printed.replace("http://127.0.0.1:5000", page.server))
    page.see(
        "plain weight_std=1 seed=0", "Model training", "Diverged in epoch 1", "A note of my own."
    )
    page.see("final_train_accuracy")
    assert "train_loss" not in page.text  # there is only that of the untrained network


def test_a_network_is_among_the_models_and_answers(page, single, module_shell, tmp_path):
    del single
    page.open(f"{page.server}/#/experiments/1/models?workflowType=machine_learning")
    page.see("model", "Ready")
    runs = [run for run in module_shell.runs() if run.outputs and run.outputs.model_outputs]
    assert len(runs) == 1  # a network that diverged is none
    samples = tmp_path / "samples.json"
    samples.write_text(json.dumps({"inputs": digits().x_test[:5].tolist()}))
    uri = f"runs:/{runs[0].info.run_id}/model"
    command = [sys.executable, "-m", "mlflow", "models", "predict", "--env-manager", "local"]
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{module_shell.folder}/outputs/mlflow.db"}
    done = subprocess.run(
        [*command, "-m", uri, "-i", str(samples)],
        env=module_shell.environment | store,
        cwd=module_shell.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    network = bnsweep.load_network(run_folder(module_shell, runs[0]))
    assert json.loads(done.stdout) == {"predictions": network.predict(digits().x_test[:5]).tolist()}


def run_folder(shell, run):
    return shell.folder / run.data.tags["bnsweep.folder"]


def see_figure(page, run, name):
    page.open(f"{page.server}/#/experiments/1/runs/{run}/artifacts")
    page.see("figures")
    page.click("[role=treeitem], .artifact-view li, li, span", "figures")
    page.see(name)
    page.click("[role=treeitem], .artifact-view li, li, span", name)
    look = "return [...document.images].filter(i => i.naturalWidth > 400).length"
    page.wait(lambda: page.driver.execute_script(look), f"the picture {name}")
