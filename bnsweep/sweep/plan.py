"""Overrides become checked runs, before anything is started."""

import itertools
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict

from bnsweep.errors import ConfigError
from bnsweep.records import RunSpec, SweepPlan, fingerprint
from bnsweep.records.keys import Config, Value, brief, flatten, hashable
from bnsweep.report.comparison import distinguishing_keys
from bnsweep.report.words import in_words
from bnsweep.run.config import OptionFile, check_keys, option_files, specify
from bnsweep.run.rehearsal import Rehearsal

MAX_RUNS = 100_000
# What all runs of a sweep share: the first parts of its keys.
SHARED = ("output_dir", "resume", "on_failure", "tracking", "report", "debug", "hydra")

Choice = tuple[str, Value]  # of an override: as text, and its value


def sweep_overrides(params: Mapping[str, Any], arguments: Sequence[str]) -> list[str]:
    """Return the overrides of a sweep: the `hydra.sweeper.params` that the command line leaves.

    A value or an option that is typed replaces that of the default sweep, and takes its place in
    the order of the runs. A mapping is merged into what is there, and replaces nothing.
    """
    parsed = OverridesParser.create().parse_overrides([*arguments])
    typed = dict(zip(arguments, parsed, strict=True))
    first = []
    for key, value in params.items():
        name = key.lstrip("+")
        meeting = [text for text, o in typed.items() if _overlap(name, o.key_or_group)]
        replacing = [
            t for t in meeting if typed[t].key_or_group == name and not _has_mapping(typed[t])
        ]
        if not replacing:
            first.append(f"{key}={'null' if value is None else value}")
        elif len(meeting) == 1:  # where several meet, their own order decides
            first += meeting
    return [*first, *(text for text in arguments if text not in first)]


def make_plan(
    config: DictConfig,
    overrides: Sequence[str],
    loader: ConfigLoader,
    facts: Callable[[Config], Mapping[str, Value]] | None = None,
) -> SweepPlan:
    """Return the runs that `overrides` describe, checked.

    Hydra reads and merges a dozen files for a configuration, which takes longer than some runs
    train. One is composed for each distinct choice of group options; all other values are put
    into it and checked without composing.

    Args:
        config: the composed configuration.
        overrides: the choices of each key.
        loader: what composes the configuration of a run.
        facts: what describes the data set of a configuration; by default a `Rehearsal`.

    Raises:
        ConfigError, DataError: one of the runs could not be done.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    keys = [override.get_key_element() for override in parsed]
    choices = [_choices(override, loader) for override in parsed]
    plain = _plain_keys(parsed, loader)
    settable = _settable(keys, choices)
    total = math.prod(len(of_key) for of_key in choices)
    if total > MAX_RUNS:
        raise ConfigError(f"the sweep has {total} runs; sweep at most {MAX_RUNS}")

    composed: dict[tuple[str, ...], tuple[DictConfig, dict[str, OptionFile]]] = {}
    facts = facts or Rehearsal(config.hydra.launcher)
    specs = []

    for number, combination in enumerate(itertools.product(*choices)):
        texts = tuple(text for text, _ in combination)
        # Of a key that is given twice, the later value.
        typed = {key: value for key, (_, value) in zip(keys, combination, strict=True)}
        structure = tuple(text for key, text in zip(keys, texts, strict=True) if key not in plain)
        if structure not in composed:
            cfg = loader.load_sweep_config(config, list(texts))
            files = option_files(cfg.hydra)
            _check_sweep(cfg.hydra, config.hydra)
            with open_dict(cfg):
                cfg.pop("hydra")
                check_keys(cfg, texts)
                _check_shared(cfg, config)
                cfg.sweep["keys"] = settable
            composed[structure] = cfg, files
        cfg, files = composed[structure]
        for key in plain:
            OmegaConf.update(cfg, key, typed[key], merge=False)
        spec = specify(cfg, files, number=number, overrides=texts, facts=facts)
        # A key that stands in no configuration has the value it was given, unless it was deleted.
        given = {key.lstrip("+"): value for key, value in typed.items() if f"~{key}" not in typed}
        swept = {k: given.get(k) if v is None else v for k, v in spec.swept.items()}
        specs.append(replace(spec, swept=swept))
    specs, swept_keys = _with_swept(_different(specs), settable)
    _check_references(config, swept_keys)
    return SweepPlan(tuple(specs), tuple(swept_keys))


def _plain_keys(overrides: Sequence[Override], loader: ConfigLoader) -> set[str]:
    """Return the swept keys whose value can be put into a configuration that is composed already.

    Those are leaves that nothing else on the command line sets in another way: Hydra's order
    decides where overrides meet.
    """
    # Hydra takes milliseconds to say whether a key is a group: ask once for each.
    groups = {
        key
        for key in {o.key_or_group for o in overrides}
        if loader.get_group_options(key, ObjectType.CONFIG)
    }
    # Options are merged before any value is set, wherever they stand.
    setting = [o for o in overrides if o.key_or_group not in groups or _has_mapping(o)]

    def is_plain(override: Override, key: str) -> bool:
        return (
            override.key_or_group == key
            and key not in groups
            and override.type == OverrideType.CHANGE
            and override.package is None
            and not _has_mapping(override)
            and "${" not in str(override.input_line)  # it may stand for a mapping
        )

    return {
        key
        for key in {o.key_or_group for o in setting if o.is_sweep_override()}
        if all(is_plain(o, key) for o in setting if _overlap(key, o.key_or_group))
    }


def _has_mapping(override: Override) -> bool:
    """Whether any choice of an override merges a mapping."""
    value = override.value()
    choices = value.list if isinstance(value, ChoiceSweep) else [value]
    return any(isinstance(choice, dict) for choice in choices)


def _overlap(one: str, two: str) -> bool:
    """Whether two keys are one, or one stands within the other."""
    return f"{one}.".startswith(f"{two}.") or f"{two}.".startswith(f"{one}.")


def _check_sweep(of_run: DictConfig, whole: DictConfig) -> None:
    """Check that a swept option brings no sweep of its own, which would be left out."""
    if of_run.sweeper != whole.sweeper:
        raise ConfigError(
            f"experiment={of_run.runtime.choices.get('experiment')}: its file describes a sweep, "
            "and is one of several choices; choose one experiment at a time"
        )


def _check_shared(cfg: DictConfig, config: DictConfig) -> None:
    """Check that a run's configuration has what the sweep itself, `config`, has for all runs."""
    parts = [part for part in SHARED if part in cfg]
    own, whole = (
        flatten(cast("Config", OmegaConf.to_container(OmegaConf.masked_copy(c, parts))))
        for c in (cfg, config)
    )
    for key in own | whole:
        if own.get(key) != whole.get(key):
            raise ConfigError(
                f"{key}={brief(own.get(key))}: is one for the whole sweep, where it is "
                f"{brief(whole.get(key))}; set it outside of what is swept"
            )


