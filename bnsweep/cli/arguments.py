"""The command line before Hydra reads it, and Hydra's complaints in this program's words."""

import difflib
import os
import re
import shlex
from collections.abc import Iterable, MutableMapping, Sequence

import numpy as np

from bnsweep.errors import ConfigError
from bnsweep.redact import has_secret, without_userinfo

_LOGSPACE = re.compile(r"logspace\(([^()]*)\)")
_MAX_POINTS = 100_000
_OPTIONS = (
    *("--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run"),
    *("--multirun", "--shell-completion", "--config-path", "--config-name", "--config-dir"),
    *("--experimental-rerun", "--info"),
)
_WITH_VALUE = (
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--experimental-rerun"),
)
_MAYBE_WITH_VALUE = ("--info", "-i")
# The launchers that come with an extra: what Hydra misses without it, and the extra's name.
_EXTRAS = {"ray": "ray", "submitit_slurm": "slurm"}


def logspace(start: float | str, stop: float | str, count: float | str) -> str:
    """Return `count` numbers from 10^start to 10^stop, evenly spaced by their logarithm.

    They are a comma list, as Hydra's sweeps take it: `logspace(0, -2, 3)` is `1,0.1,0.01`.

    Raises:
        ConfigError: an exponent is beyond the floating-point numbers, or the count is none.
    """
    call = f"logspace({start},{stop},{count})"
    try:
        low, high, points = float(start), float(stop), float(count)
    except (TypeError, ValueError):
        low = high = points = 0.0
    if not (points.is_integer() and 1 <= points <= _MAX_POINTS):
        raise ConfigError(
            f"{call}: logspace takes two exponents of ten and a count from 1 to {_MAX_POINTS}, "
            "such as logspace(0,-4,16)"
        )
    if not (abs(low) <= 300 and abs(high) <= 300):
        raise ConfigError(f"{call}: exponents of ten from -300 to 300 would do")
    # Twelve digits say 1 and 0.1 where seventeen say 0.10000000000000002.
    return ",".join(f"{value:.12g}" for value in np.logspace(low, high, int(points)))


def check_options(arguments: Sequence[str]) -> None:
    """Check the names of the options, for which Hydra would print all there are.

    Raises:
        ConfigError: there is no such option.
    """
    for argument in arguments:
        name, equals, value = argument.partition("=")
        # An option may be cut short.
        if not name.startswith("--") or any(known.startswith(name) for known in _OPTIONS):
            continue
        near = difflib.get_close_matches(name, _OPTIONS, n=1, cutoff=0.7)
        key = f"{name.lstrip('-')}={value if equals else '...'}"
        hint = f"did you mean {near[0]}?" if near else f"keys have no dashes: {key}"
        raise ConfigError(f"{name}: there is no such option; {hint}")


def options_first(arguments: Sequence[str]) -> list[str]:
    """Return the options and then the overrides: Hydra takes no option between two of them."""
    options: list[str] = []
    overrides: list[str] = []
    previous = ""
    for argument in arguments:
        is_value = previous in _WITH_VALUE or (
            previous in _MAYBE_WITH_VALUE and "=" not in argument
        )
        (options if is_value or argument.startswith("-") else overrides).append(argument)
        previous = "" if is_value else _in_full(argument)
    if options and _in_full(options[-1]) in _MAYBE_WITH_VALUE:
        options[-1] = "--info=all"  # or it would take the first override for its value
    return [*options, *overrides]


def _in_full(option: str) -> str:
    """Return an option that may be cut short in full."""
    if not option.startswith("--") or option in _OPTIONS:
        return option
    meant = [known for known in _OPTIONS if known.startswith(option)]
    return meant[0] if len(meant) == 1 else option


def expand(arguments: Sequence[str]) -> list[str]:
    """Replace `logspace(a,b,n)` in each override by the list of numbers it stands for.

    Raises:
        ConfigError: a logspace has other than three usable numbers.
    """

    def numbers(match: re.Match[str]) -> str:
        parts = match[1].split(",")
        if len(parts) != 3:
            raise ConfigError(f"{match[0]}: logspace takes three numbers, as in logspace(0,-4,16)")
        return logspace(*parts)

    expanded = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        # An option such as --config-dir=... is a path, not an override.
        plain = argument.startswith("-") or not equals
        expanded.append(argument if plain else f"{key}={_LOGSPACE.sub(numbers, value)}")
    return expanded


