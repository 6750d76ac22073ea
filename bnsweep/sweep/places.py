"""Where `hydra.run.dir` and `hydra.sweep.dir` put folders: at this start, and at earlier ones."""

import glob
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Literal, cast

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from bnsweep.errors import ConfigError
from bnsweep.records import absolute, from_here
from bnsweep.records.keys import RESULT_KEYS, Config, flatten

Kind = Literal["run", "sweep"]

ANY = "\0"  # in a path: what differs from start to start, or from run to run
_DIFFERENT = tuple(
    f"{key}."
    for key in (
        *(*RESULT_KEYS, "sweep", "hydra.job", "hydra.overrides"),
        *("hydra.runtime.choices", "hydra.runtime.output_dir"),
    )
)
_INNERMOST = re.compile(r"\$\{([^${}]*)\}")


def folder_of(config: DictConfig, kind: Kind) -> Path:
    """Return the folder that this start has by `hydra.run.dir` or `hydra.sweep.dir`.

    Raises:
        ConfigError: it can be none, or cannot be made.
    """
    text = str(config.hydra[kind].dir)
    if not text.strip():
        raise ConfigError(f"hydra.{kind}.dir={text}: must be the path of a folder")
    folder = absolute(text)
    try:
        above = next(place for place in (folder, *folder.parents) if place.exists())
    except OSError as error:
        raise refused(config, kind, str(error.strerror)) from error
    if not above.is_dir():
        raise refused(config, kind, f"{from_here(above)} is no folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise refused(config, kind, f"no folder can be made in {from_here(above)}")
    return folder


def refused(config: DictConfig, kind: Kind, why: str) -> ConfigError:
    """Return the error that says of which key a folder is, and why it cannot be had."""
    of_output = "${output_dir}" in unresolved(config, f"hydra.{kind}.dir")
    key = "output_dir" if of_output else f"hydra.{kind}.dir"
    given = config.output_dir if of_output else config.hydra[kind].dir
    return ConfigError(f"{key}={given}: {why}; give another folder")


def expand_home(config: DictConfig, kind: Kind) -> None:
    """Put the user's folder in the place of a `~`, which Hydra would take for a folder's name."""
    given = str(config.hydra[kind].dir)
    if given.startswith("~"):
        folder = str(absolute(given))
        with read_write(config.hydra):
            config.hydra[kind].dir = folder
            # From these, Hydra composes the configuration of each job of a sweep.
            if kind == "sweep":
                quoted = QuotedString(folder, Quote.single).with_quotes()
                config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted}")


def folders_of(config: DictConfig, kind: Kind) -> Path:
    """Return what `folder_of` gives at any start: its path, with `ANY` for what differs.

    Beside a folder that is the same at each start lie others, which were typed like it.
    """
    text = unresolved(config, f"hydra.{kind}.dir")
    while (found := _INNERMOST.search(text)) is not None:
        text = text[: found.start()] + _at_any_start(config, found[1]) + text[found.end() :]
    path = absolute(text)
    return path if ANY in text else path.parent / ANY


def same_part(folders: Path) -> Path:
    """Return the folder above all of `folders_of`."""
    return Path(*takewhile(lambda part: ANY not in part, folders.parts))


def files_in(folders: Path, name: str) -> Iterator[Path]:
    """Yield the files of a name in what `folders_of` returned."""
    root = same_part(folders)
    pattern = glob.escape(str((folders / name).relative_to(root))).replace(ANY, "*")
    yield from root.glob(pattern)


def _at_any_start(config: DictConfig, inner: str) -> str:
    """Return what an interpolation stands for, with `ANY` in the place of what differs."""
    key = re.sub("^hydra:", "hydra.", inner)
    if ":" not in key and not f"{key}.".startswith(_DIFFERENT):
        return unresolved(config, key)
    value = ""
    with suppress(OmegaConfBaseException):
        value = str(OmegaConf.create({"value": f"${{{inner}}}"}).value)
    # What differs may be several folders deep, as a date is in ${now:%Y/%m}.
    return value if key.startswith("oc.") else re.sub("[^/]+", ANY, value) or ANY


def unresolved(config: DictConfig, key: str) -> str:
    """Return the text of a key, its interpolations as they stand; `ANY` if it has none."""
    leaves = flatten(cast("Config", OmegaConf.to_container(config, resolve=False)))
    return str(leaves.get(key, ANY))
