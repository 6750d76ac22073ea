"""Overrides become checked jobs, before anything is started."""

import itertools
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from bnsweep.build import chosen_options, load_dataset, plain
from bnsweep.config import ConfigError, check, fingerprint, flatten, result_part
from bnsweep.sweep.composing import Composer
from bnsweep.sweep.jobs import Job

MAX_RUNS = 100_000


def plan(
    config: DictConfig, overrides: Sequence[str], composer: Composer
) -> tuple[list[Job], list[str]]:
    """Return the jobs that `overrides` describe, checked, and the keys that are swept.

    One configuration is composed for each distinct choice of group options; the values of
    all others are put in and checked without composing.

    Raises:
        ConfigError, DataError: one of the runs could not be done.
    """
    # `+key` and `key` are one key: the later override of it counts.
    last = {o.get_key_element().lstrip("+"): o for o in composer.parse(overrides)}
    choices = {key: _choices(override) for key, override in last.items()}
    swept = [key for key, values in choices.items() if len(values) > 1]
    total = 1
    for texts_and_values in choices.values():
        total *= len(texts_and_values)
    if total > MAX_RUNS:
        raise ConfigError(f"the sweep has {total} runs; at most {MAX_RUNS} would do")

    value_keys = composer.value_keys & {o.get_key_element() for o in last.values()}
    composed: dict[tuple[str, ...], tuple[DictConfig, dict[str, str]]] = {}
    datasets: dict[str, Any] = {}
    jobs = []
    for number, combination in enumerate(itertools.product(*choices.values())):
        texts = tuple(text for text, _ in combination)
        by_key = dict(zip(choices, combination, strict=True))
        values = {key: value for key, (_, value) in by_key.items() if key in value_keys}
        structure = tuple(text for key, (text, _) in by_key.items() if key not in values)
        if structure not in composed:
            cfg = composer.load_sweep_config(config, texts)
            options = chosen_options(cfg.hydra.runtime.choices)
            with open_dict(cfg):
                cfg.pop("hydra")
            composed[structure] = cfg, options
        cfg, options = composed[structure]
        for key, value in values.items():
            OmegaConf.update(cfg, key, value, merge=False)
        full = plain(cfg)
        check(full)
        data = repr((full["data"], full["dtype"]))
        if data not in datasets:
            datasets[data] = load_dataset(cfg)
        flat = flatten(full) | options
        jobs.append(
            Job(
                number=number,
                overrides=texts,
                config=result_part(full),
                options=options,
                swept={key: flat.get(key, by_key[key][1]) for key in swept},
                fingerprint=fingerprint(full, datasets[data].digest),
                dataset=datasets[data],
            )
        )
    return jobs, swept


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
        options=chosen_options(config.hydra.runtime.choices),
        swept={},
        fingerprint=fingerprint(full, dataset.digest),
        dataset=dataset,
    )


def _choices(override: Override) -> list[tuple[str, Any]]:
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