def take_out_secrets(arguments: Sequence[str], environment: MutableMapping[str, str]) -> list[str]:
    """Move a tracking URI that holds a password from the arguments to the environment.

    Hydra saves the arguments beside each run; the environment is saved nowhere.

    Raises:
        ConfigError: another argument holds a URI with a password.
    """
    kept = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        uri = value.strip("'\"")
        if key.lstrip("+") == "tracking.uri" and has_secret(uri):
            environment["MLFLOW_TRACKING_URI"] = uri
        elif without_userinfo(argument) != argument:
            raise ConfigError(
                f"{key}: a URI with a password in it would be saved with the run; "
                "tracking.uri and MLFLOW_TRACKING_URI are the places for it"
            )
        else:
            kept.append(argument)
    return kept


def explain(error: BaseException, known_keys: Iterable[str]) -> str:
    """Return Hydra's `error` as one clear message: what was wrong and what would do."""
    text = str(error).strip()
    ambiguous = re.search(r"Ambiguous value for argument '(.*)'", text)
    if ambiguous:
        return f"{ambiguous[1]}: several values make a sweep; -m runs it"
    extra = re.search(r"'hydra/launcher/(\w+)': Could not load 'hydra/launcher/(\w+)'", text)
    if extra and extra[2] in _EXTRAS:
        install = f"pip install 'bnsweep[{_EXTRAS[extra[2]]}]'"
        return f"hydra/launcher={extra[1]}: what it needs is not installed; {install} would do"
    option = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if option:
        listed = re.search(r"Available options in '[^']*':\n((?:\t.*\n?)*)", text)
        options = ", ".join((listed[1] if listed else "").split()) or "none"
        return f"{option[1]}={option[2]}: there is no such option; there are: {options}"
    key = re.search(r"Could not (?:override|append to|delete from)[^']*'?([^'\n ]+)", text)
    if key:
        name = key[1].rstrip(".").partition("=")[0].partition("@")[0]
        near = _nearest(name, known_keys)
        hint = f"did you mean {' or '.join(near)}?" if near else "--help names the keys"
        return f"{name}: there is no such key; {hint}"
    override = getattr(error, "override", None)
    if override is not None:
        return _unreadable(str(override), text.splitlines()[0])
    lines = [line for line in text.splitlines() if line and not line.startswith("See https")]
    return " ".join(line.strip() for line in lines[:3]) or type(error).__name__


def _nearest(name: str, known_keys: Iterable[str]) -> list[str]:
    """Return the known keys that `name` may be a slip of: the nearest, and any about as near."""
    near = difflib.get_close_matches(name, sorted(set(known_keys)), n=3, cutoff=0.5)
    scores = [difflib.SequenceMatcher(None, name, key).ratio() for key in near]
    return [key for key, score in zip(near, scores, strict=True) if score > scores[0] - 0.05]


def _unreadable(override: str, why: str) -> str:
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: is neither an option nor key=value; --help names the keys"
    if not why.startswith("LexerNoViableAlt"):
        return f"{override}: cannot be read ({why})"
    quoted = shlex.quote(f'{key}="{value}"')
    return f"{override}: has characters that must stand in quotes; {quoted} would do"


def working_environment(environment: MutableMapping[str, str]) -> None:
    """Set what MLflow and Ray read from the environment, where the user has not done so."""
    # An experiment tool sends nothing unasked.
    environment.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A cluster that cannot be reached is one message, not one a second.
    environment.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    environment.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    environment.setdefault("DO_NOT_TRACK", "true")
    # A server that hangs costs seconds, not the twenty minutes of MLflow's own defaults.
    environment.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    environment.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    environment.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    environment.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    environment.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def full_error(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Tell whether the user asked for tracebacks."""
    return environment.get("HYDRA_FULL_ERROR") == "1"
