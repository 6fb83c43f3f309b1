"""What a module says of itself: metadata, signatures and requirements."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest
from row_sums import SUM, SUM_INPUTS, SUM_OUTPUTS, build

from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.module.metadata import (
    decode_metadata,
    encode_metadata,
    signature_of,
)
from smartmem.backend.targets.requirements import DeviceRequirements
from smartmem.backend.targets.targets import resolve_target
from smartmem.errors import InvalidInputError
from smartmem.tensor_spec import TensorSpec


def test_metadata_that_does_not_fit_the_function(tmp_path):
    path = build(tmp_path, SUM, "cpu", SUM_INPUTS * 2, SUM_OUTPUTS)
    with pytest.raises(InvalidInputError, match="signature does not fit"):
        LoadedModule(path)


def test_metadata_survives():
    target = resolve_target("adreno")
    inputs = [TensorSpec('a "quoted" näme', (), np.dtype(ml_dtypes.bfloat16)), *SUM_INPUTS]
    read = decode_metadata(encode_metadata(target, inputs, SUM_OUTPUTS))
    assert (read.target_name, read.kind) == ("adreno", "vulkan")
    assert read.requirements == target.requirements
    assert (list(read.inputs), list(read.outputs)) == (inputs, SUM_OUTPUTS)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"target": {}},
        {"target": {"name": "x", "kind": "tpu", "requirements": None}},
        {"target": {"name": "x", "kind": "cpu", "requirements": {"subgroup_size": "8"}}},
        {"inputs": [{"name": "x", "shape": [1], "dtype": "float33"}]},
        {"outputs": None},
    ],
)
def test_metadata_of_another_form(change):
    good = json.loads(encode_metadata(resolve_target("cpu"), SUM_INPUTS, SUM_OUTPUTS))
    with pytest.raises(ValueError, match=r"\w"):
        decode_metadata(json.dumps({**good, **change}))


def test_a_module_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr("smartmem.backend.module.metadata.SCHEMA_VERSION", 99)
    path = build(tmp_path, SUM, "cpu", SUM_INPUTS, SUM_OUTPUTS)
    monkeypatch.undo()
    with pytest.raises(InvalidInputError, match=r"another version of SmartMem: .*99"):
        LoadedModule(path)


def test_signatures():
    inputs, outputs = signature_of(
        "sync func @main(%input0: tensor<1x3xf16>, %input1: tensor<i64>) -> (%output0: "
        "tensor<4xi1>)"
    )
    assert [str(spec) for spec in inputs] == ["input0: float16[1, 3]", "input1: int64[]"]
    assert [str(spec) for spec in outputs] == ["output0: bool[4]"]
    assert signature_of("sync func @main() -> (%output0: tensor<f32>)")[0] == ()
    assert signature_of("sync func @main(%input0: tensor<?xf32>) -> ()") is None
    assert signature_of("sync func @main(%input0: i32) -> ()") is None
    assert signature_of("") is None


def test_requirements_reject_wrong_values():
    for values in (
        {"subgroup_size": 1.5},
        {"max_workgroup_size": [1, 2]},
        {"features": [1]},
        {"cpu_architecture": 7},
    ):
        with pytest.raises(ValueError, match=next(iter(values))):
            DeviceRequirements.from_json(values)
