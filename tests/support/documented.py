"""The commands that the documentation shows, and how the tests check each of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md")

# What is added to a sweep so that it takes seconds.
FEW = "training.epochs=1 data.train_size=100 data.test_size=100 tracking.figures=false"
# The same for an experiment that sets the sizes of its data, and has ten seeds.
ONE_SEED = "training.epochs=1 seed=0 tracking.figures=false"

# What stands between backticks in a sentence is a command if it begins like this.
INLINE = re.compile(r"python (-m bnsweep|\S+\.py)|\.venv/bin/|source |eval |pip install|\.ci/")

BNSWEEP = r"(\.venv/bin/)?python -m bnsweep"
EXTRAS = "'.[dev,joblib,ray,slurm,services]'"


class Rule(NamedTuple):
    """How commands are checked.

    - `run`: with `words` added, it succeeds.
    - `composed`: with `--cfg` and `words` in the place of `-m`, which runs nothing.
    - `in the repository`: the same, where the project's files are.
    - `served`: a server that answers, on the port that is added.
    - `options`: `--help` names each option; the rest may be placeholders.
    - `elsewhere`: the file `where` does it; `words` stand there.
    """

    pattern: str
    how: str
    words: str = ""
    where: str = ""
    extra: str = ""  # of the project, without which it is not checked


# The first rule whose pattern a command begins with is its own.
RULES = (
    # Installation: the gate does it anew.
    Rule(r"python3 -m venv \.venv$", "elsewhere", "python3 -m venv .venv", ".ci/run"),
    Rule(r"source \.venv/bin/activate$", "run"),
    Rule(r"(\.venv/bin/)?pip install (-q )?-e (\.|'\.\[dev\]')$", "elsewhere", EXTRAS, ".ci/run"),
    Rule(r"\.venv/bin/pip install torch$", "elsewhere", "pip install -q torch", ".ci/run"),
    Rule(r"pip install (psycopg2-binary$|'bnsweep\[)", "elsewhere", EXTRAS, ".ci/run"),
    Rule(r"pre-commit install$", "run"),
    # Tests: pytest finds what is named, and the gate runs the README's line for all of them.
    Rule(r"pytest tests/", "in the repository", "--collect-only -q"),
    Rule(r"(BNSWEEP_MNIST=path/to/mnist |\.venv/bin/python -m )?pytest\b", "elsewhere",
         "sed -n '/^python3 -m venv .*pytest/p' README.md", ".ci/run"),
    Rule(r"\.ci/run$", "elsewhere", "nothing skipped", ".ci/run"),
    # Programs for whoever changes bnsweep: they take minutes.
    Rule(r"python (benchmarks|docs|tests/support)/\w+\.py", "options"),
    # Other machines.
    Rule(r"mlflow server ", "options"),
    Rule(r"export \w+=\S+$", "run"),
    Rule(r"ray start ", "elsewhere", '"--head"', "tests/support/clusters.py"),
    Rule(r"(RAY_ADDRESS=\S+ )?python -m bnsweep -m hydra/launcher=ray_cluster", "composed",
         "hydra", extra="ray"),
    Rule(r"python -m bnsweep -m hydra/launcher=slurm", "composed", "hydra", extra="slurm"),
    # bnsweep: what takes a few seconds as it is, what is made short, and what is composed alone.
    Rule(r"mlflow ui ", "served"),
    Rule(r'eval "\$\(bnsweep -sc install=bash\)"$', "run"),
    Rule(rf"{BNSWEEP} --help$", "run"),
    Rule(rf"{BNSWEEP}( weight_std=he optimizer=adam)?$", "run"),
    Rule(rf"{BNSWEEP} -m weight_std=1,0.1,0.01$", "run"),
    Rule(rf"{BNSWEEP} -m weight_std=0.1 model=batchnorm model.norm_position=before,after$", "run"),
    Rule(rf"{BNSWEEP} optimizer._target_=mine.SignSGD ", "run"),
    Rule(rf"{BNSWEEP} --config-dir my_configs data=rings$", "run"),
    Rule(rf"{BNSWEEP} -m data=fashion_mnist$", "composed", "job"),
    Rule(rf"{BNSWEEP} -m 'seed=range\(10\)' 'report.figures=\[final_train_accuracy\]'", "elsewhere",
         '["-m", "seed=range(10)", "report.figures=[final_train_accuracy]"]', "docs/make.py"),
    Rule(rf"{BNSWEEP} experiment=activations$", "run", FEW),
    Rule(rf"{BNSWEEP} experiment=\w+$", "run", ONE_SEED),
    Rule(rf"{BNSWEEP} --config-dir mine experiment=my_sweep$", "run", FEW),
    Rule(rf"{BNSWEEP} -m( |$)", "run", FEW),
)  # fmt: skip


class Command(NamedTuple):
    """A command as a page of the documentation shows it."""

    page: str
    text: str

    @property
    def rule(self) -> Rule | None:
        """The rule by which it is checked."""
        return next((rule for rule in RULES if re.match(rule.pattern, self.text)), None)

    @property
    def needs_mnist(self) -> bool:
        """Whether it reads MNIST's files."""
        return re.search(r"data=mnist|experiment=figure_6_18", self.text) is not None


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield language and text of each block of code; of code in a sentence, `inline` and text."""
    code = re.compile(r"^```(\w*)\n(.*?)^```$|`([^`]+)`", re.MULTILINE | re.DOTALL)
    for language, text, inline in code.findall(page.read_text()):
        yield ("inline", " ".join(inline.split())) if inline else (language, text)


def commands(page: Path) -> list[Command]:
    """Return the commands of a page in their order, each once."""
    found = []
    for language, text in blocks(page):
        if language == "sh" or (language == "inline" and INLINE.match(text)):
            for line in text.replace("\\\n", " ").splitlines():
                found += re.sub(r"\s+# .*", "", line).strip().split(" && ")
    return [Command(page.name, " ".join(text.split())) for text in dict.fromkeys(found)]


def write_files(page: Path, folder: Path) -> None:
    """Write into a folder the files that a page shows: a comment at their head is their path."""
    for language, text in blocks(page):
        if language in ("python", "yaml") and (
            named := re.match(r"(?:# @.*\n)?# ([\w/]+\.(py|yaml))\n", text)
        ):
            path = folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
