"""What the documentation says is what the commands printed, and what it shows to type works."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import documented
import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RESULTS = {path.stem: path.read_text() for path in sorted((DOCS / "results").glob("*.md"))}
DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)")


def without_code(text):
    """Return a Markdown text without code and equations."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$", "", text, flags=re.DOTALL)


def prose(text):
    """Return a Markdown text without code, equations, addresses and numbers of papers."""
    return re.sub(r"\]\([^)]*\)|arXiv:[\d.]+", "", without_code(text))


def sections():
    """Return file, heading and text of each part of the documentation that quotes results."""
    theory, _, experiments = (DOCS / "batchnorm.md").read_text().partition("\n## What the exp")
    yield pytest.param(theory, [*RESULTS], id="theory")
    for part in experiments.split("\n### ")[1:]:
        named = re.findall(r"experiment=(\w+)|make\.py --mnist FOLDER (\w+)", part)
        sources = [name for pair in named for name in pair if name]
        if "figure_6_18" in sources:
            sources.append("published")
        yield pytest.param(part, sources, id=part.partition("\n")[0][:40])
    yield pytest.param((ROOT / "README.md").read_text().split("\n## How fast")[0], [*RESULTS],
                       id="README")  # fmt: skip


def pictures():
    """Return page, path and the line below it of each picture of the documentation."""
    for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))):
        found = re.findall(r"^!\[[^]]*\]\(([^)]+)\)\n*(.*)", page.read_text(), re.MULTILINE)
        yield from ((page, path, below) for path, below in found)


def promises():
    """Return each row of the table in docs/reliability.md as the fault and the named tests."""
    for line in (DOCS / "reliability.md").read_text().splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", "| Fault ")):
            fault, _, tests = line.strip("| ").split(" | ")
            yield pytest.param(tests, id=fault[:40])


def settings():
    """Return the decimal numbers of the configuration, which are no results."""
    return {
        number
        for path in (ROOT / "conf").rglob("*.yaml")
        for number in DECIMAL.findall(path.read_text())
    }


@pytest.mark.parametrize(("text", "sources"), [*sections()])
def test_each_number_was_printed_by_the_commands_that_the_section_names(text, sources):
    printed = {number for name in sources for number in DECIMAL.findall(RESULTS[name])}
    quoted = set(DECIMAL.findall(prose(text)))
    versions = {"3.11", "3.13", "1.3", "1.4"}  # of Python, of Hydra
    assert quoted - printed - settings() - versions == set()


@pytest.mark.parametrize(("text", "sources"), [*sections()])
def test_what_stands_as_the_programs_words_is_what_it_said(text, sources):
    words = " ".join(" ".join(RESULTS[name] for name in sources).replace("**", "").split())
    for quotation in re.findall(r"(?:^> .*\n?)+", text, flags=re.MULTILINE):
        said = " ".join(re.sub(r"^> ", "", quotation, flags=re.MULTILINE).split())
        assert said.replace("**", "") in words


@pytest.mark.parametrize("path", [DOCS / "batchnorm.md", ROOT / "README.md"], ids=lambda p: p.stem)
def test_pictures_and_files_that_are_linked_exist(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", without_code(path.read_text())):
        assert (path.parent / target).exists(), target


def test_below_each_picture_stands_what_made_it(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import make
    import screenshots

    commands = dict.fromkeys(("mlflow_runs", "mlflow_charts"), screenshots.COMMAND)
    for arguments, drawn in make.SWEEPS.values():
        commands |= dict.fromkeys(drawn, arguments)
    for page, path, below in pictures():
        told = re.fullmatch(r"`python -m bnsweep (.*?)`: (digits|MNIST), seeds? \d+.*", below)
        assert told, f"{page.name}: {path}: {below}"
        assert shlex.split(told[1]) == list(commands[Path(path).stem]), path
    assert {Path(path).name for _, path, _ in pictures()} == {
        path.name for path in (DOCS / "pictures").iterdir()
    }


def test_the_check_of_the_derivation_runs_as_it_is_typed():
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS / "batchnorm.md").read_text(), re.DOTALL)
    exec(compile(block, "docs/batchnorm.md", "exec"), {})


def test_each_command_fits_a_rule_that_says_how_it_is_checked():
    commands = [command for page in documented.PAGES for command in documented.commands(page)]
    assert len(commands) > 40
    assert [command for command in commands if command.rule is None] == []
    assert {command.rule for command in commands} == set(documented.RULES)
    for rule in documented.RULES:
        assert rule.how != "elsewhere" or rule.words in (ROOT / rule.where).read_text(), rule


def test_each_experiment_has_its_stored_result():
    names = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    assert names <= RESULTS.keys()


def test_the_published_curves_are_those_of_the_figure():
    rows = [line.split(",") for line in (DOCS / "published.csv").read_text().splitlines()[1:]]
    assert [(model, int(scale)) for model, scale, *_ in rows] == [
        (model, scale) for model in ("batchnorm", "plain") for scale in range(16)
    ]
    assert all(len(curve) == 20 for _, _, *curve in rows)
    assert all(0 <= float(accuracy) <= 1 for _, _, *curve in rows for accuracy in curve)


@pytest.mark.parametrize("tests", [*promises()])
def test_each_promise_of_reliability_names_tests_that_exist(tests):
    """`file.py`: *a name*, *another*; `other.py`: ..."""
    named = re.findall(r"`([\w/]+\.py)`: ([^`]+)", tests)
    assert len(named) == tests.count(".py") > 0
    for file, names in named:
        (path,) = (ROOT / "tests").rglob(file.removeprefix("tests/"))
        functions = {
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef)
        }
        found = {"test_" + name.replace(" ", "_") for name in re.findall(r"\*([^*]+)\*", names)}
        assert found
        assert found <= functions


def test_a_figure_of_ones_own_is_drawn_as_it_is_typed(tmp_path):
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    section = guide.partition("\n## A figure of your own\n")[2].partition("\n## ")[0]
    (module,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (line,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    (tmp_path / module.partition("\n")[0].removeprefix("# ")).write_text(module)
    python, *arguments = shlex.split(line)
    assert python == "python"
    tiny = ("weight_std=0.1,1", "training.epochs=1", "tracking=none", "hydra/launcher=basic")
    done = subprocess.run(
        [sys.executable, *arguments, *tiny],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    (written,) = re.findall(r"`(figures/\w+\.png)`", section)
    assert (sweep / written).is_file()
    assert f"## Early and final accuracy ({written})\n\n`" in (sweep / "summary.md").read_text()
