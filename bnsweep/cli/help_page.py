"""The parts of `--help` that the code knows; `conf/hydra/help/bnsweep.yaml` puts them in place."""

import textwrap

from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig

from bnsweep.hydra_inside import register_resolver
from bnsweep.records.keys import KEYS, flatten, shown
from bnsweep.run.config import to_plain

WIDTH, INDENT = 80, 2


def register() -> None:
    """Register the resolvers that the help page refers to; they are called for `--help` alone."""
    register_resolver("help_groups", groups)
    register_resolver("help_keys", keys)


def groups(*names: str) -> str:
    """Return a line for each group: its options, of installed plugins too."""
    loader = GlobalHydra.instance().config_loader()
    lines = []
    for name in names:
        options = ", ".join(sorted(loader.get_group_options(name, ObjectType.CONFIG)))
        lines.append(_row(f"{name}=", options, 19))
    return _escaped(lines)


def keys(*, _root_: DictConfig) -> str:
    """Return a line for each key of the configuration: its value, and what it takes."""
    # What a key takes is entered by these.
    import bnsweep.nn.layers  # noqa: F401
    from bnsweep.report.sections import FIGURES

    words = {key: row.must_be().removeprefix("one of ") for key, row in KEYS.items()}
    words["report.figures"] = f"a list out of {', '.join(FIGURES)}, or of your own"
    values = flatten(to_plain(_root_))
    return _escaped(
        [_row(f"{key}={shown(values[key], 12)}", words[key], 34) for key in KEYS if key in values]
    )


def _row(name: str, text: str, column: int) -> str:
    """Return a name and a text beside it, from a column on, or below it if the name is long."""
    margin = " " * column
    wrapped = textwrap.wrap(text, WIDTH - column, break_on_hyphens=False)
    start = f"{' ' * INDENT}{name}"
    if len(start) + 1 < column:
        return "\n".join([f"{start.ljust(column)}{wrapped[0]}", *(margin + w for w in wrapped[1:])])
    return "\n".join([start, *(margin + w for w in wrapped)])


def _escaped(lines: list[str]) -> str:
    """Return the lines as they stand in a template."""
    return "\n".join(lines).replace("$", "$$")
