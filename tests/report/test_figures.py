"""The figures of a sweep, read from what they draw: axes, lines, texts; never from pixels."""

import colorsys
import re
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from made_up import result, sweep, with_result
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import StepPatch

from bnsweep import figures
from bnsweep.report.figures.saving import save
from bnsweep.report.sections import FIGURES

NORMAL = np.random.default_rng(0).standard_normal(2000)
COLORS = {"batchnorm": "#0072B2", "plain": "#D55E00", "dropout": "#009E73"}
TRAIN_AND_TEST = ["#222222", "#AA4499"]
CHANCE, GRID = "#8C8C8C", "#E3E3E3"
MODELS = [*COLORS]
PAIR = MODELS[:2]
SCALES = [1, 0.1, 0.01, 0.001]
RATES = [0.01, 0.1, 1, 10, 100]


def titles(figure):
    return [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes]


def panels(figure):
    return dict(zip(titles(figure), figure.axes, strict=True))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def legend(figure):
    """Return the handle of each entry of the legend, by its text."""
    named = {
        text.get_text(): handle
        for box in figure.legends
        for text, handle in zip(box.texts, box.get_lines(), strict=True)
    }
    return {text: handle for text, handle in named.items() if text.strip()}


def lines(axes):
    """Return what is drawn of the data: no crosses, no line at chance, none between names."""
    helping = (CHANCE, GRID)
    return [x for x in axes.lines if x.get_marker() != "x" and x.get_color() not in helping]


def crosses(axes):
    return [line.get_xydata()[-1].tolist() for line in axes.lines if line.get_marker() == "x"]


def at_chance(axes):
    return [line for line in axes.lines if line.get_color() == CHANCE]


def ends(axes):
    """Return the colour and dashes of each line, by the value at which it ends."""
    return {
        round(float(line.get_ydata()[-1]), 3): (line.get_color(), line.get_linestyle())
        for line in lines(axes)
    }


def of_kind(axes, kind):
    return [drawn for drawn in axes.collections if isinstance(drawn, kind)]


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def rows_of_panels(figure):
    """Return how many panels stand side by side in each row, from the top."""
    tops = Counter(round(axes.get_position().y1, 3) for axes in figure.axes)
    return [tops[top] for top in sorted(tops, reverse=True)]


COURSES = {
    "batchnorm": (0.1, 0.95, 0.96, 0.96),
    "plain": (0.1, 0.2, 0.92, 0.92),
    "dropout": (0.1, 0.2, 0.3, 0.91),
}


@pytest.mark.parametrize("seeds", [{}, {"seed": range(8)}], ids=["one seed", "eight seeds"])
@pytest.mark.parametrize(
    ("name", "grid", "values"),
    [
        ("curves", {}, (0.96, 0.92, 0.91)),
        ("curves", {"weight_std": SCALES}, (0.96, 0.92, 0.91)),
        ("final_accuracy", {"weight_std": SCALES}, (0.96, 0.92, 0.91)),
        ("epochs_to_target", {"weight_std": SCALES}, (1, 2, 3)),
        ("generalization_gap", {}, (0.01, 0.02, 0.03)),
    ],
)
def test_a_model_has_its_colour_and_dashes_in_every_figure(name, grid, values, seeds):
    def fields(run):
        return {"gap": 0.01 + 0.01 * MODELS.index(run.model)}

    runs = sweep(lambda run: COURSES[run.model], fields=fields, model=MODELS, **grid, **seeds)
    figure = FIGURES[name].draw(runs)
    looks = dict(zip(MODELS, zip(COLORS.values(), ["-", "--", "--"], strict=True), strict=True))
    assert ends(figure.axes[-1 if name == "generalization_gap" else 0]) == dict(
        zip(values, looks.values(), strict=True)
    )
    entries = legend(figure)
    assert {n: (entries[n].get_color(), entries[n].get_linestyle()) for n in MODELS} == looks


