"""Writes a report as a page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from smartmem.errors import InvalidInputError
from smartmem.files import write_file
from smartmem.page.placement import Point, above, place
from smartmem.report.graphs import layer_of
from smartmem.report.report import SCHEMA_VERSION

Json = dict[str, Any]

_PARTS = {
    "/*CYTOSCAPE*/": "cytoscape.min.js",
    "/*STYLE*/": "page.css",
    "/*VIEWS*/": "views.js",
    "/*PAGE*/": "page.js",
}
_NEEDED = (
    "model",
    "target",
    "graphs",
    "remarks",
    "kernel_costs",
    "layouts",
    "stages",
    "seconds",
)


def read_report(path: Path) -> Json:
    """The report in a file that ``Report.save`` wrote.

    Raises:
        InvalidInputError: it cannot be read, is no report, or one of another version.
    """
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInputError(
            f"{path} is no report: not JSON; write one with `smartmem compile --report FILE`"
        ) from error
    if not isinstance(values, dict) or "schema_version" not in values:
        raise InvalidInputError(
            f"{path} is no report: it has no schema_version; write one with "
            "`smartmem compile --report FILE`"
        )
    version = values["schema_version"]
    if version != SCHEMA_VERSION:
        raise InvalidInputError(
            f"{path} is a report of schema version {version}, this SmartMem reads "
            f"{SCHEMA_VERSION}; compile the model again with --report"
        )
    missing = [name for name in _NEEDED if name not in values]
    if missing:
        raise InvalidInputError(
            f"{path} is no report: it lacks {', '.join(missing)}; compile the model again "
            "with --report"
        )
    return values


def write_page(report: Json, path: Path, measured: Mapping[int, float] | None = None) -> None:
    """Writes the page of a report.

    Args:
        report: as ``Report.to_json`` returns it.
        measured: seconds of kernels by number, from a profile.

    Raises:
        InvalidInputError: the path cannot be written, or the report is damaged.
    """
    text = page(report, measured).encode()
    write_file(path, lambda out: out.write(text))


def page(report: Json, measured: Mapping[int, float] | None = None) -> str:
    """The page as text; arguments and errors as for ``write_page``."""
    try:
        data = page_data(report, measured or {})
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"the report is damaged: {type(error).__name__}: {error}; compile the model again "
            "with --report"
        ) from error
    folder = resources.files("smartmem.page") / "files"
    text = (folder / "page.html").read_text()
    text = text.replace("{title}", html.escape(f"{data['report']['model']}"))
    for mark, name in _PARTS.items():
        text = text.replace(mark, (folder / name).read_text())
    # "<" would end the element: </script>, or begin a comment.
    encoded = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return text.replace("/*DATA*/", encoded)


def page_data(report: Json, measured: Mapping[int, float]) -> Json:
    """What the page's script reads: the report, and where its nodes are drawn."""
    graphs = report["graphs"]
    costs = {cost["number"]: cost for cost in report["kernel_costs"]}
    for number, seconds in measured.items():
        if number in costs:
            costs[number] = {**costs[number], "measured_s": seconds}
    return {
        "report": {
            **report,
            "kernel_costs": list(costs.values()),
            "remarks": [_remark(remark) for remark in report["remarks"]],
        },
        "places": {side: _places(graphs[side]) for side in ("before", "after")},
    }


def _remark(remark: Json) -> Json:
    """A remark with its layer for its place, which is long."""
    kept = {name: remark[name] for name in ("argument", "op", "applied", "reason")}
    return {**kept, "layer": layer_of(remark["location"])}


def _places(graph: Json) -> list[Point]:
    """The places of all nodes; weights stand above the first that reads them."""
    nodes, edges = graph["nodes"], [(e["source"], e["target"]) for e in graph["edges"]]
    weights = {node["id"] for node in nodes if node["kind"] == "weight"}
    rest = [node["id"] for node in nodes if node["id"] not in weights]
    number = {node: place for place, node in enumerate(rest)}
    places = place(
        len(rest), [(number[a], number[b]) for a, b in edges if a in number and b in number]
    )
    found = dict(zip(rest, places, strict=True))
    readers: dict[int, list[int]] = {}
    for source, target in edges:
        if source in weights:
            weights.remove(source)
            readers.setdefault(target, []).append(source)
    for reader, read in readers.items():
        found |= dict(zip(read, above(found[reader], len(read)), strict=True))
    return [found.get(node["id"], (0.0, 0.0)) for node in nodes]
