"""What went wrong, in plain words: one line, with what to do."""

import shlex
from collections.abc import Callable, Sequence

from bnsweep.cli.known_keys import GROUPS, KnownKeys
from bnsweep.errors import UnknownKeyError, UserError
from bnsweep.hydra_inside import Complaint, complaint, readable
from bnsweep.records.keys import KEYS
from bnsweep.report.words import in_words

# The extra that installs a launcher, by the name under which Hydra misses it.
_EXTRAS = {"joblib": "joblib", "ray": "ray", "submitit_slurm": "slurm"}
_LONGEST = 1000  # characters of a message; what to do stands at its end
_IN_A_FILE = "in a file write ${logspace:0,-4,16} below hydra.sweeper.params"
_WORDS = {
    "several values": "{0.override}: several values make a sweep; use -m to run it",
    "swept": "{0.override}: belongs to the sweep as a whole; give it one value",
    "no main file": "--config-name={0.value}: there is no such file; name its folder by "
    "--config-dir",
    "no folder": "{0.value}: there is no such folder; give --config-dir one that exists",
    "forced": "{0.override}: an option of a group takes no ++; write {bare}",
    "not chosen": "~{0.key}: this option is not chosen; leave it out",
    "another value": "{0.override}: the value of {0.key} is {0.value}; leave this argument out",
    "in a package": "{0.key}@{0.package}: {0.key} is not put into a package here; write "
    "{0.key}=...",
    "not there yet": "{0.override}: {0.key} is not there yet; add it by +{0.override}",
    "refers to nothing": "{where}: ${{{0.value}}} refers to a key that does not exist; {hint}",
    "refers to itself": "{where}: refers to itself by ${{...}}; give it a value",
    "not set": "{where}: the environment variable {0.value} is not set; set it, or give a value "
    "to do without it: ${{oc.env:{0.value},value}}",
    "no value": "{where}: has no value; give it one",
    "no resolver": "{where}: there is no ${{{0.value}:...}}; write a value",
    "no plugin": "hydra.launcher, hydra.sweeper: an option is chosen by a slash; write "
    "hydra/launcher=... or hydra/sweeper=...",
    "no mapping": "{where}: is not a mapping of keys to values; write key: value",
    "no YAML": "{0.file}, line {0.value}: is not YAML ({0.reason}); mend it",
}
# What an argument that cannot be read may have been meant to be, and what is wrong with it then.
_REPAIRS: tuple[tuple[str, Callable[[str, str], str]], ...] = (
    ("has a blank beside its key", lambda key, value: f"{key.strip()}={value.strip()}"),
    ("has a = or a comma too many", lambda key, value: f"{key}={value.strip('=,')}"),
    ("has ; for , between values", lambda key, value: f"{key}={value.replace(';', ',')}"),
)


def explain(
    error: BaseException, known: Callable[[], KnownKeys], arguments: Sequence[str] = ()
) -> str:
    """Return `error` as one clear message: what is wrong and how to fix it.

    Args:
        error: what was raised.
        known: returns the keys that exist; called when they are needed.
        arguments: the command line.
    """
    text = _explained(error, known, arguments)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST * 3 // 4]} ... {text[-_LONGEST // 4 :]}"


def lacks_parts(name: str, parts: Sequence[str]) -> str:
    """Return the message on a configuration of the user's own that lacks parts of ours."""
    return (
        f"--config-name={name}: its file has no {in_words(parts, 'or')}; begin it with "
        "`defaults: [config, _self_]`, which brings all of bnsweep's own"
    )


def _explained(
    error: BaseException, known: Callable[[], KnownKeys], arguments: Sequence[str]
) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, UnknownKeyError):
        return f"{error}; {known().hint(error.args[0])}"
    if isinstance(error, UserError):
        return f"{error}; {_IN_A_FILE}" if "=logspace(" in str(error) else str(error)
    found = complaint(error)
    if not found.expected:
        if isinstance(error, OSError | ValueError):
            return found.reason
        name = type(error).__name__
        return f"{name}: {found.reason} (set HYDRA_FULL_ERROR=1 for the traceback)"
    match found.kind:
        case "no option":
            return _no_option(found)
        case "no key":
            return _no_key(found, known(), arguments)
        case "no name":
            return _no_name(found, known())
        case "there already" | "chosen twice":
            return _given_twice(found, arguments)
        case "unreadable":
            return _unreadable(found, known)
    place = f" in {found.file}" if found.file else ""
    where = found.override or (found.key + place if found.key else found.file)
    if words := _WORDS.get(found.kind):
        hint = known().hint(found.value) if "{hint}" in words else ""
        return words.format(
            found, where=where, hint=hint, bare=found.override.lstrip("+")
        ).removeprefix(": ")
    return f"{where}: {found.reason}" if where else found.reason