def test_training_and_test_samples_have_solid_lines_in_colours_of_no_model():
    *accuracies, _ = figures.generalization_gap(sweep(model=MODELS, seed=[0, 1])).axes
    assert len(accuracies) == 3
    for axes in accuracies:
        assert set(ends(axes).values()) == {(color, "-") for color in TRAIN_AND_TEST}


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_where_models_alone_are_compared_each_has_its_colour(seeds):
    def fields(_):
        return {"outputs": [np.maximum(NORMAL, 0)]}

    runs = sweep(fields=fields, model=MODELS, seed=seeds)
    for name in ("final_accuracy", "epochs_to_target"):
        axes = FIGURES[name].draw(runs).axes[0]
        assert ticks(axes.yaxis) == MODELS
        dots = sorted(lines(axes), key=lambda dot: dot.get_ydata()[0])
        assert [dot.get_color() for dot in dots] == [*COLORS.values()]
        filled = [dot.get_markerfacecolor() == dot.get_color() for dot in dots]
        assert filled == [True, False, False]
    for model, axes in zip(MODELS, figures.activations(runs).axes, strict=True):
        _, after = (patch for patch in axes.patches if isinstance(patch, StepPatch))
        assert same_color(after.get_edgecolor(), COLORS[model])


def at_most_forty_percent(classes):
    return {
        "accuracies": lambda _: (0.05, 0.4),
        "fields": lambda run: {"dataset": {"classes": classes(run)}},
        "model": PAIR,
        "weight_std": SCALES,
    }


@pytest.mark.parametrize("name", ["curves", "final_accuracy", "generalization_gap"])
def test_a_named_line_lies_at_chance(name):
    def lines_at_chance(classes):
        figure = FIGURES[name].draw(sweep(**at_most_forty_percent(classes)))
        named = [text for text in legend(figure) if text.startswith("chance")]
        return named, [[*map(float, line.get_ydata())] for line in at_chance(figure.axes[0])]

    assert lines_at_chance(lambda _: 4) == (["chance: 0.25"], [[0.25, 0.25]])
    assert lines_at_chance(lambda run: 4 if run.weight_std == 1 else 5) == ([], [])
    assert lines_at_chance(lambda _: None) == ([], [])


def test_no_chance_is_drawn_where_no_accuracy_is():
    runs = sweep(**at_most_forty_percent(lambda _: 4))
    drawn = [figures.generalization_gap(runs).axes[-1], *figures.epochs_to_target(runs).axes]
    drawn += figures.curves(runs, quantity="gap").axes
    assert not any(at_chance(axes) for axes in drawn)


def test_an_accuracy_of_one_lies_inside_its_axis_and_every_axis_is_named():
    runs = sweep(model=PAIR, weight_std=SCALES)
    for axes in figures.curves(runs).axes:
        assert axes.get_ylim() == (0, 1.03)
        assert axes.get_ylabel() == "training accuracy"
    for axes in figures.final_accuracy(runs).axes:
        assert axes.get_ylim()[1] == 1.03
        assert axes.get_xlabel() == "weight scale W"
    names = [axes.get_ylabel() for axes in figures.final_accuracy(runs).axes]
    assert names == ["training accuracy", "test accuracy"]
    *_, gap = figures.generalization_gap(runs).axes
    assert (gap.get_xlabel(), gap.get_ylabel()) == ("epoch", "generalisation gap")


def test_curves_have_a_panel_for_each_scale_from_the_largest():
    scales = [10.0 ** (-4 * k / 15) for k in range(16)]
    named = titles(figures.curves(sweep(weight_std=scales, model=PAIR)))
    assert len(named) == 16
    assert named[:2] + named[-1:] == ["W = 1", "W = 0.541", "W = 0.0001"]


def test_seeds_become_a_band_from_the_lowest_to_the_highest():
    def accuracies(run):
        return (0.4, 0.3 + 0.1 * run.seed)

    one = figures.curves(sweep(accuracies, weight_std=SCALES, seed=[0]))
    assert not any(axes.collections for axes in one.axes)
    assert "seeds" not in one.get_label()
    three = figures.curves(sweep(accuracies, weight_std=SCALES, seed=[0, 1, 2]))
    (band,) = of_kind(three.axes[0], PolyCollection)
    assert band.get_paths()[0].get_extents().get_points() == pytest.approx(
        np.array([[0, 0.3], [1, 0.5]])
    )
    assert "Line: mean of 3 seeds, band: their range" in three.get_label()


def diverging(number, courses=((0.1, 0.2), (0.1, 0.5, 0.95)), scales=SCALES):
    """Return a sweep of three seeds; this many of the runs at W = 1 diverge."""

    def breaks(run):
        return run.weight_std == 1 and run.seed < number

    return sweep(
        lambda run: courses[0] if breaks(run) else courses[1],
        fields=lambda run: {"status": "diverged"} if breaks(run) else {},
        weight_std=scales,
        model=["plain"],
        seed=[0, 1, 2],
    )


