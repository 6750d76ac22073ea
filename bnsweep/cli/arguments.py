"""Prepare the command line for Hydra."""

import os
import re
from argparse import Namespace
from collections.abc import MutableMapping, Sequence

import numpy as np
from hydra.core.override_parser.types import Quote, QuotedString

from bnsweep import __version__, hydra_inside
from bnsweep.errors import ConfigError
from bnsweep.redact import REFUSAL, has_secret, has_user, without_secrets

# Quoted text first, so that nothing is found in it.
_NOTATION = re.compile(
    r"""'(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*"
      | logspace\((?P<numbers>[^()]*)\)
      | (?P<before>(?:^|[,:(\[{])\s*)
        (?P<path>~(?:/(?:\$\{[^{}]*\}|[^,\[\](){}'"])*)?) (?=[,\])}]|$)
    """,
    re.VERBOSE,
)
_MAX_POINTS = 100_000


def logspace(start: int | float | str, stop: int | float | str, count: int | float | str) -> str:
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


def parse(arguments: Sequence[str]) -> Namespace:
    """Return what the command line asks for, as Hydra reads it, with our own notations expanded.

    Raises:
        ConfigError: an option does not exist, or a value cannot be one.
    """
    args = hydra_inside.parse(arguments, f"bnsweep {__version__}")
    if args.experimental_rerun is not None:
        raise ConfigError(
            "--experimental-rerun: bnsweep does not keep what it takes; a run's overrides are in "
            ".hydra/overrides.yaml of its folder"
        )
    if args.package is not None and args.cfg is None:
        raise ConfigError(f"--package {args.package}: shows a part of --cfg; add --cfg job")
    if args.multirun and "hydra.mode=RUN" in args.overrides:
        raise ConfigError("hydra.mode=RUN: is a single run, and -m a sweep; leave one of them out")
    args.overrides = expand(args.overrides)
    for option in ("config_dir", "config_path"):
        if (path := getattr(args, option)) is not None:
            setattr(args, option, os.path.expanduser(path))  # noqa: PTH111  (pkg://... is none)
    return args


def config_dir(arguments: Sequence[str]) -> str | None:
    """Return the folder that `--config-dir` adds; None without it."""
    folder: str | None = parse(arguments).config_dir
    return folder


def expand(overrides: Sequence[str]) -> list[str]:
    """Replace in the values what Hydra does not know: `logspace(a,b,n)`, and `~` for the home.

    A list of numbers stands in the place of the one, a path in the place of the other. What is
    quoted is text, and stays as it is.

    Raises:
        ConfigError: the arguments of a logspace are not three numbers in range.
    """

    def expanded(match: re.Match[str]) -> str:
        if match["numbers"] is not None:
            parts = match["numbers"].split(",")
            if len(parts) != 3:
                call = match[0]
                raise ConfigError(f"{call}: logspace takes three numbers, as in logspace(0,-4,16)")
            return logspace(*parts)
        if match["path"] is not None:
            return f"{match['before']}{_quoted(os.path.expanduser(match['path'].rstrip()))}"  # noqa: PTH111
        return match[0]

    pairs = (text.partition("=") for text in overrides)
    return [f"{key}{equals}{_NOTATION.sub(expanded, value)}" for key, equals, value in pairs]


def _quoted(path: str) -> str:
    """Return a path as a value that Hydra can read."""
    plain = re.fullmatch(r"[\w/.+-]+", path, re.ASCII)
    return path if plain else QuotedString(path, Quote.single).with_quotes()


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
