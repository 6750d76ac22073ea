import csv
import re
import sys
import warnings
from dataclasses import replace

import pytest
from made_up import result, sweep, with_result
from matplotlib import rc_context, rcParams

from bnsweep.errors import UserError
from bnsweep.report.findings import Findings
from bnsweep.report.markdown import MAX_ROWS, long_table, table
from bnsweep.report.output import MAX_NOTE, ReportOptions, check_choice, write_report
from bnsweep.report.sections import FIGURES, sweep_figures

MODELS = ["batchnorm", "plain"]


def report_of(findings, folder, figures):
    return write_report(findings, folder, ReportOptions(sweep_figures(figures)))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_results_csv_has_a_row_for_each_run_and_a_column_for_each_swept_key(tmp_path):
    runs = sweep(weight_std=[0.1, "he"], model=MODELS)
    runs[1] = replace(runs[1], reused_from="/another/0")
    failed = with_result(runs[2], result(status="failed", accuracies=()))
    runs[2] = replace(failed, run_id=None)
    table = rows(report_of(Findings(runs), tmp_path, []).csv)
    assert list(table[0]) == [
        *("number", "fingerprint", "run_id", "name", "status", "weight_std", "model"),
        *("final_train_accuracy", "final_test_accuracy"),
        *("final_validation_accuracy", "best_test_accuracy"),
        *("train_seconds", "diverged", "epochs_run"),
    ]
    assert [row["weight_std"] for row in table] == ["0.1", "0.1", "he", "he"]
    assert [row["model"] for row in table] == MODELS * 2
    assert [row["status"] for row in table] == ["finished", "reused", "failed", "finished"]
    assert [row["number"] for row in table] == ["0", "1", "2", "3"]
    assert [row["run_id"] for row in table] == ["id0", "id1", "", "id3"]
    assert float(table[0]["final_test_accuracy"]) == pytest.approx(0.9)
    assert table[2]["final_test_accuracy"] == ""


def test_a_reused_run_counts_only_as_reused():
    outcomes = ["finished", "diverged", "failed", "killed", "finished", "finished"]
    runs = sweep(seed=[*range(6)])
    runs = [with_result(r, result(status=s)) for r, s in zip(runs, outcomes, strict=True)]
    runs[4] = replace(runs[4], reused_from="/another/0")
    runs[5] = replace(runs[5], result=None)
    counts = Findings(runs).counts
    assert counts.pop("runs_total") == sum(counts.values()) == 6
    assert counts == dict.fromkeys(
        [
            *("runs_finished", "runs_diverged", "runs_reused"),
            *("runs_failed", "runs_killed", "runs_not_started"),
        ],
        1,
    )


def test_a_run_that_was_not_started_is_called_so_and_listed_last(tmp_path):
    runs = sweep(weight_std=[1, 0.1, 0.01])
    runs[0] = replace(runs[0], result=None)
    runs[2] = with_result(runs[2], result((), status="failed", error="MemoryError"))
    report = report_of(Findings(runs), tmp_path, [])
    assert [row["status"] for row in rows(report.csv)] == ["not started", "finished", "failed"]
    assert "3 runs: 1 finished, 1 failed, 1 not started." in report.note
    assert [line for line in report.note.splitlines() if line.startswith("- ")] == [
        f"- `{runs[2].spec.name}`: failed, MemoryError",
        f"- `{runs[0].spec.name}`: not started",
    ]


def test_the_report_is_written_to_the_folder(tmp_path):
    runs = sweep(weight_std=[1, 0.1], model=MODELS)
    report = report_of(Findings(runs), tmp_path, ["final_accuracy", "curves"])
    assert [path.name for path in report.figures] == ["final_accuracy.png", "curves.png"]
    assert all(path.stat().st_size for path in report.figures)
    title, _, rest = (tmp_path / "summary.md").read_text().partition("\n\n")
    assert title.startswith("# Sweep of")
    assert rest == report.note


