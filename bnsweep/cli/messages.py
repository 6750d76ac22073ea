"""Hydra's complaints in plain words.

Relies on the wording of Hydra's error messages; remove when its errors carry the key, the value
and the choices.
"""

import re
import shlex
from collections.abc import Callable, Sequence

from bnsweep.cli.known_keys import GROUPS, KnownKeys

# The extra that installs a launcher, by the name under which Hydra misses it.
_EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_slurm": "slurm"}


def explain(
    error: BaseException, known: Callable[[], KnownKeys], arguments: Sequence[str] = ()
) -> str:
    """Return Hydra's `error` as one clear message: what is wrong and how to fix it.

    Args:
        error: what Hydra raised.
        known: returns the keys that exist; called when they are needed.
        arguments: the command line.
    """
    text = str(error).strip()
    ambiguous = re.search(r"Ambiguous value for argument '(.*)'", text)
    if ambiguous:
        return f"{ambiguous[1]}: several values make a sweep; use -m to run it"
    extra = re.search(r"'?hydra/launcher/(\w+)'(?:: Could not load 'hydra/launcher/(\w+)')?", text)
    if extra and (missing := _EXTRAS.get(extra[2] or extra[1])):
        install = f"pip install 'bnsweep[{missing}]'"
        return f"hydra/launcher={extra[1]}: its packages are not installed; use {install}"
    option = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if option:
        return _no_option(option[1], option[2], text)
    twice = re.search(
        r"Multiple values for (\S+?)\. To|already at '([^']+)'|(\S+) appears more than once", text
    )
    if twice:
        return _given_twice(str(twice[twice.lastindex or 0]), text, arguments)
    if "Config group override must be a string" in text:
        number = next((a for a in arguments if re.fullmatch(r"[\w/]+=[^A-Za-z]*", a)), "an option")
        return f"{number}: an option of a group is a name; see --help for the options"
    key = re.search(r"Could not (?:override|append to|delete from)[^']*'?([^'\n ]+)", text)
    if key:
        name, at, package = key[1].rstrip(".").partition("=")[0].partition("@")
        if at:
            return f"{name}@{package}: {name} is not put into a package here; write {name}=..."
        return f"{name}: there is no such key; {known().hint(name)}"
    override = getattr(error, "override", None)
    if override is not None:
        return _unreadable(str(override), text.splitlines()[0])
    lines = [line for line in text.splitlines() if line and not line.startswith("See https")]
    return " ".join(line.strip() for line in lines[:3]) or type(error).__name__


def _no_option(group: str, option: str, text: str) -> str:
    """Return the message on an option that does not exist, or on a group that a file misplaces."""
    available = re.search(r"Available options in '[^']*':\n((?:\t.*\n?)*)", text)
    if available:
        options = ", ".join(available[1].split())
        return f"{group}={option}: there is no such option; there are: {options}"
    within, _, last = group.rpartition("/")
    if within and last in GROUPS:
        return (
            f"{group}={option}: there is no group {group}; in the defaults list of a file in "
            f"{within}/, write `override /{last}: {option}`"
        )
    return f"{group}={option}: there is no such option, nor another one"


def _given_twice(key: str, text: str, arguments: Sequence[str]) -> str:
    """Return the message on a key that was to be added and is there, or on a group chosen twice."""
    added = next((a for a in arguments if a.partition("=")[0] == f"+{key}"), None)
    if added is None:
        place = re.search(r"In '?([^':]+)'?: ", text)
        return (
            f"{key}: an option is chosen twice{f', in {place[1]}' if place else ''}; in a file's "
            f"defaults list write `override /{key}: ...`, on the command line give one"
        )
    return f"{added}: {key} is there already; write it without the +: {added.lstrip('+')}"


def _unreadable(override: str, why: str) -> str:
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: is neither an option nor key=value; see --help for the keys"
    if not why.startswith("LexerNoViableAlt"):
        return f"{override}: cannot be read ({why})"
    quoted = shlex.quote(f'{key}="{value}"')
    return f"{override}: contains characters that need quoting; use {quoted}"