@pytest.mark.parametrize(("number", "notes"), [(1, ["1 of 3 diverged"]), (3, ["3 of 3 diverged"])])
def test_curves_say_how_many_of_how_many_runs_diverged_and_where(number, notes):
    figure = figures.curves(diverging(number))
    first, *others = figure.axes
    assert texts(first) == notes
    assert crosses(first) == [[1, 0.2]]
    assert not any(texts(axes) or crosses(axes) for axes in others)
    assert "x: a run diverged" in figure.get_label()
    assert "x:" not in figures.curves(diverging(0)).get_label()


def test_a_diverged_run_counts_with_its_last_value_from_there_on():
    (mean,) = lines(figures.curves(diverging(1)).axes[0])
    assert mean.get_ydata() == pytest.approx([0.1, 0.4, 0.7])


@pytest.mark.parametrize("name", ["final_accuracy", "epochs_to_target"])
@pytest.mark.parametrize("scales", [SCALES, SCALES[:2]], ids=["lines", "dots"])
def test_only_a_place_where_all_runs_diverged_is_crossed_out(name, scales):
    def marks(number):
        figure = FIGURES[name].draw(diverging(number, scales=scales))
        told = [text for text in texts(figure.axes[0]) if re.search(r"\b\d/3", text)]
        return len(crosses(figure.axes[0])), [text[-3:] for text in told]

    assert marks(0) == (0, [])
    assert marks(1) == (0, ["1/3"])
    assert marks(3) in [(1, []), (1, ["3/3"])]


def test_a_panel_without_a_result_says_so():
    runs = sweep(weight_std=[1, 0.1])
    runs[0] = with_result(runs[0], result((), status="failed"))
    figure = figures.curves(runs)
    assert texts(figure.axes[0]) == ["no result"]
    assert "1 of 2 runs did not end and are left out" in figure.get_label()


def fast_and_slow(run):
    fast = run.model == "batchnorm" and run.weight_std > 0.02
    return (0.1, *(0.95 if fast and epoch > run.seed else 0.2 for epoch in range(4)))


def test_speed_has_a_bar_of_its_range_and_what_never_gets_there_stands_apart():
    axes = figures.epochs_to_target(
        sweep(fast_and_slow, weight_std=SCALES, model=PAIR, seed=[0, 1, 2])
    ).axes[0]
    assert not of_kind(axes, PolyCollection)
    bars = of_kind(axes, LineCollection)[0].get_segments()
    assert [bar.tolist() for bar in bars[:2]] == [[[1, 2], [1, 4]], [[0.1, 2], [0.1, 4]]]
    reached, never, plain = lines(axes)
    assert [*reached.get_ydata()] == [3, 3]
    assert [line.get_linestyle() for line in (reached, never, plain)] == ["-", "None", "None"]
    tick = axes.get_yticks()[ticks(axes.yaxis).index("never")]
    top = axes.get_ylim()[1]
    highest = [max(line.get_ydata()) for line in (never, plain)]
    assert 4 < min(highest) < tick < max(highest) < 0.98 * top
    assert highest[0] != highest[1]  # neither covers the other


@pytest.mark.parametrize(("count", "dots"), [(3, True), (4, False)])
def test_a_line_goes_across_four_numbers_but_not_across_three(count, dots):
    axes = figures.final_accuracy(sweep(weight_std=SCALES[:count], model=["plain"])).axes[0]
    assert {line.get_linestyle() for line in lines(axes)} == {"None" if dots else "--"}
    assert len(lines(axes)) == (count if dots else 1)
    assert (ticks(axes.yaxis) == ["1", "0.1", "0.01"]) == dots


def test_names_have_dots_with_intervals_and_their_values():
    def accuracies(run):
        return (0.1, 0.94 + 0.01 * run.seed)

    figure = figures.final_accuracy(sweep(accuracies, weight_std=["he", "xavier"], seed=[0, 1, 2]))
    axes, test = figure.axes
    assert [*ticks(axes.yaxis), *ticks(test.yaxis)] == ["he", "xavier", "", ""]
    assert texts(axes) == ["0.950 ± 0.025"] * 2
    intervals = [bar.get_segments()[0][:, 0] for bar in of_kind(axes, LineCollection)]
    assert np.allclose(intervals, [0.925, 0.975], atol=0.0005)
    low, high = axes.get_xlim()
    assert 0.9 < low < 0.925 < 0.975 < high < 1
    assert axes.get_xlabel() == "training accuracy"