def _no_option(found: Complaint) -> str:
    """Return the message on an option that does not exist, or on a group that a file misplaces."""
    group, option = found.key, found.value
    if group == "hydra/launcher" and option in _EXTRAS:
        within, _, name = found.file.rpartition("/")
        given = name if within == group else option
        install = f"pip install 'bnsweep[{_EXTRAS[option]}]'"
        return f"{group}={given}: its packages are not installed; use {install}"
    if found.choices:
        options = ", ".join(found.choices)
        return f"{group}={option}: there is no such option; there are: {options}"
    last = group.rpartition("/")[2]
    if group != last in GROUPS:
        return (
            f"{group}={option}: there is no group {group}; in the defaults list of {found.file}, "
            f"write `override /{last}: {option}`"
        )
    place = f", for which {found.file} asks" if found.file else ""
    return f"{group}={option}: there is no such option{place}; see --help for the options"


def _no_key(found: Complaint, known: KnownKeys, arguments: Sequence[str]) -> str:
    """Return the message on a key that does not exist, or that something has taken away."""
    key = found.key
    place = f" in {found.file}" if found.file else ""
    within, _, group = key.rpartition("/")
    if place and within and group in GROUPS:
        return f"{key}{place}: there is no such group; write `override /{group}: ...`"
    takers = [
        argument
        for argument in arguments
        if (name := argument.lstrip("~+").partition("=")[0]) not in GROUPS or argument[0] == "~"
        if key.startswith(f"{name}.") or argument == f"~{key}"
    ]
    if takers and key in known.keys:
        return f"{key}{place}: is taken away by {takers[0]}; leave one of the two out"
    if key in known.keys and (named := [a for a in arguments if a.startswith("--config-name=")]):
        return lacks_parts(named[0].partition("=")[2], [key])
    return f"{key}{place}: there is no such key; {known.hint(key)}"


def _no_name(found: Complaint, known: KnownKeys) -> str:
    """Return the message on a group that is given something else than the name of an option."""
    group = found.override.lstrip("+").partition("=")[0].partition("@")[0]
    if not group:
        return f"{found.override}: has no key; write key=value"
    options = list(known.options.get(group, ()))
    which = f"write {in_words(options, 'or')}" if options else "see --help for the names"
    return f"{found.override}: must be the name of an option of {group}; {which}"


def _given_twice(found: Complaint, arguments: Sequence[str]) -> str:
    """Return the message on a key that was to be added and is there, or on a group chosen twice."""
    key = found.key
    added = next((a for a in arguments if a.partition("=")[0] == f"+{key}"), found.override)
    if added:
        return f"{added}: {key} is there already; write it without the +: {added.lstrip('+')}"
    return (
        f"{key}: an option is chosen twice{f', in {found.file}' if found.file else ''}; in a "
        f"file's defaults list write `override /{key}: ...`, on the command line give one"
    )


def _unreadable(found: Complaint, known: Callable[[], KnownKeys]) -> str:
    """Return the message on an argument that Hydra cannot read."""
    override = found.override
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: is neither an option nor key=value; see --help for the keys"
    for wrong, repair in _REPAIRS:
        repaired = repair(key, value)
        if repaired != override and readable(repaired):
            return f"{override}: {wrong}; write {shlex.quote(repaired)}"
    if not readable(f"{key}=1"):
        return f"{override}: {key} cannot be a key; {known().hint(key)}"
    if "logspace(" in value:
        return f"{override}: is written so on the command line alone; {_IN_A_FILE}"
    why, even = f"cannot be read ({found.reason})", True
    if found.reason.startswith("at "):
        even = all(value.count(one) == value.count(other) for one, other in ("()", "[]", "{}"))
        why = why if even else "has a bracket without its other"
    import bnsweep.nn.layers  # noqa: F401  (enters what `model.activation` takes)

    row, quoted = KEYS.get(key.lstrip("+")), f'{key}="{value}"'
    if row and not row.accepts(value):
        return f"{override}: {why}; must be {row.must_be()}"
    if value.startswith(("[", "{")):
        return f"{override}: {why}; a list is [value,value], a mapping {{key: value}}"
    if not readable(quoted):
        return f"{override}: {why}; close the quotes that it opens"
    if even and found.reason.startswith("at "):
        why = "contains characters that need quoting"
    return f"{override}: {why}; use {shlex.quote(quoted)}"
