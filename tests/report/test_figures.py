import itertools
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from made_up import result, sweep, with_result

from bnsweep.errors import UserError
from bnsweep.report import output
from bnsweep.report.figures import activation_grid, over_epochs, over_values, single_run
from bnsweep.report.figures.rendering import save
from bnsweep.report.figures.sheet import DASHES
from bnsweep.report.findings import Findings
from bnsweep.report.sections import FIGURES

NORMAL = np.random.default_rng(0).standard_normal(2000)
SCALES = [10.0 ** (-4 * k / 15) for k in range(16)]
MODELS = ["batchnorm", "plain"]


@pytest.fixture
def sheet(monkeypatch):
    """Return a function that draws a figure's sheet, with texts and lines to read."""
    for module in (single_run, over_epochs, over_values, activation_grid):
        monkeypatch.setattr(module, "render", lambda sheet: sheet)
    return lambda name, runs: FIGURES[name].draw(runs)


def texts(sheet):
    return [text.text for text in sheet.texts]


def titles(sheet, start):
    return [text for text in texts(sheet) if text.startswith(start)]


def marks(sheet):
    """Return how many points are crossed out, with two strokes each in the top layer."""
    return sum(line.layer == 4 for line in sheet.lines) // 2


def test_curves_have_a_panel_for_each_scale_from_the_largest(sheet):
    page = sheet("curves", sweep(weight_std=SCALES, model=MODELS))
    panels = titles(page, "W = ")
    assert len(panels) == 16
    assert panels[:2] + panels[-1:] == ["W = 1", "W = 0.541", "W = 0.0001"]
    assert "batchnorm" in texts(page)
    assert "plain" in texts(page)


def test_batch_normalization_is_solid_and_its_absence_dashed(sheet):
    runs = sweep(
        lambda run: (0.1, 0.2) if run.model == "plain" else (0.1, 0.3, 0.4),
        weight_std=SCALES,
        model=["plain", "batchnorm"],
    )
    curves = [line for line in sheet("curves", runs).lines if line.layer == 2]
    dashes = {len(line.points): set() for line in curves}
    for line in curves[2:]:  # after those of the legend
        dashes[len(line.points)].add(line.stroke.dash)
    assert dashes[3] == {DASHES[0]}
    assert dashes[2] == {DASHES[1]}


def test_a_diverged_run_is_drawn_to_where_it_ended_with_a_mark(sheet):
    runs = sweep(weight_std=[1, 0.1, 0.01])
    assert marks(sheet("curves", runs)) == 0
    runs[0] = with_result(runs[0], result([0.1, 0.2], status="diverged"))
    page = sheet("curves", runs)
    assert marks(page) == 1
    assert any("x: diverged" in text for text in texts(page))
    ends = [line.points[:, 0].max() for line in page.lines if line.layer == 2]
    widths = [line.points[:, 0].min() for line in page.lines if line.layer == 2]
    assert ends[0] - widths[0] == pytest.approx((ends[1] - widths[1]) / 2)


def diverging(number_of_seeds):
    """Return a sweep of three seeds; this many diverge at the largest scale."""
    return sweep(
        fields=lambda run: (
            {"status": "diverged"} if run.weight_std == 1 and run.seed < number_of_seeds else {}
        ),
        weight_std=[1, 0.1, 0.01],
        model=["plain"],
        seed=[0, 1, 2],
    )


@pytest.mark.parametrize(("diverged", "note"), [(1, "1 of 3 diverged"), (3, "3 of 3 diverged")])
def test_curves_say_how_many_of_how_many_runs_diverged(sheet, diverged, note):
    assert texts(sheet("curves", diverging(diverged))).count(note) == 1
    assert not any("of 3 diverged" in text for text in texts(sheet("curves", diverging(0))))


def test_final_accuracies_distinguish_one_diverged_seed_from_all(sheet):
    one, all_three = (sheet("final_accuracy", diverging(number)) for number in (1, 3))
    assert texts(one).count("1/3") == 2
    assert marks(one) == 0
    assert marks(all_three) == 2


