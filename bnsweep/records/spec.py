"""A run as it is asked for: its configuration, its name, its fingerprint."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple, Self

from bnsweep.records.keys import (
    GROUPS,
    RESULT_KEYS,
    Config,
    Value,
    effective,
    flatten,
    hashable,
    is_neutral,
    shown,
)

USUAL_OPTIMIZER = "sgd"  # a run's name leaves it out
FINGERPRINT_FORMAT = 3  # raise it when the code changes what a configuration computes


class Kept(NamedTuple):
    """Which of the large files a run keeps in its folder."""

    figures: bool = True
    weights: bool = True


KEEP_ALL = Kept()


@dataclass(frozen=True)
class RunSpec:
    """A run as it is asked for: all that is known before it starts.

    Attributes:
        config: the part of the composed configuration that decides the run's numbers, as plain
            nested values.
        options: what its parts are called (`{"model": "batchnorm", ...}`).
        fingerprint: a hash of what changes the run's numbers, and of nothing else; empty where
            the data could not be had.
        data: its data set: name, digest and sizes; without a digest where it could not be had.
        number: its number in the sweep; 0 for a single run.
        swept: the value of each swept key; for a group it is the name of its part.
        overrides: the overrides from which a launcher composes the run's configuration again.
        keep: which files it keeps.
    """

    config: Config
    options: Mapping[str, str]
    fingerprint: str
    data: Mapping[str, Value] = field(default_factory=dict)
    number: int = 0
    swept: Mapping[str, Value] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    keep: Kept = KEEP_ALL

    @classmethod
    def of(
        cls, cfg: Mapping[str, Any], *, data: Mapping[str, Value], overrides: Sequence[str] = ()
    ) -> Self:
        """Return the run that a composed configuration describes.

        Args:
            cfg: the whole configuration as plain nested values, checked. Its part `sweep` holds
                the run's number, what its parts are called, and the swept keys.
            data: what describes its data set; without a `digest` where it could not be had.
            overrides: from which `cfg` was composed.
        """
        config = {key: cfg[key] for key in RESULT_KEYS}
        options = dict(cfg["sweep"]["options"])
        leaves = flatten(cfg) | options
        digest = data.get("digest")
        return cls(
            config=config,
            options=options,
            fingerprint=fingerprint(config, str(digest)) if digest else "",
            data=data,
            number=cfg["sweep"]["number"],
            swept={key: leaves.get(key) for key in cfg["sweep"]["keys"]},
            overrides=tuple(overrides),
            keep=Kept(figures=cfg["tracking"]["figures"], weights=cfg["tracking"]["weights"]),
        )

    def document(self) -> dict[str, Any]:
        """Return the run as plain values, from which `from_document` makes it again."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"name": self.name, "keep": self.keep._asdict()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the run that a document describes, whatever else it holds.

        Raises:
            KeyError: it lacks a part.
        """
        own = {field.name: document[field.name] for field in fields(cls)}
        own |= {"overrides": tuple(own["overrides"]), "keep": Kept(**own["keep"])}
        return cls(**own)

    @property
    def seed(self) -> Value:
        """The seed, by which a run is paired with others; None if it has none."""
        return self.config.get("seed")

    @property
    def name(self) -> str:
        """A name such as `batchnorm weight_std=0.0464 optimizer.lr=0.1 seed=0`.

        The optimizer follows the model, `batchnorm optimizer=adam ...`, unless it is the usual
        one, or its swept `_target_` stands in the name.
        """
        placed = ("model", "optimizer", "weight_std", "seed")
        others = [key for key in self.swept if key not in placed]
        unusual = self.options.get("optimizer", USUAL_OPTIMIZER) != USUAL_OPTIMIZER
        told = "optimizer" in self.swept or (unusual and "optimizer._target_" not in self.swept)
        keys = [*(["optimizer"] if told else []), "weight_std", *others, "seed"]
        values = self.leaves | dict(self.swept)
        return " ".join(
            [self.options["model"], *(f"{key}={shown(values.get(key), 3)}" for key in keys)]
        )

    @cached_property
    def leaves(self) -> dict[str, Value]:
        """Each leaf of the configuration by its dotted key, and the names of the parts."""
        return flatten(self.config) | dict(self.options)

    @property
    def model(self) -> str:
        """The name of the model; `batchnorm` and `plain` follow what was made of them."""
        name = self.options["model"]
        plain_or_not = "batchnorm" if self.batch_norm else "plain"
        return plain_or_not if name in ("batchnorm", "plain") else name

    @property
    def batch_norm(self) -> bool:
        """Whether the model has Batch Normalization, and no other layer in its place."""
        replaced = any(key.startswith("model.norm_layer") for key in self.leaves)
        return self.leaves.get("model.batch_norm") is True and not replaced

    def value(self, key: str) -> Value:
        """Return the value of a key, a list as a tuple; what was swept by its swept value."""
        return hashable(self.swept[key] if key in self.swept else self.leaves.get(key))

    @property
    def parameters(self) -> dict[str, Value]:
        """What identifies the run to a reader: its leaves and the names of its parts.

        Left out are the parts' own `_target_`s, unless `options` holds one because no name
        stands for it, and what says how an object is made of its leaves.
        """
        targets = {f"{group}._target_" for group in GROUPS}
        hydras = ("_partial_", "_convert_", "_recursive_")
        named = {
            key: value
            for key, value in self.leaves.items()
            if key not in targets and key.rpartition(".")[2] not in hydras
        }
        return named | dict(self.options)

    @property
    def settings(self) -> dict[str, Value]:
        """Each leaf of the configuration that changes the run's numbers, except the seed."""
        return {key: value for key, value in effective(self.config).items() if key != "seed"}


def fingerprint(config: Mapping[str, Any], data_digest: str) -> str:
    """Return a hash of what changes a run's numbers, and of nothing else.

    It covers `_target_`s and values, not the names of options; the data, not their place; `1`,
    `1.0` and `1e0` are one number. Keys that do nothing are left out: those whose value is
    neutral, and those that need another key which is off.
    """
    leaves = effective(config)
    telling = {k: _canonical(v) for k, v in leaves.items() if not is_neutral(k, v, config)}
    text = json.dumps([FINGERPRINT_FORMAT, data_digest, telling], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _canonical(value: Value) -> Value:
    """Return `value` with each number in one form, so that equal settings hash equally."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
