"""The page on the report's JSON, and its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator

from reference_pages.markdown import NOTE, table
from smartmem.report.schema import Schema, report_schema

_INTRODUCTION = """\
# The report's JSON

`smartmem compile --report FILE`, `smartmem info --json` and `Report.to_json` write it;
[`report.schema.json`](report.schema.json) is its JSON schema. [Read the
report](../how-to/read-the-report.md) says what to make of it.

`schema_version` grows when a field changes its meaning or goes away, or when a part is added
that readers look for: version 2 added `layouts` and `kernel_costs`, version 3 `rates` and the
`storage` of each of the `kernel_costs`, version 4 `graphs`. Sizes are bytes, times are seconds. Every field is
always there. `x[]` is each item of a list.
"""


def report_schema_text() -> str:
    """The schema as a file."""
    return json.dumps(report_schema(), indent=2) + "\n"


def report_page() -> str:
    """Each field with its type and meaning."""
    rows = _fields("", report_schema())
    return f"{NOTE}{_INTRODUCTION}\n{table(('field', 'type', 'meaning'), rows)}"


def _fields(prefix: str, schema: Schema) -> Iterator[list[str]]:
    for name, field in schema["properties"].items():
        path = f"{prefix}{name}"
        yield [f"`{path}`", _type(field), field.get("description", "")]
        inner, suffix = _inner(field)
        if "properties" in inner:
            yield from _fields(f"{path}{suffix}.", inner)


def _inner(field: Schema) -> tuple[Schema, str]:
    """The object that a field holds, and how its path goes on."""
    if "anyOf" in field:
        return _inner(field["anyOf"][0])
    if "items" in field:
        return _inner(field["items"])[0], "[]"
    return field, ""


def _type(field: Schema) -> str:
    if "anyOf" in field:
        return " or ".join(map(_type, field["anyOf"]))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    return str(field["type"])