def _check_references(config: DictConfig, swept: Sequence[str]) -> None:
    """Check that what is one for the whole sweep refers to nothing that is swept."""
    values = flatten(cast("Config", OmegaConf.to_container(config)))
    for key, value in values.items():
        if key != "hydra.sweep.dir" and (key.startswith("hydra.") or not _is_shared(key)):
            continue
        for name in re.findall(r"\$\{([\w.]+)\}", str(value)):
            if any(_overlap(name, other) for other in swept):
                raise ConfigError(
                    f"{key}={brief(value)}: is one for the whole sweep, and {name} is swept; "
                    "refer to something else"
                )


def _is_shared(key: str) -> bool:
    """Whether a key has one value for the whole sweep."""
    return re.split("[./@]", key)[0] in SHARED


def _different(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """Return the runs without those that are equal to an earlier one, and say that these are."""
    firsts: dict[Value, RunSpec] = {}
    equal = []
    for spec in specs:
        mark = spec.fingerprint or fingerprint(spec.config, "")
        if firsts.setdefault((mark, *map(hashable, spec.swept.values())), spec) is not spec:
            equal.append(spec)
    if equal:
        print(
            f"bnsweep: {len(equal)} of the {len(specs)} runs left out: each equals another one, "
            f"which is done once, such as {equal[0].name}",
            file=sys.stderr,
        )
    return [replace(spec, number=number) for number, spec in enumerate(firsts.values())]


def _settable(keys: Sequence[str], choices: Sequence[Sequence[Choice]]) -> list[str]:
    """Return the keys that overrides with several choices set; of mappings, their leaves."""
    several = [(key, of_key) for key, of_key in zip(keys, choices, strict=True) if len(of_key) > 1]
    pairs = [(key.lstrip("+"), value) for key, of_key in several for _, value in of_key]
    return list(
        dict.fromkeys(
            leaf
            for key, value in pairs
            for leaf in (flatten({key: value}) if isinstance(value, dict) else (key,))
        )
    )


def _with_swept(specs: Sequence[RunSpec], keys: Sequence[str]) -> tuple[list[RunSpec], list[str]]:
    """Return the runs, each with its values of the swept keys, and those keys.

    A key with the same value in all runs is not swept. One that is not among `keys` may be: two
    different models can have one name.
    """
    swept = [key for key in keys if len({hashable(spec.swept[key]) for spec in specs}) > 1]
    swept += distinguishing_keys(specs, swept)

    def values(spec: RunSpec) -> dict[str, Value]:
        leaves = spec.leaves | dict(spec.swept)
        return {key: leaves.get(key) for key in swept}

    return [replace(spec, swept=values(spec)) for spec in specs], swept


def _choices(override: Override, loader: ConfigLoader) -> list[Choice]:
    """Return each choice of an override, as text and as value.

    Raises:
        ConfigError: there are none, or more than a sweep may have.
    """
    key = override.get_key_element()
    if override.is_delete() and "=" not in str(override.input_line):
        return [(key, None)]  # with a value, Hydra 1.4 deletes that value alone, also null
    if not override.is_sweep_override():
        return [(f"{key}={override.get_value_element_as_str()}", override.value())]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{brief(override.input_line)}: not a list of choices; use a comma list, choice(...), "
            "range(...) or logspace(...)"
        )
    # Iterate once: a shuffled list has another order the second time.
    texts = [
        f"{key}={text}" for text in itertools.islice(override.sweep_string_iterator(), MAX_RUNS + 1)
    ]
    if len(texts) > MAX_RUNS:
        raise ConfigError(f"{key}: more than {MAX_RUNS} choices; give fewer")
    if _is_shared(override.key_or_group):
        quoted = f"""; a text with commas stands in quotes of its own, as in '{key}="one, two"'"""
        raise ConfigError(
            f"{key.lstrip('+')}: is one for the whole sweep, and has {len(texts)} values; give one"
            f"{quoted if ' ' in str(override.input_line) else ''}"
        )
    if not texts:
        options = loader.get_group_options(override.key_or_group, ObjectType.CONFIG)
        there_are = f"; there are {in_words(options)}" if options else "; give at least one"
        raise ConfigError(f"{brief(override.input_line)}: is a sweep of no values{there_are}")
    parser = OverridesParser.create()
    return [(text, parser.parse_override(text).value()) for text in texts]
