"""What the program takes from the inside of Hydra, and nothing else does.

Relies on what each part below names; remove a part when Hydra offers the same in public.
"""

import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError  # type: ignore[import-untyped]

# --- The command line ---


# --- What Hydra complains of ---

# Relies on the wording of the errors of Hydra and OmegaConf, and on the names of two variables
# where they are raised; remove when these errors carry what a `Complaint` does.


@dataclass(frozen=True)
class Complaint:
    """What an error means that was raised while Hydra composed a configuration.

    Attributes:
        kind: what is wrong, as `_MEANINGS` names it; empty for what is not known there.
        key: of the configuration, or a group.
        value: of the key, the option of the group, or the name of what is missing.
        package: into which the group was to be put.
        override: the argument that it is about, as Hydra was given it.
        file: of the configuration: its name, as `experiment/mine`, or its path.
        choices: the options that the group has.
        reason: what is wrong, in the words of who raised the error, in one line.
        expected: whether such an error comes of what was typed or written in a file.
    """

    kind: str = ""
    key: str = ""
    value: str = ""
    package: str = ""
    override: str = ""
    file: str = ""
    choices: tuple[str, ...] = ()
    reason: str = ""
    expected: bool = True


# What an error is about: the first that is found in its text, or in that of what caused it.
_MEANINGS = (
    ("several values", r"Ambiguous value for argument '(?P<override>.*)'"),
    ("several values", r"Sweep parameters '(?P<override>.*)' requires --multirun"),
    ("swept", r"Sweeping over Hydra's configuration is not supported( : ?'(?P<override>.*)')?"),
    ("no option", r"Could not (find|load) '(?P<key>[^']+)/(?P<value>[^'/]+)'"),
    ("no main file", r"Cannot find primary config '(?P<value>[^']+)'"),
    ("no folder", r"config (directory|module) '(?P<value>.+)' (not found|exists)"),
    ("chosen twice", r"Multiple values for (?P<key>\S+?)\. To"),
    ("chosen twice", r"(?P<key>\S+) appears more than once in the final defaults list"),
    ("there already", r"An item is already at '(?P<key>[^']+)'"),
    ("no name", r"Config group override must be a string"),
    ("forced", r"force-add of config groups is not supported"),
    ("not chosen", r"Could not delete '(?P<key>[^']+)'"),
    ("another value", r"The value of '(?P<key>[^']+)' is (?P<value>.*) and not"),
    ("no key", r"Could not delete from config\. '(?P<key>[^']+)' does not exist"),
    ("in a package", r"Could not override '(?P<key>[^'@]+)@(?P<package>[^']+)'\.\nDid you mean"),
    ("no key", r"looks like a config group override, but config group '(?P<key>[^']+)'"),
    ("not there yet", r"Could not override '(?P<key>[^']+)'(.|\n)*reference_type=Dict"),
    ("no key", r"Could not override '([^']+)'(.|\n)*full_key: (?P<key>\1\.\S+)"),
    ("no key", r"Could not override '(?P<key>[^'@]+)"),
    ("no key", r"Key '.*' (is )?not in (.|\n)*full_key: (?P<key>\S+)"),
    ("no key", r"No earlier Group Default for '(?P<key>[^'@]+)"),
    ("refers to nothing", r"Interpolation key '(?P<value>[^']+)' not found"),
    ("refers to itself", r"Recursive interpolation detected"),
    ("not set", r"Environment variable '(?P<value>[^']+)' not found"),
    ("no resolver", r"Unsupported interpolation type (?P<value>\S+)"),
    ("no value", r"Missing mandatory value: (?P<key>\S+)"),
    ("no mapping", r"Cannot merge DictConfig with ListConfig|incompatible container types"),
    ("no mapping", r"primary config '(?P<file>[^']+)' must be a DictConfig"),
    ("no plugin", r"Input config does not have a `_target_` field"),
)
# Where the parser stopped, and why a function of its own could not be called.
_STOPPED = re.compile(
    r"(?:viable alternative at|extraneous|mismatched) input '(.*?)'(?: expecting|$)", re.MULTILINE
)
_CALLED = re.compile(r"\w+ while evaluating '.*?': (.*)")
# Lines of an error that say nothing which its other lines do not.
_ASIDE = re.compile(
    r"\s*(full_key:|object_type=|reference_type=|See https:|Config search path:|\t)"
)
_INTRODUCED = re.compile(r"^(In '?[^':]+'?: )?(\w+ raised while [\w ]+: )?")
# The variables of Hydra's functions that hold what they are about.
_OVERRIDE_OF = {"__init__", "_apply_overrides_to_config"}
_FILE_OF = {"load_config", "_load_single_config"}


