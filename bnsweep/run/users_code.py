"""Code of the user's own: whatever it raises becomes one line, and it cannot end the process."""

import contextlib
import inspect
import os
import pydoc
import sys
import threading
import traceback
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from bnsweep.errors import ConfigError, DataError, UserError
from bnsweep.records import from_here
from bnsweep.records.keys import is_ours, shown
from bnsweep.redact import first_line

# By the names of their packages: what is behind them is not the user's own.
LIBRARIES = {"bnsweep", "hydra", "omegaconf", "numpy", *sys.stdlib_module_names}


@contextlib.contextmanager
def kept_alive() -> Iterator[None]:
    """Raise SystemExit where `os._exit` is called, by this thread of this process.

    It would end a run without a word, perhaps with status 0, and the driver or a worker with it.
    Remove when Python tells of the call: `atexit` and `finally` do not see it.
    """
    true_exit = os._exit
    caller = os.getpid(), threading.get_ident()

    def refuse(status: int) -> None:
        if (os.getpid(), threading.get_ident()) != caller:  # as forked children end
            true_exit(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = refuse  # type: ignore[assignment]
    try:
        yield
    finally:
        os._exit = true_exit


@contextlib.contextmanager
def told(
    group: str, part: Mapping[str, Any], given: Collection[str] | None = None
) -> Iterator[None]:
    """Tell in one line what the code of a part raises, with its file and line.

    What it does to the working directory is undone.

    Args:
        group: the group of the part: data, model, optimizer, tracking.
        part: its configuration.
        given: while it is built, the names of what its target is given beside its keys.

    Raises:
        ConfigError, DataError: it raised something, or called `sys.exit`.
    """
    try:
        with kept_alive(), contextlib.chdir(Path.cwd()):
            yield
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:
        called = given is not None and isinstance(error, TypeError)
        mismatch = _mismatch(group, part, given or ()) if called else None
        refuse(group, part, mismatch or _what(error, part), error)


def refuse(
    group: str, part: Mapping[str, Any], problem: str, cause: BaseException | None = None
) -> NoReturn:
    """Raise the error on a part of a run.

    Raises:
        ConfigError, DataError: always; it begins with the target, if it does not name a key.
    """
    kind = DataError if group == "data" else ConfigError
    if not problem.startswith(f"{group}."):
        problem = f"{group}._target_={shown(part.get('_target_'))}: {problem}"
    raise kind(problem) from cause


def _packages(error: BaseException) -> list[str]:
    """Return the package of each function that an error has left, the outermost first."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return [str(frame.f_globals.get("__name__")).partition(".")[0] for frame in frames]


def _what(error: BaseException, part: Mapping[str, Any]) -> str:
    """Return what happened, and where."""
    target = str(part.get("_target_"))
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and f"{target}.".startswith(f"{missing}."):
        package, _, name = missing.rpartition(".")
        if package:
            return f"there is no {name} in {package}"
        return f"there is no module {name}; start where it lies, or add its folder to PYTHONPATH"
    kind, text = type(error).__name__, first_line(error)
    return (kind if text == kind else f"{kind}: {text}") + _place(error)


def _place(error: BaseException) -> str:
    """Return the file and the line of the user's own where an error came from."""
    if isinstance(error, SyntaxError):  # its text ends with both
        return ""
    places = zip(_packages(error), traceback.extract_tb(error.__traceback__), strict=True)
    own = [place for package, place in places if package not in LIBRARIES]
    return f" ({from_here(Path(own[-1].filename))}, line {own[-1].lineno})" if own else ""


def _mismatch(group: str, part: Mapping[str, Any], given: Collection[str]) -> str | None:
    """Return what to do if a target does not take what it is given, or is not given what it takes.

    By its parameters: the text of the error may name the function of a base class.
    """
    target = str(part.get("_target_"))
    try:
        parameters = inspect.signature(pydoc.locate(target)).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):  # not each function tells its parameters
        return None
    keys = [key for key in part if not key.startswith("_")]
    kinds = {p.kind for p in parameters.values()}
    anything = inspect.Parameter.VAR_KEYWORD in kinds
    unknown = [key for key in (*keys, *given) if key not in parameters and not anything]
    if not unknown:
        named = (p for p in parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))
        missing = [p.name for p in named if p.default is p.empty]
        lacks = [name for name in missing if name not in (*keys, *given)]
        return f"{group}.{lacks[0]}: is missing; {target} needs it" if lacks else None
    key = unknown[0]
    takes = f"has no parameter {key} (it takes {', '.join(parameters)})"
    if key in part:
        give = "" if is_ours(part) else "give it one, or "
        return (
            f"{group}.{key}={shown(part[key])}: {target} {takes}; {give}leave the key out "
            f"(~{group}.{key} on the command line)"
        )
    return f"{takes}; beside its keys it is given {', '.join(given)}"