def test_scales_over_decades_have_a_logarithmic_axis():
    axes = figures.final_accuracy(sweep(weight_std=SCALES, model=PAIR)).axes[0]
    assert axes.get_xscale() == "log"
    assert sorted(ticks(axes.xaxis)) == ["0.001", "0.01", "0.1", "1"]


def test_numbers_darken_a_models_colour_in_their_order():
    figure = figures.curves(sweep(model=PAIR, optimizer__lr=[1, 0.01, 0.1], weight_std=SCALES))
    for model in PAIR:
        labels = [f"{model}, learning rate {rate}" for rate in (0.01, 0.1, 1)]
        found = {label: entry.get_color() for label, entry in legend(figure).items()}
        shades = [colorsys.rgb_to_hls(*to_rgb(found[label])) for label in labels]
        hue = colorsys.rgb_to_hls(*to_rgb(COLORS[model]))[0]
        assert [shade[0] for shade in shades] == pytest.approx([hue] * 3, abs=0.02)
        lightness = [shade[1] for shade in shades]
        assert lightness == sorted(lightness, reverse=True)
        assert len({*lightness}) == 3


def test_lines_of_one_number_have_one_shade():
    entries = legend(
        figures.curves(sweep(optimizer=["sgd", "adam"], optimizer__lr=RATES[:3], weight_std=SCALES))
    )
    shades = [
        {entries[f"{name}, learning rate {rate}"].get_color() for name in ("sgd", "adam")}
        for rate in RATES[:3]
    ]
    assert [len(of_rate) for of_rate in shades] == [1, 1, 1]
    assert len(set.union(*shades)) == 3
    assert len({entry.get_marker() for entry in entries.values()}) == 6


@pytest.mark.parametrize(("style", "count"), [("screen", 2), ("paper", 4)])
def test_lines_that_differ_in_the_model_alone_stay_together_in_the_legend(style, count):
    runs = sweep(model=PAIR, optimizer__lr=RATES[:count], weight_std=SCALES)
    figure = figures.curves(runs, style=style)
    figure.draw_without_rendering()
    (box,) = figure.legends
    columns = {text.get_text(): round(text.get_window_extent().x0) for text in box.texts}
    for rate in RATES[:count]:
        assert len({columns[f"{model}, learning rate {rate}"] for model in PAIR}) == 1


def test_more_lines_than_eight_go_to_rows_of_panels():
    figure = figures.curves(sweep(model=PAIR, optimizer__lr=RATES, weight_std=SCALES))
    assert titles(figure)[:2] == ["learning rate 0.01, W = 1", "learning rate 0.01, W = 0.1"]
    assert rows_of_panels(figure) == [4] * 5
    assert [*legend(figure)] == PAIR
    assert {len(lines(axes)) for axes in figure.axes} == {2}


def test_what_is_left_out_is_said_with_the_override_that_shows_it():
    rates = [*range(1, 51)]
    figure = figures.curves(sweep(model=PAIR, optimizer__lr=rates, weight_std=SCALES))
    note = r"16 of 50 values of learning rate are shown: optimizer\.lr=([\d,]+),\.\.\. shows others"
    others = re.search(note, figure.get_label())[1].split(",")
    shown = {re.match(r"learning rate (\d+)", title)[1] for title in titles(figure)}
    assert len(shown) == 16
    assert len(others) == 3
    assert not shown & {*others}


@pytest.mark.parametrize(("count", "rows"), [(9, [3, 3, 3]), (5, [3, 2]), (3, [3])])
def test_panels_fill_a_block(count, rows):
    runs = sweep(weight_std=[2.0**-k for k in range(count)], model=PAIR)
    assert rows_of_panels(figures.curves(runs)) == rows


@pytest.mark.parametrize("name", ["curves", "final_accuracy", "epochs_to_target"])
def test_what_an_option_changes_besides_its_name_is_told(name):
    def fields(run):
        return {"optimizer__lr": {"sgd": 0.1, "adam": 0.001}[run.optimizer]}

    runs = sweep(fields=fields, optimizer=["sgd", "adam"], weight_std=SCALES)
    assert "Learning rate: sgd 0.1, adam 0.001" in FIGURES[name].draw(runs).get_label()
    same = sweep(
        fields=lambda _: {"optimizer__lr": 0.1}, optimizer=["sgd", "adam"], weight_std=SCALES
    )
    assert "Learning rate" not in FIGURES[name].draw(same).get_label()


