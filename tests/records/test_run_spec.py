"""A run as asked for, as plain values and back."""

import json
from dataclasses import replace

import pytest

from bnsweep.records import Kept, RunSpec
from bnsweep.records.keys import RESULT_KEYS

SPEC = RunSpec(
    config={"weight_std": "he", "model": {"hidden_sizes": [3, 2], "eps": 1e-7}, "seed": 4},
    options={"model": "plain", "optimizer._target_": "mine.SGD"},
    fingerprint="abc",
    data={"name": "digits", "digest": "0123", "train_samples": 800, "validation_samples": 200},
    number=7,
    swept={"model.hidden_sizes": [3, 2], "data.root": None},
    overrides=("weight_std=he", "model.hidden_sizes=[3,2]"),
    keep=Kept(figures=False, weights=True),
)


def through_a_file(spec):
    return RunSpec.from_document(json.loads(json.dumps(spec.document())))


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        replace(SPEC, keep=Kept(figures=True, weights=False), overrides=()),
        replace(SPEC, data={}, swept={}, fingerprint="", number=0),
    ],
    ids=["full", "no overrides", "no data"],
)
def test_a_run_comes_back_as_it_was_asked_for(spec):
    back = through_a_file(spec)
    assert back == spec
    assert isinstance(back.overrides, tuple)
    assert isinstance(back.keep, Kept)
    assert back.name == spec.name


@pytest.mark.parametrize("data", [{}, {"digest": "", "validation_samples": 0}])
def test_a_run_whose_data_could_not_be_had_has_no_fingerprint(data):
    cfg = {
        **{key: {} for key in RESULT_KEYS},
        "sweep": {"options": {"model": "plain"}, "number": 0, "keys": []},
        "tracking": {"figures": True, "weights": True},
    }
    assert RunSpec.of(cfg, data=data).fingerprint == ""
    assert RunSpec.of(cfg, data={"digest": "0123"}).fingerprint != ""


def test_what_else_a_document_holds_does_no_harm():
    document = SPEC.document() | {"format": 2, "status": "finished", "epochs": []}
    assert RunSpec.from_document(document) == SPEC


@pytest.mark.parametrize("part", ["config", "options", "data", "keep", "overrides"])
def test_a_document_that_lacks_a_part_is_refused(part):
    document = SPEC.document()
    del document[part]
    with pytest.raises(KeyError, match=part):
        RunSpec.from_document(document)


def test_a_document_names_the_run_for_who_reads_the_file():
    assert SPEC.document()["name"] == SPEC.name == (
        "plain weight_std=he model.hidden_sizes=[3,2] data.root=null seed=4"
    )  # fmt: skip