def test_a_sweep_of_failed_runs_has_a_report(tmp_path):
    broken = result((), status="failed", error="Traceback...\nMemoryError: too large")
    runs = [with_result(run, broken) for run in sweep(weight_std=[1, 0.1])]
    report = report_of(Findings(runs), tmp_path, ["curves", "final_accuracy"])
    assert report.figures == ()
    assert "2 runs: 2 failed." in report.note
    assert f"- `{runs[1].spec.name}`: failed, MemoryError: too large" in report.note
    assert len(rows(report.csv)) == 2


OWN_FIGURES = """
from matplotlib.figure import Figure

from bnsweep.report.sections import SweepFigure


def dots(runs, *, marker="o"):
    figure = Figure()
    figure.subplots().plot([run.result.last("test_accuracy") for run in runs], marker)
    figure.set_label(f"marked {marker}")
    return figure


def fails(runs):
    raise RuntimeError("cursed")


counted = SweepFigure("How many", draw=dots, section=lambda runs: [f"They are {len(runs)}."])
"""


@pytest.fixture
def own_figures(tmp_path, monkeypatch):
    (tmp_path / "own_figures.py").write_text(OWN_FIGURES)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("own_figures")
def test_a_users_own_figure_is_drawn_by_its_dotted_path(tmp_path):
    names = ["own_figures.dots", "own_figures.counted"]
    report = report_of(Findings(sweep(weight_std=[1, 0.1])), tmp_path, names)
    assert [path.name for path in report.figures] == ["dots.png", "counted.png"]
    assert "## How many (figures/counted.png)\n\nThey are 2." in report.note


@pytest.mark.usefixtures("own_figures")
@pytest.mark.parametrize("name", ["dots", "counted"])
def test_a_users_own_figure_takes_arguments(tmp_path, name):
    path = f"own_figures.{name}"
    (figure,) = sweep_figures([{"_target_": path, "marker": "x"}])
    assert figure.draw(sweep(weight_std=[1, 0.1])).get_label() == "marked x"
    with pytest.raises(UserError, match=rf"{path}: .*unexpected keyword argument 'marcer'"):
        sweep_figures([{"_target_": path, "marcer": "x"}])


@pytest.mark.usefixtures("own_figures")
def test_our_figures_take_arguments_by_their_path():
    entry = {"_target_": "bnsweep.figures.curves", "quantity": "gap", "style": "paper"}
    (figure,) = sweep_figures([entry])
    drawn = figure.draw(sweep(weight_std=[1, 0.1]))
    assert drawn.axes[0].get_ylabel() == "generalisation gap"
    assert figure.name == "curves"


@pytest.mark.usefixtures("own_figures")
@pytest.mark.parametrize(
    "name", ["own_figures.lines", "no_such_module.dots", "own_figures.Figure.__doc__", "a..b"]
)
def test_a_figure_that_cannot_be_had_is_refused(name):
    with pytest.raises(UserError, match=f"report.figures: {name}"):
        sweep_figures([name])


FAILING = ["final_accuracy", "own_figures.fails"]


@pytest.mark.usefixtures("own_figures")
def test_a_figure_that_fails_does_not_take_the_summary_with_it(tmp_path):
    with pytest.raises(RuntimeError, match="cursed"):
        report_of(Findings(sweep(weight_std=[1, 0.1])), tmp_path, FAILING)
    assert "(figures/final_accuracy.png)" in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize(
    "names", [["curves", "final_accuracy", "curves"], ["curves", {"_target_": "own.curves"}]]
)
def test_two_figures_that_would_share_a_file_are_refused(names, tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text("def curves(runs): ...")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="more than one would be written to curves"):
        sweep_figures(names)


def files_of(folder, **options):
    """Return the files of the figures of a sweep by their names."""
    folder.mkdir(exist_ok=True)
    asked = {"figures": ["curves"], "formats": ["png"], "style": "screen", "choose": []}
    runs = sweep(weight_std=[1, 0.1], model=MODELS, seed=[0, 1])
    write_report(Findings(runs), folder, ReportOptions.of(asked | options))
    return {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}


