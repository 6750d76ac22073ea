"""What the program takes from the inside of Hydra, and nothing else does.

Relies on what each part below names; remove a part when Hydra offers the same in public. What can
only be used in place rests on more of it: a callback's exceptions become warnings, all but
SystemExit (`cli.app` refuses runs by it); HYDRA_FULL_ERROR=1 makes Hydra raise its errors (set in
`cli.app`); plugins are looked for in the namespace `hydra_plugins` alone. `tests/test_hydra_inside`
fails when one of these moves.
"""

import contextlib
import difflib
import re
import traceback
from argparse import ArgumentError, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import hydra.utils
from hydra import initialize_config_dir
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, OverrideParseException
from hydra.plugins.config_source import ConfigSource
from hydra.plugins.launcher import Launcher
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError  # type: ignore[import-untyped]

from bnsweep.errors import ConfigError

# Hydra 1.4 wants to be told which `_target_`s it may call. Here whoever runs the program has
# written or chosen each of them, so it may call all, and Hydra's name for that is not ours.
_ANY_TARGET = getattr(hydra.utils, "UNSAFE_DISABLE_EXECUTION_CHECKS", None)

# --- The command line ---


def parse(arguments: Sequence[str], version: str) -> Namespace:
    """Return what Hydra reads in the command line; its options may stand anywhere, abbreviated.

    Relies on `get_args_parser`; remove when `hydra.main` takes arguments and can raise.

    Args:
        arguments: the words of the command line.
        version: what `--version` prints, with which the program ends.

    Raises:
        ConfigError: an option does not exist, or has a value that it does not take.
    """
    parser = get_args_parser()
    parser.prog, parser.exit_on_error = "bnsweep", False
    parser.error = _refuse  # type: ignore[method-assign]
    options = parser._option_string_actions
    options["--version"].version = version  # type: ignore[attr-defined]
    words = _with_bare_info(arguments, [*(options["--info"].choices or ())])
    try:
        args, others = parser.parse_known_intermixed_args(words)
    except ArgumentError as error:
        option = (error.argument_name or "").partition("/")[0]  # none if it is ambiguous
        _refuse(f"{option}: {error.message}".removeprefix(": "))
    if others:
        raise ConfigError(_no_option(others[0], options))
    return args


def run_hydra(args: Namespace, task: TaskFunction, folder: Path) -> None:
    """Do what a command line asks of Hydra.

    Relies on `_run_hydra`, which `hydra.main` calls with what it has read in `sys.argv`; remove
    when `hydra.main` takes arguments.

    Args:
        args: from `parse`; Hydra may add to its overrides.
        task: what does a run.
        folder: of the configuration.
    """
    given: dict[str, Any] = {"args_parser": get_args_parser(), "task_function": task}
    given |= {"config_path": str(folder), "config_name": "config"}
    with _any_target():
        try:
            _run_hydra(args=args, **given)
        except HydraException as error:
            # Hydra 1.4 looks for a mode in no experiment's file, and then refuses the one there.
            if args.multirun or not str(error).startswith("hydra.mode changed"):
                raise
            args.run, args.multirun = False, True
            _run_hydra(args=args, **given)


def composing_alone(args: Namespace, overrides: Sequence[str]) -> Namespace:
    """Return a command line that composes and starts what another one does, whatever it shows."""
    others = dict.fromkeys(("help", "hydra_help", "resolve", "shell_completion"), False)
    shown = dict.fromkeys(("cfg", "package", "info"))
    return Namespace(**{**vars(args), **others, **shown, "overrides": [*overrides]})


def no_mode_given(config: DictConfig) -> bool:
    """Return whether a run is a single one because nobody has said what it is.

    Relies on the override `hydra.mode=RUN` that Hydra 1.3 adds then, and 1.4 does not: what is
    composed without it tells. Remove when Hydra says who chose the mode.
    """
    given = config.hydra.overrides
    overrides = [text for text in (*given.hydra, *given.task) if text != "hydra.mode=RUN"]
    loader = GlobalHydra.instance().config_loader()
    composed = loader.load_configuration(config.hydra.job.config_name, overrides, RunMode.RUN)
    return composed.hydra.mode is None