def test_gaps_have_a_panel_for_each_combination():
    figure = figures.generalization_gap(sweep(model=PAIR, model__dropout=[0, 0.5], seed=[0, 1]))
    for label in ("batchnorm, dropout 0", "plain, dropout 0.5"):
        assert label in panels(figure)
        assert label in legend(figure)
    gaps = figure.axes[-1]
    assert sorted(line.get_linestyle() for line in lines(gaps)) == ["-", "-", "--", "--"]


def test_layers_that_are_not_healthy_are_named():
    def fields(run):
        scale = 1.0 if run.model == "batchnorm" else run.weight_std
        return {"outputs": [np.maximum(NORMAL, 0), np.maximum(NORMAL, 0) * scale]}

    figure = figures.activations(sweep(fields=fields, weight_std=[1.0, 1e-3], model=PAIR))
    told = {title: [*filter(None, texts(axes))] for title, axes in panels(figure).items()}
    assert told.pop("plain W = 0.001") == ["collapsed"]
    assert [*told.values()] == [[]] * 3


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_that_has_nothing_to_show_is_not_drawn(name):
    def fields(_):
        return {"outputs": [np.maximum(NORMAL, 0)]}

    failed = [
        with_result(run, result((), status="failed"))
        for run in sweep(weight_std=SCALES, model=PAIR)
    ]
    assert FIGURES[name].draw(failed) is None
    seeds = FIGURES[name].draw(sweep(fields=fields, seed=[0, 1, 2]))
    assert (seeds is None) == (name in AGAINST_A_KEY)
    without_layers = FIGURES[name].draw(sweep(weight_std=SCALES))
    assert (without_layers is None) == (name == "activations")


AGAINST_A_KEY = ("final_accuracy", "final_train_accuracy", "epochs_to_target")
SWEEPS = {
    "one run": {},
    "seeds": {"seed": [0, 1, 2]},
    "one scale": {"weight_std": [0.1], "model": PAIR},
    "two panels": {"weight_std": [1, 0.1], "model": PAIR},
    "three keys": {"weight_std": [1, 0.1], "optimizer": ["sgd", "adam"], "model": PAIR},
    "four keys": {
        "weight_std": [1, 0.1],
        "optimizer": ["sgd", "adam"],
        "model": MODELS,
        "model__norm_position": ["before", "after"],
        "seed": [0, 1],
    },
    "names": {"model__norm_position": ["before", "after"]},
    "mixed": {"weight_std": ["he", "xavier", 0.01]},
    "switch": {"model__batch_norm": [True, False], "optimizer__lr": [0.1, 1, 10]},
    "not in the font": {"optimizer": ["最適化", "sgd"], "weight_std": [1, 0.1]},
    "no formula": {"optimizer": [r"$\no$", "$"], "weight_std": [1, 0.1]},
    "from zero": {"model__dropout": [0, 0.25, 0.5], "model": PAIR},
    "own models": {"model": ["mine", "yours"], "seed": [0, 1]},
    "640 runs": {
        "weight_std": [0.9**k for k in range(64)],
        "optimizer__lr": [*range(1, 6)],
        "model": PAIR,
    },
}
LARGEST = {"screen": (18, 30), "paper": (7, 9), "slides": (13.34, 7.5)}


@pytest.mark.parametrize("grid", SWEEPS.values(), ids=SWEEPS.keys())
def test_every_figure_draws_every_sweep_in_every_style(grid, tmp_path):
    runs = sweep(fields=lambda _: {"outputs": [np.maximum(NORMAL, 0)] * 3}, **grid)
    for style, (widest, highest) in LARGEST.items():
        with warnings.catch_warnings(), figures.applied(style):
            warnings.simplefilter("error")
            for name in FIGURES:
                figure = FIGURES[name].draw(runs)
                if figure is None:
                    assert name in AGAINST_A_KEY
                    assert not grid.keys() - {"seed"}
                    continue
                width, height = figure.get_size_inches()
                assert 3 < width <= widest, (style, name)
                assert 1 < height <= highest, (style, name)
                if style == "screen":
                    save(figure, tmp_path, name, ["png"])