def test_figures_have_the_formats_that_are_asked_for(tmp_path):
    files = files_of(tmp_path, figures=["final_accuracy"], formats=["svg", "pdf"])
    assert sorted(files) == ["final_accuracy.pdf", "final_accuracy.svg"]
    assert files["final_accuracy.pdf"].startswith(b"%PDF")
    assert b"<svg" in files["final_accuracy.svg"]
    names = "(figures/final_accuracy.svg, figures/final_accuracy.pdf)"
    assert names in (tmp_path / "summary.md").read_text()


def test_a_figure_for_a_paper_has_its_caption_beside_it(tmp_path):
    files = files_of(tmp_path / "paper", style="paper")
    assert sorted(files) == ["curves.png", "curves.txt"]
    caption = files["curves.txt"].decode()
    assert caption.startswith("Training accuracy over the epochs. digits")
    assert "band: their range" in caption
    assert sorted(files_of(tmp_path / "slides", style="slides")) == ["curves.png"]


FORMATS = ["png", "svg", "pdf"]


def test_equal_figures_are_equal_files_whatever_the_users_own_settings(tmp_path):
    first = files_of(tmp_path / "0", formats=FORMATS)
    assert files_of(tmp_path / "1", formats=FORMATS) == first
    own = {"axes.facecolor": "black", "lines.linewidth": 9, "font.size": 30, "savefig.dpi": 20}
    own |= {"svg.fonttype": "none", "pdf.fonttype": 3, "savefig.bbox": "tight"}
    with rc_context(own):
        assert files_of(tmp_path / "2", formats=FORMATS) == first


def test_matplotlib_is_as_before_after_a_report(tmp_path):
    before = dict.copy(rcParams)
    files_of(tmp_path, style="paper")
    assert dict.copy(rcParams) == before


def test_an_unknown_figure_is_refused_with_a_list_of_the_known(tmp_path):
    with pytest.raises(UserError, match=r"report\.figures: .*pie.*curves, final_accuracy"):
        report_of(Findings(sweep(weight_std=[1, 0.1])), tmp_path, ["pie"])


def test_the_note_fits_the_store(tmp_path):
    runs = sweep(weight_std=[0.9**k for k in range(32)], model=MODELS, optimizer__lr=[*range(1, 5)])
    runs = [with_result(run, result((0.1, 0.1 * run.spec.number % 1))) for run in runs]
    names = ["curves", "final_accuracy", "epochs_to_target", "generalization_gap"]
    report = report_of(Findings(runs), tmp_path, names)
    assert len((tmp_path / "summary.md").read_text()) > MAX_NOTE >= len(report.note)
    assert "The rest is in `summary.md`" in report.note


def summary(tmp_path, figure, *args, **kwargs):
    report_of(Findings(sweep(*args, **kwargs)), tmp_path, [figure])
    return (tmp_path / "summary.md").read_text()


def test_the_heading_says_what_was_compared(tmp_path):
    text = summary(tmp_path, "curves", weight_std=[1, 0.1], model=MODELS, seed=[0, 1, 2])
    assert text.startswith(
        "# Sweep of weight scale W (1, 0.1) x model (batchnorm, plain) x 3 seeds\n"
    )
    assert "12 runs: 12 finished." in text


ENDS = {("plain", 1): 0.1, ("plain", 0.1): 0.9, ("plain", 0.01): 0.2, ("plain", 0.001): 0.1}


def test_the_summary_opens_with_the_answer(tmp_path):
    text = summary(
        tmp_path,
        "curves",
        lambda run: (0.1, ENDS.get((run.model, run.weight_std), 0.95)),
        weight_std=[1, 0.1, 0.01, 0.001],
        model=MODELS,
        seed=range(5),
    )
    title, learns, claim, outcome, *_ = text.split("\n\n")
    assert title.startswith("# Sweep")
    assert learns.startswith("batchnorm learns with each of 5 seeds at all 4 scales. plain")
    assert claim.startswith("Claim: the result depends less on the initial weights. **Holds.**")
    assert outcome == "40 runs: 40 finished."
    assert text.count("**Holds.**") == 1


def test_a_sweep_without_pairs_makes_no_claim(tmp_path):
    for figure in ("curves", "epochs_to_target", "generalization_gap"):
        text = summary(tmp_path, figure, weight_std=[1, 0.1], optimizer=["sgd", "adam"])
        assert "Claim" not in text


