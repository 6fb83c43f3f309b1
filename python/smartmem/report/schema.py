"""The JSON schema of the report: what ``Report.to_json`` writes.

Objects that are dataclasses in the code are described by their fields and docstrings.
"""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from smartmem.backend.iree_compile.compile import CompileStatistics
from smartmem.compiler.fallback import Fallback
from smartmem.passes import BindingRecord, Remark
from smartmem.passes.analysis.layout.kernel_costs import Rates
from smartmem.report.fates import Fate
from smartmem.report.graphs import KernelGraph, ModelGraph
from smartmem.report.inventory import MovementCount, OpCount
from smartmem.report.layouts import KernelPrediction, TensorLayout
from smartmem.report.report import SCHEMA_VERSION, StageRecord, StorageAccesses

Schema = dict[str, Any]

_PLAIN: dict[Any, str] = {
    bool: "boolean",
    float: "number",
    int: "integer",
    str: "string",
    type(None): "null",
}


def report_schema() -> Schema:
    """The schema, of draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report of a compilation by SmartMem",
        **_object("", _properties()),
    }


def _properties() -> dict[str, Schema]:
    count, size, text = schema_of(int), schema_of(int), schema_of(str)
    return {
        "schema_version": {"const": SCHEMA_VERSION},
        "smartmem_version": text,
        "model": _say(text, "name of the model, from its file or class"),
        "source": {"enum": ["torch", "onnx", "mlir", "stablehlo"]},
        "target": _say(text, "name of the target"),
        "opt_level": _say(text, "iree-compile's optimization level"),
        "inputs": _say(_list(_TENSOR), "what the model takes"),
        "outputs": _say(_list(_TENSOR), "what it returns"),
        "ops": _say(_list(schema_of(OpCount)), "operations where they were first classified"),
        "data_movement": _object(
            "data-movement operations as imported",
            {"count": count, "bytes_moved": size, "kinds": _list(schema_of(MovementCount))},
        ),
        "before": _say(_SIDE, "the model as imported"),
        "after": _say(_SIDE, "the model as compiled"),
        "kernels": schema_of(CompileStatistics),
        "movement_kernels": schema_of(Union[int, None]),  # noqa: UP007
        "storage": _object(
            "how the kernels access their buffers; empty if all are plain buffers",
            {
                "accesses": _list(schema_of(StorageAccesses)),
                "bindings": _list(schema_of(BindingRecord)),
            },
        ),
        "parameter_bytes": _say(size, "size of the parameters after import"),
        "module_bytes": _say(size, "size of the compiled module"),
        "stages": _list(schema_of(StageRecord)),
        "seconds": _object(
            "wall time by who did the work",
            dict.fromkeys(("total", "import", "smartmem", "iree-compile"), schema_of(float)),
        ),
        "own_peak_bytes": _say(size, "largest resident memory of this process so far"),
        "remarks": _list(schema_of(Remark)),
        "layouts": _list(schema_of(TensorLayout)),
        "kernel_costs": _list(schema_of(KernelPrediction)),
        "rates": _or_null(_rates()),
        "graphs": _object(
            "the model's operators before, its kernels after, and what became of which",
            {
                "before": schema_of(ModelGraph),
                "after": schema_of(KernelGraph),
                "fates": _list(schema_of(Fate)),
            },
        ),
        "fallbacks": _list(schema_of(Fallback)),
    }


def schema_of(type_: Any) -> Schema:
    """The schema of a field's type: of JSON's plain types, literals, tuples, dataclasses.

    Raises:
        TypeError: JSON has no such type.
    """
    if type_ in _PLAIN:
        return {"type": _PLAIN[type_]}
    if is_dataclass(type_) and isinstance(type_, type):
        return _dataclass(type_)
    arguments = get_args(type_)
    if get_origin(type_) is Literal:
        return {"enum": [*arguments]}
    if get_origin(type_) in (Union, types.UnionType):
        return {"anyOf": [schema_of(argument) for argument in arguments]}
    if get_origin(type_) is tuple and arguments[1:] == (Ellipsis,):
        return _list(schema_of(arguments[0]))
    raise TypeError(f"no JSON schema for {type_}")


def _dataclass(type_: type) -> Schema:
    hints, texts = get_type_hints(type_), _attributes(type_)
    described = {
        f.name: _say(schema_of(hints[f.name]), texts.get(f.name)) for f in fields(type_)
    }
    summary = (inspect.getdoc(type_) or "").splitlines()[0].rstrip(".")
    return _object(summary[:1].lower() + summary[1:], described)


def _attributes(type_: type) -> dict[str, str]:
    """The texts of the section "Attributes:" of a docstring, by name."""
    _, _, section = (inspect.getdoc(type_) or "").partition("Attributes:\n")
    items = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()).replace("``", "") for name, text in items}


def _object(description: str, properties: dict[str, Schema]) -> Schema:
    about = {"description": description} if description else {}
    return {
        **about,
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _say(schema: Schema, description: str | None) -> Schema:
    return {"description": description, **schema} if description else schema


def _rates() -> Schema:
    rates = schema_of(Rates)
    source = {"source": _say(schema_of(str), "where the rates come from")}
    return _object(rates["description"], source | rates["properties"])


_TENSOR = _object(
    "",
    {"name": schema_of(str), "shape": _list(schema_of(int)), "dtype": schema_of(str)},
)
_SIDE = _object(
    "",
    {
        "operations": _object("", {"data_movement": schema_of(int), "bytes_moved": schema_of(int)}),
        "kernels": _say(
            _or_null(
                _object(
                    "",
                    dict.fromkeys(
                        ("count", "data_movement", "copies", "fills", "bytes_moved",
                         "bytes_by_data_movement"),
                        schema_of(int),
                    ),
                )
            ),
            "null unless kernels are inspected: by `smartmem info`, CompileOptions.inspect_kernels",
        ),
    },
)  # fmt: skip
