"""The two figures of a run, and how they are drawn fast: what is the same from run to run once."""

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from made_up import result
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from PIL import Image

from bnsweep import figures
from bnsweep.records.colors import model_color
from bnsweep.report.figures import single_run
from bnsweep.report.figures.saving import save
from bnsweep.run.execute import histograms

NORMAL = np.random.default_rng(0).standard_normal(2000)
OF_MODELS = {"#0072B2", "#D55E00", "#009E73"}


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text().strip()]


def layers(before, after, **kwargs):
    """Return the result of a network with one hidden layer, which has these outputs."""
    (first,) = histograms([np.asarray(before, float)])
    return replace(result(outputs=[after], **kwargs), initial_activations=(first,))


def fresh():
    single_run._curves_template.cache_clear()
    single_run._outputs_template.cache_clear()


@pytest.fixture(autouse=True)
def nothing_is_left():
    fresh()
    yield
    fresh()


def drawn(run, folder):
    single_run.draw_run(run, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_training_and_test_curves_have_colours_of_no_model():
    run = result([0.1, 0.5, 0.9], gap=0.25, dataset={"classes": 4})
    figure = figures.learning_curves(run)
    accuracy, loss = figure.axes
    assert (accuracy.get_ylabel(), loss.get_ylabel()) == ("accuracy", "loss (nats)")
    assert accuracy.get_ylim() == (0, 1.03)
    (box,) = figure.legends
    handles = [line.get_color() for line in box.get_lines()]
    colors = dict(zip([text.get_text() for text in box.texts], handles, strict=True))
    assert [*colors] == ["train", "test", "chance: 0.25"]
    assert not OF_MODELS & {*colors.values()}
    by_color = {line.get_color(): [*line.get_ydata()] for line in accuracy.lines[:3]}
    assert by_color[colors["train"]] == [0.1, 0.5, 0.9]
    assert by_color[colors["test"]] == pytest.approx([-0.15, 0.25, 0.65])
    assert by_color[colors["chance: 0.25"]] == [0.25, 0.25]


def test_the_title_names_the_run_and_where_it_diverged():
    run = result([0.1, 0.2, 0.1], status="diverged", weight_std=0.1, seed=3)
    figure = figures.learning_curves(run)
    title = "Learning curves: batchnorm, W = 0.1, seed 3, diverged at epoch 2"
    assert figure.texts[0].get_text() == title
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    ends = sorted(line.get_xydata()[0].tolist() for line in crosses)
    assert ends == [[2, pytest.approx(0)], [2, 0.1]]


def test_the_untrained_networks_loss_does_not_hide_the_others():
    run = result([0.1, 0.5, 0.9])
    figure = figures.learning_curves(
        replace(run, curves={**run.curves, "train_loss": np.array([1e18, 1.0, 1.0])})
    )
    loss = figure.axes[1]
    assert texts(loss) == ["epoch 0 lies above, at 1e18"]
    assert loss.get_ylim()[1] < 100
    assert texts(figures.learning_curves(run).axes[1]) == []


@pytest.mark.parametrize("largest", [1e305, 1.7e308])
def test_a_loss_near_the_largest_number_is_drawn(tmp_path, largest):
    run = result([0.1, 0.1, 0.1])
    losses = {f"{kind}_loss": np.array([1.0, largest, largest]) for kind in ("train", "test")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = drawn(replace(run, curves={**run.curves, **losses}), tmp_path)
    assert "learning_curves.png" in files


def test_a_layer_is_told_in_words_and_numbers_before_and_after():
    half, few = np.r_[np.zeros(1000), NORMAL[:1000] ** 2], np.maximum(NORMAL, 0) / 100
    (axes,) = figures.activation_distributions(layers(half, few)).axes
    verdict, std_head, zero_head, std, zero = texts(axes)
    assert verdict == "healthy → collapsed"
    assert (std_head, zero_head) == ("std", "at zero")
    assert [float(number) for number in std.split(" → ")] == pytest.approx(
        [half.std(), few.std()], rel=0.05
    )
    low, high = (float(share.rstrip("%")) for share in zero.split(" → "))
    assert low == pytest.approx(50, abs=15)
    assert high == pytest.approx(50, abs=5)


def test_the_share_at_zero_is_of_rectifiers_alone():
    (axes,) = figures.activation_distributions(
        layers(np.tanh(NORMAL), np.tanh(9 * NORMAL), activation="tanh")
    ).axes
    verdict, *_, std = texts(axes)
    assert verdict == "healthy → saturated"
    assert " → " in std
    assert not any("%" in text for text in texts(axes))


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
        files = drawn(run, tmp_path)
        for draw in (figures.learning_curves, figures.activation_distributions):
            for style in figures.STYLES:
                assert (draw(run, style=style) is None) == (not accuracies)
    assert sorted(files) == (["activations.png", "learning_curves.png"] if accuracies else [])
    assert all(content.startswith(b"\x89PNG") for content in files.values())


def test_a_run_leaves_nothing_in_the_figures_of_the_next(tmp_path):
    fine = layers(np.abs(NORMAL), np.abs(NORMAL), seed=1)
    broken = layers(np.abs(NORMAL), NORMAL * 0, model="plain", seed=2, accuracies=(0.1, 0.3, 0.2))
    losses = {"train_loss": np.array([1e18, 1.0, np.nan])}
    broken = replace(broken, status="diverged", curves={**broken.curves, **losses})
    alone = {}
    for name, run in (("fine", fine), ("broken", broken)):
        fresh()
        alone[name] = drawn(run, tmp_path / name)
    assert alone["fine"]["activations.png"] != alone["broken"]["activations.png"]
    fresh()
    drawn(broken, tmp_path / "before")
    assert drawn(fine, tmp_path / "second") == alone["fine"]
    assert drawn(broken, tmp_path / "third") == alone["broken"]
    assert single_run._curves_template.cache_info().misses == 1
    assert single_run._outputs_template.cache_info().misses == 1


def test_a_figure_that_was_returned_is_not_changed_by_the_next_run():
    first = figures.learning_curves(result([0.1, 0.5, 0.9]))
    figures.learning_curves(result([0.1, 0.2, 0.3]))
    assert max(first.axes[0].lines[0].get_ydata()) == 0.9


def test_saving_a_figure_leaves_one_whole_png(tmp_path):
    save(figures.learning_curves(result()), tmp_path / "figures", "curves", ["png"])
    (written,) = (tmp_path / "figures").iterdir()
    assert written.name == "curves.png"
    assert written.read_bytes().startswith(b"\x89PNG")
    assert written.read_bytes().rstrip().endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("model", ["batchnorm", "dropout", "mine", "yours", "theirs"])
def test_a_runs_file_has_the_colour_of_its_model(model, tmp_path):
    single_run.draw_run(layers(NORMAL, 2 * NORMAL, model=model), tmp_path)
    with Image.open(tmp_path / "activations.png") as image:
        colors = np.array([color for _, color in image.convert("RGB").getcolors()])
    wanted = 255 * np.array(to_rgb(model_color(model)))
    assert np.abs(colors - wanted).max(axis=1).min() < 1


def test_the_title_of_a_run_has_its_size_whatever_the_users_own_settings():
    with rc_context({"font.size": 40.0}):
        theirs = figures.learning_curves(result()).texts[0].get_fontsize()
    assert theirs == figures.learning_curves(result()).texts[0].get_fontsize() < 14