def test_the_final_table_gives_mean_and_interval_over_the_seeds(tmp_path):
    text = summary(
        tmp_path,
        "final_accuracy",
        lambda run: (0.1, 0.5 + 0.1 * run.seed),
        weight_std=[1, "he"],
        seed=[0, 1, 2],
    )
    assert "| he | 0.600 ± 0.248 | 0.500 ± 0.248 |" in text


def test_a_diverged_run_counts_in_the_mean_and_is_counted(tmp_path):
    runs = sweep(weight_std=[1, "he"], model=MODELS, seed=[0, 1, 2])
    ends = {0: 0.1, 1: 0.9, 2: 0.95}
    for number, run in enumerate(runs):
        if run.spec.swept["model"] == "plain":
            seed = run.spec.swept["seed"]
            status = "diverged" if seed == 0 else "finished"
            outcome = result((0.1, ends[seed]), status=status, model="plain", seed=seed)
            runs[number] = with_result(run, outcome)
    text = report_of(Findings(runs), tmp_path, ["final_accuracy"]).note
    assert "0.650 ± 1.185 (1 of 3 diverged)" in text


def test_chosen_values_are_listed_and_then_compared(tmp_path):
    runs = sweep(
        fields=lambda run: {"validation": 0.9 - abs(run.optimizer__lr - 0.2), "gap": 0.1},
        model=MODELS,
        optimizer__lr=[0.1, 0.2, 0.3],
        seed=range(5),
    )
    report = report_of(Findings(runs, ["optimizer.lr"]), tmp_path, ["generalization_gap"])
    assert len(rows(report.csv)) == 30
    assert "| batchnorm | learning rate 0.2 |" in report.note
    assert "difference +0.000" in report.note


def test_keys_that_cannot_be_chosen_are_refused():
    specs = [run.spec for run in sweep(optimizer__lr=[0.1, 1])]
    held_out = [replace(spec, data={"validation_samples": 200}) for spec in specs]
    check_choice([], specs)
    check_choice(["optimizer.lr"], held_out)
    with pytest.raises(UserError, match="validation_size"):  # all of the runs must have some
        check_choice(["optimizer.lr"], [held_out[0], specs[1]])
    for keys, message in (
        (["optimizer.lr"], r"report\.choose=\['optimizer.lr'\].*validation_size"),
        (["optimizer.rate"], "there is no key optimizer.rate"),
        (["seed"], "a seed is not chosen"),
    ):
        with pytest.raises(UserError, match=message):
            check_choice(keys, specs)


def test_the_speed_section_gives_the_largest_rates_over_the_seeds(tmp_path):
    text = summary(
        tmp_path,
        "epochs_to_target",
        lambda run: (0.1, 0.95 if run.optimizer__lr <= 0.1 * 10**run.seed else 0.1),
        optimizer__lr=[0.01, 0.1, 1, 10],
        seed=[0, 1],
    )
    assert "| the network | 0.1 to 1 | 2 | 0.1 to 1 | 2 |" in text


def test_a_change_of_one_key_is_compared_over_the_same_seeds(tmp_path):
    text = summary(
        tmp_path,
        "generalization_gap",
        fields=lambda run: {"gap": 0.3 + 0.1 * run.seed - 0.1 * run.model__dropout},
        model=MODELS,
        model__dropout=[0, 0.5],
        seed=[0, 1, 2],
    )
    change = "| dropout 0.5 against dropout 0 | plain |"
    zero = "+0.000 ± 0.000"
    assert f"{change} {zero} | +0.050 ± 0.000 | -0.050" in text
    assert f"| batchnorm against plain | dropout 0 | {zero} | {zero} | {zero} |" in text


def test_changes_are_relative_to_the_first_value(tmp_path):
    text = summary(tmp_path, "generalization_gap", model__activation=["tanh", "relu"], seed=[0, 1])
    assert "| relu against tanh |" in text


def test_a_seed_given_twice_is_one_run(tmp_path):
    assert "(1 seed)" in summary(tmp_path, "curves", seed=[3, 3, 3])


