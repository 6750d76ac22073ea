"""Prepare the command line for Hydra.

Relies on a copy of Hydra's option names; remove when Hydra accepts options between overrides.
"""

import difflib
import itertools
import os
import re
from collections.abc import MutableMapping, Sequence

import numpy as np

from bnsweep.errors import ConfigError
from bnsweep.redact import REFUSAL, has_secret, has_user, without_secrets

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
_CFG = ("--cfg", "-c")
_OF_CFG = ("--resolve", "--package", "-p")


def logspace(start: float | str, stop: float | str, count: float | str) -> str:
    """Return `count` numbers from 10^start to 10^stop, evenly spaced by their logarithm.

    The result is a comma-separated list, as Hydra's sweeps expect: `logspace(0, -2, 3)` gives
    `1,0.1,0.01`.

    Raises:
        ConfigError: an exponent is outside -300 to 300, or the count is not a whole number from 1.
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
        raise ConfigError(f"{call}: the exponents of ten must be from -300 to 300")
    # Twelve digits give 0.1; seventeen give 0.10000000000000002.
    return ",".join(f"{value:.12g}" for value in np.logspace(low, high, int(points)))


def check_options(arguments: Sequence[str]) -> None:
    """Check the names of the options; for a wrong one Hydra prints its whole usage.

    Raises:
        ConfigError: an option does not exist.
    """
    for argument in arguments:
        name, equals, value = argument.partition("=")
        # argparse accepts abbreviated options.
        if not name.startswith("--") or any(known.startswith(name) for known in _OPTIONS):
            continue
        near = difflib.get_close_matches(name, _OPTIONS, n=1, cutoff=0.7)
        key = f"{name.lstrip('-')}={value if equals else '...'}"
        hint = f"did you mean {near[0]}?" if near else f"keys have no dashes: {key}"
        raise ConfigError(f"{name}: there is no such option; {hint}")


def options_first(arguments: Sequence[str]) -> list[str]:
    """Return the options first: Hydra accepts none between two overrides."""
    options, overrides = _split(arguments)
    if options and len(options[-1]) == 1 and _full_name(options[-1][0]) in _MAYBE_WITH_VALUE:
        options[-1] = ("--info=all",)  # otherwise the first override becomes its value
    return [*itertools.chain(*options), *overrides]


def asks_for_version(arguments: Sequence[str]) -> bool:
    """Return whether `--version` is among the arguments."""
    return any(_name(option) == "--version" for option in _split(arguments)[0])


def asks_for_job(arguments: Sequence[str]) -> bool:
    """Return whether `--cfg job` is among the arguments."""
    options, _ = _split(arguments)
    values = (option[-1].rpartition("=")[2] for option in options if _name(option) in _CFG)
    return "job" in values


def without_cfg(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without `--cfg job` and the options that belong to it."""
    options, overrides = _split(arguments)
    kept = [o for o in options if _name(o) not in (*_CFG, *_OF_CFG)]
    return [*itertools.chain(*kept), *overrides]


def of_one_run(arguments: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Return the arguments for one run of a sweep: their options, and its overrides."""
    kept = [o for o in _split(arguments)[0] if _name(o) not in ("--multirun", "-m")]
    return [*itertools.chain(*kept), *overrides]


def config_dir(arguments: Sequence[str]) -> str | None:
    """Return the folder that `--config-dir` adds; None without it."""
    options, _ = _split(arguments)
    added = [o for o in options if _name(o) in ("--config-dir", "-cd")]
    return added[-1][-1].removeprefix(f"{added[-1][0].partition('=')[0]}=") if added else None


def _split(arguments: Sequence[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return the options, each with its value, and the overrides."""
    options: list[tuple[str, ...]] = []
    overrides: list[str] = []
    previous = ""
    for argument in arguments:
        is_value = previous in _WITH_VALUE or (
            previous in _MAYBE_WITH_VALUE and "=" not in argument and argument[:1] != "-"
        )
        if is_value:
            options[-1] = (*options[-1], argument)
        elif argument.startswith("-"):
            options.append((argument,))
        else:
            overrides.append(argument)
        previous = "" if is_value else _full_name(argument)
    return options, overrides


def _name(option: tuple[str, ...]) -> str:
    return _full_name(option[0].partition("=")[0])


def _full_name(option: str) -> str:
    """Return the full name of an option that may be abbreviated."""
    if not option.startswith("--") or option in _OPTIONS:
        return option
    matches = [known for known in _OPTIONS if known.startswith(option)]
    return matches[0] if len(matches) == 1 else option


def expand(arguments: Sequence[str]) -> list[str]:
    """Replace each `logspace(a,b,n)` in the overrides by its list of numbers.

    Raises:
        ConfigError: the arguments of a logspace are not three numbers in range.
    """

    def numbers(match: re.Match[str]) -> str:
        parts = match[1].split(",")
        if len(parts) != 3:
            raise ConfigError(f"{match[0]}: logspace takes three numbers, as in logspace(0,-4,16)")
        return logspace(*parts)

    expanded = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        # The value of an option such as --config-dir=... is a path.
        plain = argument.startswith("-") or not equals
        expanded.append(argument if plain else f"{key}={_LOGSPACE.sub(numbers, value)}")
    return expanded


def check_secrets(arguments: Sequence[str]) -> None:
    """Check that no argument has a password in it: Hydra saves them with each run.

    Raises:
        ConfigError: one of them contains a URI with credentials.
    """
    for argument in arguments:
        key, _, value = argument.partition("=")
        if has_user(argument) or (key.lstrip("+") == "tracking.uri" and has_secret(value)):
            raise ConfigError(f"{without_secrets(key)}: {REFUSAL}")


def set_environment_defaults(environment: MutableMapping[str, str]) -> None:
    """Set the variables that MLflow and Ray read, except those that the user has set."""
    # Send no telemetry unless the user asks for it.
    environment.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Report an unreachable cluster once, not every second.
    environment.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    environment.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    environment.setdefault("DO_NOT_TRACK", "true")
    # Give up a hanging server within seconds; MLflow's defaults take twenty minutes. It repeats
    # any request, and one that had done its work before its answer was lost makes a second run.
    environment.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    environment.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    environment.setdefault("PGCONNECT_TIMEOUT", "5")
    environment.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    environment.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


def wants_tracebacks(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Return whether the user asked for tracebacks."""
    return environment.get("HYDRA_FULL_ERROR") == "1"
