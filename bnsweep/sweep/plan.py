"""Overrides become checked jobs, before anything is started."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict

from bnsweep.errors import ConfigError
from bnsweep.report.comparison import distinguishing_keys
from bnsweep.report.labels import frozen
from bnsweep.run.build import OptionFile, chosen_options, load_dataset, option_files, plain
from bnsweep.run.config import Config, check, fingerprint, flatten, named_leaves, result_part
from bnsweep.sweep.composing import Composer, has_mapping, overlap
from bnsweep.sweep.jobs import Job, Outcomes

MAX_RUNS = 100_000

Choice = tuple[str, Any]  # of an override: as text, and its value


def plan(
    config: DictConfig, overrides: Sequence[str], composer: Composer
) -> tuple[list[Job], list[str]]:
    """Return the jobs that `overrides` describe, checked, and the keys that are swept.

    One configuration is composed for each distinct choice of group options; the values of
    all others are put in and checked without composing.

    Raises:
        ConfigError, DataError: one of the runs could not be done.
    """
    kept = _in_effect(composer.parse(overrides))
    keys = [override.get_key_element() for override in kept]
    choices = [_choices(override) for override in kept]
    settable = _settable(keys, choices)
    total = 1
    for texts_and_values in choices:
        total *= len(texts_and_values)
    if total > MAX_RUNS:
        raise ConfigError(f"the sweep has {total} runs; at most {MAX_RUNS} would do")

    composed: dict[tuple[str, ...], tuple[DictConfig, dict[str, OptionFile]]] = {}
    datasets: dict[str, Any] = {}
    jobs = []
    for number, combination in enumerate(itertools.product(*choices)):
        texts = tuple(text for text, _ in combination)
        typed = {key: value for key, (_, value) in zip(keys, combination, strict=True)}
        values = {key: value for key, value in typed.items() if key in composer.value_keys}
        structure = tuple(
            text for key, (text, _) in zip(keys, combination, strict=True) if key not in values
        )
        if structure not in composed:
            cfg = composer.load_sweep_config(config, texts)
            files = option_files(cfg.hydra.runtime)
            with open_dict(cfg):
                cfg.pop("hydra")
            composed[structure] = cfg, files
        cfg, files = composed[structure]
        for key, value in values.items():
            OmegaConf.update(cfg, key, value, merge=False)
        full = plain(cfg)
        check(full)
        _settle_place(full)
        data = repr((full["data"], full["dtype"]))
        if data not in datasets:
            datasets[data] = load_dataset(cfg)
        options = chosen_options(full, files)
        leaves = {key.lstrip("+"): value for key, value in typed.items()} | flatten(full) | options
        jobs.append(
            Job(
                number=number,
                overrides=texts,
                config=result_part(full),
                options=options,
                swept={key: leaves.get(key) for key in settable},
                fingerprint=fingerprint(full, datasets[data].digest),
                dataset=datasets[data],
            )
        )
    return _with_swept(jobs, settable)


def single(config: DictConfig) -> Job:
    """Return the job that `config` describes without a sweep, checked.

    Raises:
        ConfigError, DataError: the run could not be done.
    """
    full = plain(config)
    check(full)
    dataset = load_dataset(config)
    return Job(
        number=0,
        overrides=(),
        config=result_part(full),
        options=chosen_options(full, option_files(config.hydra.runtime)),
        swept={},
        fingerprint=fingerprint(full, dataset.digest),
        dataset=dataset,
    )


def _in_effect(overrides: Iterable[Override]) -> list[Override]:
    """Return the overrides that count, in Hydra's order: the last value or option of each key.

    A mapping counts always: it is merged into a node that has been chosen or set already.
    """
    kept: list[Override] = []
    for override in overrides:
        place = next((n for n, other in enumerate(kept) if _replaces(override, other)), None)
        if place is None:
            kept.append(override)
            continue
        if override.type == OverrideType.CHANGE:
            # What is changed has first to be there.
            override = replace(override, type=kept[place].type)
        if any(overlap(override, other) for other in kept[place + 1 :]):
            kept = [*kept[:place], *kept[place + 1 :], override]
        else:
            kept[place] = override
    return kept


def _replaces(override: Override, other: Override) -> bool:
    """Tell whether nothing is left of `other` after `override`; `+key` and `key` are one key."""
    keys = {o.get_key_element().lstrip("+") for o in (override, other)}
    return len(keys) == 1 and not has_mapping(override) and not has_mapping(other)


def _settable(keys: Sequence[str], choices: Sequence[Sequence[Choice]]) -> list[str]:
    """Return the keys that overrides with several choices set; of mappings, their leaves."""
    several = [(key, found) for key, found in zip(keys, choices, strict=True) if len(found) > 1]
    pairs = [(key.lstrip("+"), value) for key, found in several for _, value in found]
    return list(
        dict.fromkeys(
            leaf
            for key, value in pairs
            for leaf in (flatten({key: value}) if isinstance(value, dict) else (key,))
        )
    )


def _settle_place(config: Config) -> None:
    """Make the place of the data the same in any working directory."""
    if (root := config["data"].get("root")) is not None:
        config["data"]["root"] = str(Path(str(root)).expanduser().absolute())


def _with_swept(jobs: Sequence[Job], keys: Sequence[str]) -> tuple[list[Job], list[str]]:
    """Return the jobs, each with its values of what is swept, and the keys of that.

    A key that comes to the same in all jobs is not swept, and one that none of `keys` stands
    for is: two models may have come to be called by one name.
    """
    swept = [key for key in keys if len({frozen(job.swept[key]) for job in jobs}) > 1]
    none = Outcomes()
    swept += distinguishing_keys([none.sweep_run(job) for job in jobs], swept)

    def values(job: Job) -> dict[str, Any]:
        leaves = named_leaves(job.config, job.options) | job.swept
        return {key: leaves.get(key) for key in swept}

    return [replace(job, swept=values(job)) for job in jobs], swept


def _choices(override: Override) -> list[Choice]:
    """Return each choice of an override, as text and as value."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [(f"{key}={override.get_value_element_as_str()}", override.value())]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: is no list of choices; a comma list, choice(...), "
            "range(...) or logspace(...) would do"
        )
    # Once only: a second look at a shuffled list would see another order.
    texts = [
        f"{key}={text}" for text in itertools.islice(override.sweep_string_iterator(), MAX_RUNS + 1)
    ]
    if len(texts) > MAX_RUNS:
        raise ConfigError(f"{key}: has more than {MAX_RUNS} choices; fewer would do")
    parser = OverridesParser.create()
    return [(text, parser.parse_override(text).value()) for text in texts]