def _refuse(message: str) -> NoReturn:
    raise ConfigError(f"{message}; see --hydra-help for the options")


def _with_bare_info(arguments: Sequence[str], choices: Sequence[str]) -> list[str]:
    """Return the words with a value for each bare `--info`, which takes the next word for it."""
    words = list(arguments)
    for number, word in enumerate(words):
        is_info = word == "-i" or (len(word) > 2 and "--info".startswith(word))
        if is_info and not set(words[number + 1 : number + 2]) & set(choices):
            words[number] = "--info=all"
    return words


def _no_option(given: str, known: Iterable[str]) -> str:
    name, equals, value = given.partition("=")
    near = difflib.get_close_matches(name, [n for n in known if n[:2] == "--"], n=1, cutoff=0.7)
    key = f"{name.lstrip('-')}={value if equals else '...'}"
    hint = f"did you mean {near[0]}?" if near else f"keys have no dashes: {key}"
    return f"{name}: there is no such option; {hint}"


# --- What is composed and called ---


def instantiate(config: object, **arguments: Any) -> Any:
    """Return what the `_target_` of a configuration makes; what it raises is raised as it is.

    Relies on Hydra raising errors of its own from what a target raises, or from what its module
    does, once or twice; remove when it lets both through.
    """
    trusted = {} if _ANY_TARGET is None else {"_execution_whitelist_": _ANY_TARGET}
    try:
        return hydra.utils.instantiate(config, **arguments, **trusted)
    except Exception as error:
        cause: BaseException = error
    while cause.__cause__ is not None and _is_raised_by_hydra(cause):
        cause = cause.__cause__
    raise cause


def _is_raised_by_hydra(error: BaseException) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("hydra.")


def initialized(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Let `hydra.compose` find the configuration in a folder.

    Relies on `version_base`, without which Hydra 1.3 warns, and with which 1.4 does; remove it when
    1.4 is the oldest version.
    """
    base: dict[str, Any] = {"version_base": None} if _ANY_TARGET is None else {}
    GlobalHydra.instance().clear()
    return cast(
        "contextlib.AbstractContextManager[None]", initialize_config_dir(str(folder), **base)
    )


def register_resolver(name: str, resolver: Callable[..., Any], *, use_cache: bool = False) -> None:
    """Let a configuration call a function, as in `${name:1,2}`.

    Relies on the name that OmegaConf 2.3 has for this, of which 2.4 warns; remove when 2.4, which
    comes with Hydra 1.4, is the oldest version.
    """
    method = "register_new_resolver" if _ANY_TARGET is None else "register_resolver"
    getattr(OmegaConf, method)(name, resolver, replace=True, use_cache=use_cache)


def config_sources(runtime: Any) -> list[ConfigSource]:
    """Return where Hydra looks for configuration, first what it prefers.

    Relies on `hydra.runtime.config_sources` and the schemes of the sources that Hydra discovers;
    remove when Hydra says what an option's own file holds.
    """
    found: list[Any] = Plugins.instance().discover(ConfigSource)
    kinds = {kind.scheme(): kind for kind in found}
    return [
        kinds[source.schema](source.provider, f"{source.schema}://{source.path}")
        for source in runtime.config_sources
    ]


def is_basic(launcher: Launcher) -> bool:
    """Return whether a launcher runs its jobs in this process.

    Relies on `BasicLauncher`; remove when Hydra says in public which launcher does so.
    """
    # Late, because it stands with the plugins, which Hydra imports by itself.
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    return isinstance(launcher, BasicLauncher)


def _any_target() -> contextlib.AbstractContextManager[None]:
    allow = getattr(hydra.utils, "execution_whitelist", contextlib.nullcontext)
    return cast("contextlib.AbstractContextManager[None]", allow(_ANY_TARGET))


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