def test_each_style_fits_its_medium():
    runs = sweep(weight_std=SCALES, model=PAIR)
    paper = [figures.curves(runs, style="paper"), figures.epochs_to_target(runs, style="paper")]
    assert [figure.get_size_inches()[0] for figure in paper] == pytest.approx([7.0, 3.4])
    assert [figure.dpi for figure in paper] == [300, 300]
    assert not any(figure.texts for figure in paper)
    assert paper[0].get_label().startswith("Training accuracy over the epochs. digits")
    slide = figures.curves(runs, style="slides")
    assert slide.get_size_inches()[0] == pytest.approx(13.33)
    assert slide.texts[0].get_text() == "Training accuracy over the epochs"
    for draw in (figures.curves, figures.final_accuracy, figures.activations):
        with pytest.raises(ValueError, match="style='poster': must be one of screen, paper"):
            draw(sweep(fields=lambda _: {"outputs": [NORMAL]}, weight_std=[1, 0.1]), style="poster")


def test_drawing_does_not_import_pyplot():
    code = (
        f"import io, sys; sys.path[:0] = {sys.path}\n"
        "from bnsweep import figures; from made_up import sweep\n"
        "figures.curves(sweep(weight_std=[1, 0.1])).savefig(io.BytesIO())\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_seed_among_several_has_no_interval_and_is_counted():
    runs = sweep(lambda run: (0.1, 0.3 + 0.1 * run.seed), weight_std=SCALES, seed=[0, 1])
    fewer = [run for run in runs if run.spec.value("weight_std") != 0.1 or run.spec.seed == 0]
    figure = figures.final_accuracy(fewer)
    assert "mean of 1 to 2 seeds" in figure.get_label()
    (band,) = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    assert {x for path in band.get_paths() for x in path.vertices[:, 0]} == {1, 0.01, 0.001}


def test_what_was_chosen_is_said_with_its_values():
    def with_chosen_rate(run):
        left = {key: run.spec.value(key) for key in ("model", "weight_std")}
        return replace(run.with_swept(left), chosen={"optimizer.lr": 0.5})

    runs = sweep(model=PAIR, weight_std=[1, 0.1], optimizer__lr=[0.5])
    label = figures.curves([with_chosen_rate(run) for run in runs]).get_label()
    assert "Learning rate: chosen for each on the validation samples, out of 0.5" in label


def test_rows_of_panels_never_stand_for_models():
    keys = {"model": PAIR, "model__batch_norm": [True, False], "optimizer__lr": [0.1, 0.2, 0.3]}
    figure = figures.curves(sweep(**keys, weight_std=[1, 0.1, 0.01]))
    assert all("learning rate" in title for title in titles(figure))


def test_a_gap_beside_an_accuracy_has_an_axis_of_its_own():
    runs = sweep(fields=lambda _: {"gap": -0.2}, weight_std=SCALES)
    accuracy, gap = figures.final_accuracy(runs, quantities=("train_accuracy", "gap")).axes
    assert accuracy.get_ylim()[1] == pytest.approx(1.03)
    low, high = gap.get_ylim()
    assert low < -0.2 < 0 < high


@pytest.mark.parametrize("quantity", ["test_loss", "validation_accuracy", "accuracy"])
def test_a_quantity_that_is_no_measured_accuracy_is_refused(quantity):
    runs = sweep(weight_std=[1, 0.1])
    with pytest.raises(ValueError, match=f"quantity {quantity}: was not measured in all runs"):
        figures.curves(runs, quantity=quantity)
    with pytest.raises(ValueError, match=f"quantity {quantity}: was not measured in all runs"):
        figures.final_accuracy(runs, quantities=[quantity])


def test_a_model_of_ones_own_keeps_its_colour_from_figure_to_figure():
    two, three = (
        legend(figures.final_accuracy(sweep(model=models, weight_std=SCALES)))
        for models in (["mine", "plain"], ["batchnorm", "other", "mine"])
    )
    assert two["mine"].get_color() == three["mine"].get_color() != three["other"].get_color()


@pytest.mark.parametrize("values", [[1e300, 1e-300, 1, 0.1], [10**30, 1, 2, 5], [1e308, 1, 0.1, 5]])
def test_any_positive_number_has_its_place(values, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.final_accuracy(sweep(optimizer__lr=values)).savefig(tmp_path / "figure.png")