def complaint(error: BaseException) -> Complaint:
    """Return what an error means that was raised while Hydra composed a configuration."""
    chain = list(_chain(error))
    if isinstance(error, OverrideParseException):
        return Complaint("unreadable", override=error.override, reason=_unread(error))
    if isinstance(error, MarkedYAMLError) and (mark := error.problem_mark):
        why, line = str(error.problem), str(mark.line + 1)
        return Complaint("no YAML", file=mark.name, value=line, reason=why)
    text = "\n".join(map(str, chain))
    file = re.search(r"In '?([^':\n]+)'?: ", text)
    override = _variable(chain, "override", _OVERRIDE_OF)
    found: dict[str, Any] = {
        "key": "".join(re.findall(r"full_key: (\S+)", text)[:1]),
        "file": file[1] if file else str(_variable(chain, "config_path", _FILE_OF) or ""),
        "override": str(getattr(override, "input_line", "")),
        "choices": tuple(getattr(error, "options", None) or ()),
    }
    hydras = isinstance(error, HydraException | OmegaConfBaseException | YAMLError)
    expected = hydras or bool(found["file"] or found["override"])
    found["reason"] = _reason(chain if expected else [error])
    for kind, pattern in _MEANINGS if expected else ():
        if match := re.search(pattern, text):
            found |= {name: part for name, part in match.groupdict().items() if part}
            return Complaint(kind, **found)
    return Complaint(**found, expected=expected)


def readable(override: str) -> bool:
    """Return whether Hydra can read an argument."""
    try:
        OverridesParser.create().parse_overrides([override])
    except HydraException:
        return False
    return True


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what caused it."""
    while error is not None:
        yield error
        error = error.__cause__


def _variable(chain: Sequence[BaseException], name: str, functions: set[str]) -> Any:
    """Return the value of a variable of Hydra's functions in which an error was raised."""
    for error in chain:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            hydras = str(frame.f_globals.get("__name__")).startswith("hydra.")
            if hydras and frame.f_code.co_name in functions and name in frame.f_locals:
                return frame.f_locals[name]
    return None


def _reason(chain: Sequence[BaseException]) -> str:
    """Return why an error was raised, by the last of its causes that says something."""
    text = next((str(error) for error in reversed(chain) if str(error).strip()), "")
    lines = [line.strip() for line in text.splitlines() if line and not _ASIDE.match(line)]
    return _INTRODUCED.sub("", " ".join(lines[:3])) or type(chain[-1]).__name__


def _unread(error: OverrideParseException) -> str:
    """Return why an argument cannot be read: what it cannot be read from, or a failed call."""
    text = str(error).replace(f"Error parsing override '{error.override}'\n", "")
    if called := _CALLED.search(text):
        return called[1]
    if stopped := _STOPPED.search(text):
        return f"at {stopped[1].replace('<EOF>', 'its end')}"
    if caret := re.search(r"^LexerNoViableAltException: .*\n( *)\^$", text, re.MULTILINE):
        return f"at {error.override[len(caret[1]) - len('LexerNoViableAltException: ') :]}"
    return text.splitlines()[0]
