"""The JSON schema of the report, and a real report."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import pytest

import smartmem
from smartmem.compiler.fallback import Fallback
from smartmem.options import CompileOptions
from smartmem.report.schema import report_schema, schema_of


def test_a_report_fits_its_schema(onnx_file: Path) -> None:
    options = CompileOptions(storage="texel_buffer", inspect_kernels=True)
    report = smartmem.compile(onnx_file, target="adreno", options=options).report
    given_up = Fallback("ungroup", (1, 2), "O1", "an error")
    values = json.loads(json.dumps(replace(report, fallbacks=(given_up,)).to_json()))
    lists = ("ops", "remarks", "stages", "layouts", "kernel_costs", "fallbacks")
    assert all(values[name] for name in lists)
    assert values["storage"]["bindings"] and values["before"]["kernels"] and values["rates"]
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    for wrong in ({"more": 1}, {"module_bytes": "1"}, {"schema_version": 2}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values | wrong, schema)


@dataclass(frozen=True)
class Pair:
    """A pair.

    Attributes:
        first: what stands
            first.
        second: what may not.
    """

    first: tuple[int, ...]
    second: str | None


def test_a_dataclass_is_described_by_its_docstring() -> None:
    assert schema_of(Pair) == {
        "description": "a pair",
        "type": "object",
        "properties": {
            "first": {
                "description": "what stands first.",
                "type": "array",
                "items": {"type": "integer"},
            },
            "second": {
                "description": "what may not.",
                "anyOf": [{"type": "string"}, {"type": "null"}],
            },
        },
        "required": ["first", "second"],
        "additionalProperties": False,
    }
    with pytest.raises(TypeError, match="no JSON schema"):
        schema_of(complex)