def test_seeds_become_a_band(sheet):
    def accuracies(run):
        return (0.1, 0.3 + 0.1 * run.seed)

    assert not sheet("curves", sweep(accuracies, weight_std=[1, 0.1], seed=[0])).areas
    page = sheet("curves", sweep(accuracies, weight_std=[1, 0.1], seed=[0, 1, 2]))
    assert len(page.areas) == 2
    assert any("mean of 3 seeds, band: their range" in text for text in texts(page))


def test_a_panel_without_a_result_says_so(sheet):
    runs = sweep(weight_std=[1, 0.1])
    runs[0] = with_result(runs[0], result((), status="failed"))
    page = sheet("curves", runs)
    assert texts(page).count("no result") == 1
    assert any("1 of 2 runs did not end" in text for text in texts(page))


def test_names_and_numbers_share_an_axis(sheet):
    page = sheet("final_accuracy", sweep(weight_std=["he", "xavier", 0.01], model=MODELS))
    labels = [text for text in texts(page) if text in ("0.01", "he", "xavier")]
    assert labels == ["0.01", "he", "xavier"] * 2


def test_scales_over_decades_have_a_logarithmic_axis(sheet):
    page = sheet("final_accuracy", sweep(weight_std=SCALES, model=MODELS))
    places = [text.x for text in page.texts if text.text in ("0.0001", "0.01")]
    middle = next(text.x for text in page.texts if text.text == "0.001")
    assert sum(places[:2]) / 2 == pytest.approx(middle)


def test_a_network_that_never_reaches_the_target_is_marked_at_the_edge(sheet):
    def accuracies(run):
        return (0.1, 0.2, 0.95) if run.optimizer__lr == 0.1 else (0.1, 0.2, 0.3)

    page = sheet("epochs_to_target", sweep(accuracies, optimizer__lr=[0.001, 0.1, 1.0]))
    never = next(text.y for text in page.texts if text.text == "never")
    centres = [area.points[:, 1].mean() for area in page.areas]
    assert sum(centre == pytest.approx(never) for centre in centres) == 2
    assert any("Never: not within 2 epochs" in text for text in texts(page))


def test_gaps_have_a_panel_for_each_combination(sheet):
    page = sheet("generalization_gap", sweep(model=MODELS, model__dropout=[0, 0.5], seed=[0, 1]))
    for label in ("batchnorm, dropout 0", "plain, dropout 0.5"):
        assert texts(page).count(label) == 2  # its panel, and the legend of the gaps


def test_layers_that_are_not_healthy_are_named(sheet):
    def fields(run):
        scale = 1.0 if run.model == "batchnorm" else run.weight_std
        return {"outputs": [np.maximum(NORMAL, 0), np.maximum(NORMAL, 0) * scale]}

    page = sheet("activations", sweep(fields=fields, weight_std=[1.0, 1e-3], model=MODELS))
    assert texts(page).count("collapsed") == 1
    page = sheet(
        "activations",
        sweep(
            fields=lambda _: {"outputs": [np.tanh(9 * NORMAL)]},
            model__activation=["tanh", "relu"],
        ),
    )
    assert texts(page).count("saturated") == 1


def outputs(_):
    return {"outputs": [np.maximum(NORMAL, 0)] * 3}


SWEEPS = {
    "one run": {},
    "seeds": {"seed": [0, 1, 2]},
    "one scale": {"weight_std": [0.1], "model": MODELS},
    "two panels": {"weight_std": [1, 0.1], "model": MODELS},
    "64 panels": {"weight_std": [0.9**k for k in range(64)], "model": MODELS},
    "three keys": {"weight_std": [1, 0.1], "optimizer": ["sgd", "adam"], "model": MODELS},
    "four keys": {
        "weight_std": [1, 0.1],
        "optimizer": ["sgd", "adam"],
        "model": [*MODELS, "dropout"],
        "model__norm_position": ["before", "after"],
        "seed": [0, 1],
    },
    "names": {"model__norm_position": ["before", "after"]},
    "mixed": {"weight_std": ["he", "xavier", 0.01]},
    "switch": {"model__batch_norm": [True, False], "optimizer__lr": [0.1, 1, 10]},
    "not in the font": {"optimizer": ["最適化", "sgd"], "weight_std": [1, 0.1]},
    "from zero": {"model__dropout": [0, 0.25, 0.5], "model": MODELS},
    "1024 runs": {"weight_std": [0.99**k for k in range(64)], "optimizer__lr": [*range(1, 17)]},
}