def test_a_table_that_is_cut_says_how_many_rows_are_left_out_and_where_they_are():
    rows = [[str(number)] for number in range(MAX_ROWS + 2)]
    text, note = long_table(["n"], rows, "pair")
    assert text.splitlines()[-1] == f"| {MAX_ROWS - 1} |"
    assert note == "And 2 more pairs: `results.csv` has the runs."
    assert long_table(["n"], rows[:MAX_ROWS], "pair") == [table(["n"], rows[:MAX_ROWS])]


def test_sixteen_scales_at_eight_rates_have_all_their_rows(tmp_path):
    text = summary(
        tmp_path,
        "final_accuracy",
        weight_std=[0.5**k for k in range(16)],
        optimizer__lr=range(1, 9),
    )
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 128 + 2


def test_keys_with_many_values_are_left_to_the_figure_of_the_gap_and_it_is_said(tmp_path):
    text = summary(tmp_path, "generalization_gap", model=MODELS, optimizer__lr=[1, 2, 3, 4, 5])
    assert "learning rate has more than 4 values: see the figure." in text


def test_the_summary_explains_only_what_it_uses(tmp_path):
    alone = summary(tmp_path, "curves", optimizer=["sgd", "adam"])
    assert "A network *learns* where" in alone
    assert not any(word in alone for word in ("Student", "verdict", "diverged"))
    assert "Student" in summary(tmp_path, "curves", optimizer=["sgd", "adam"], seed=[0, 1])


def test_the_best_run_of_a_sweep_is_that_on_the_validation_samples():
    tested = {0: (0.2, 0.9), 1: (0.8, 0.5)}  # by seed: validation and test accuracy
    runs = [
        with_result(run, result((0.1, 0.95), validation=good, gap=0.95 - test, seed=seed))
        for run in sweep(seed=list(tested))
        for seed, (good, test) in tested.items()
        if run.spec.swept["seed"] == seed
    ]
    best = Findings(runs).best_validated
    assert best["final_validation_accuracy"] == 0.8
    assert best["final_test_accuracy"] == pytest.approx(0.5)  # and not the best one there
    assert Findings(sweep(seed=[0, 1])).best_validated == {}


EXTREMES = [5e-324, 1e-320, 1e300, 1e308, 1.7e308, sys.float_info.max]


@pytest.mark.parametrize(
    "grid",
    [
        {"weight_std": [1e-320, 0.1]},
        {"weight_std": [1e300, 0.1]},
        {"weight_std": EXTREMES},
        {"weight_std": [0.01, 0.1, 1.0, sys.float_info.max]},
        {"weight_std": [0.1, 0.2, 1.0, *EXTREMES]},
        {"weight_std": [5e-324, 1e-323, 1.5e-323, 2e-323]},
        {"weight_std": [1.5e308, 1.6e308, 1.7e308, sys.float_info.max]},
        {"optimizer__lr": EXTREMES, "model": MODELS, "seed": range(5)},
        {"optimizer__weight_decay": [0, *EXTREMES]},
        {
            "model": MODELS,
            "weight_std": [5e-324, 1e308],
            "optimizer__lr": [0.1, 1.7e308],
            "optimizer__weight_decay": [0, 1e-320, 1e300],
        },
    ],
    ids=lambda grid: " ".join(f"{key}:{len(values)}" for key, values in grid.items()),
)
def test_every_positive_number_has_its_figures_and_no_warning(tmp_path, grid):
    runs = sweep(
        lambda at: (0.1, 1.0) if "1e" in str(at) else (0.1, 0.1),
        fields=lambda at: {"validation": 0.5, "status": ["finished", "diverged"]["308" in str(at)]},
        **grid,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = report_of(Findings(runs), tmp_path, [*FIGURES])
    drawn = {path.stem for path in report.figures}
    assert drawn >= {"curves", "final_accuracy", "generalization_gap"}
    assert not re.search(r"\b(inf|nan)\b", (tmp_path / "summary.md").read_text())
    assert len(rows(report.csv)) == len(runs)