@pytest.mark.parametrize("grid", SWEEPS.values(), ids=SWEEPS.keys())
def test_every_figure_draws_every_sweep(grid, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = sweep(fields=outputs, **grid)
        for name in FIGURES:
            figure = FIGURES[name].draw(runs)
            if figure is None:
                assert not grid.keys() - {"seed"}, name
                continue
            width, height = figure.get_size_inches()
            assert 5 < width < 14
            assert 2 < height < 30
            save(figure, tmp_path / f"{name}.png")


@pytest.mark.parametrize(
    ("status", "accuracies"),
    [
        *itertools.product(("failed", "killed"), [(), (0.1,), (0.1, 0.2, 0.9)]),
        *itertools.product(("finished", "diverged"), [(0.1,), (0.1, 0.2, 0.9)]),
    ],
)
def test_the_figures_of_a_run_draw_every_outcome(status, accuracies, tmp_path):
    run = result(accuracies, status=status, outputs=[NORMAL, [np.nan]] if accuracies else [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for drawn in (single_run.learning_curves(run), single_run.activation_distributions(run)):
            save(drawn, tmp_path / "figures" / "figure.png")


@pytest.mark.usefixtures("sheet")
def test_learning_curves_say_where_a_run_diverged():
    page = single_run.learning_curves(result([0.1, 0.2, 0.1], status="diverged"))
    assert any("Diverged at epoch 2" in text for text in texts(page))
    assert marks(page) == 2


@pytest.mark.usefixtures("sheet")
def test_the_untrained_networks_loss_does_not_hide_the_others():
    run = result([0.1, 0.5, 0.9])
    curves = {**run.curves, "train_loss": np.array([1e18, 1.0, 1.0])}
    page = single_run.learning_curves(replace(run, curves=curves))
    assert "epoch 0 lies above, at 1e18" in texts(page)


@pytest.mark.usefixtures("sheet")
def test_the_zeros_of_a_relu_are_counted():
    page = single_run.activation_distributions(
        result(outputs=[np.r_[np.zeros(300), np.arange(100)]])
    )
    assert "at zero 75% to 75%" in texts(page)


def test_saving_a_figure_leaves_one_whole_png(tmp_path):
    save(single_run.learning_curves(result()), tmp_path / "figures" / "curves.png")
    (written,) = (tmp_path / "figures").iterdir()
    assert written.read_bytes().startswith(b"\x89PNG")
    assert written.read_bytes().rstrip().endswith(b"IEND\xaeB`\x82")


OWN_FIGURE = """
from matplotlib.figure import Figure

from bnsweep.report.sections import SweepFigure


def dots(runs):
    figure = Figure()
    figure.subplots().plot([run.result.last("test_accuracy") for run in runs], "o")
    return figure


counted = SweepFigure("How many", draw=dots, section=lambda runs: [f"They are {len(runs)}."])
"""


def test_a_users_own_figure_is_drawn_by_its_dotted_path(tmp_path, monkeypatch):
    (tmp_path / "own_figures.py").write_text(OWN_FIGURE)
    monkeypatch.syspath_prepend(tmp_path)
    names = ["own_figures.dots", "own_figures.counted"]
    report = output.write_report(Findings(sweep(weight_std=[1, 0.1])), tmp_path, names)
    assert [path.name for path in report.figures] == ["dots.png", "counted.png"]
    assert "## How many (figures/counted.png)\n\nThey are 2." in report.summary
    for name in ("own_figures.lines", "no_such_module.dots", "own_figures.Figure.__doc__"):
        with pytest.raises(UserError, match=f"report.figures: {name}"):
            output.check_figures([name])


def test_two_figures_that_would_share_a_file_are_refused():
    with pytest.raises(UserError, match=r"more than one would be written to curves\.png"):
        output.check_figures(["curves", "final_accuracy", "curves"])


def test_drawing_does_not_import_pyplot():
    code = (
        "import sys, bnsweep.report.figures.over_epochs\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
