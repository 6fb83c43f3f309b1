"""The report as tables for people."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from rich.console import Console, RenderableType
from rich.table import Table

from smartmem.dialect import GROUPS, MAPPINGS
from smartmem.inventory import UNCLASSIFIED, Inventory
from smartmem.report import Report

WIDTH = 96


def render(report: Report) -> str:
    """All tables of the report as plain text, at most ``WIDTH`` columns wide."""
    return render_text(tables(report))


def render_text(parts: Iterable[RenderableType]) -> str:
    """Tables and lines as plain text, the same on a terminal and in a file."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=False, highlight=False)
    for index, part in enumerate(parts):
        if index:
            console.print()
        console.print(part, markup=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def tables(report: Report) -> Iterator[RenderableType]:
    """The parts of the report in reading order: totals first, details after."""
    yield f"{report.model} ({report.source}) for target {report.target} at {report.opt_level}"
    yield summary_table(report)
    yield ops_table(report.inventory)
    yield movement_table(report.inventory)
    yield stage_table(report)
    if report.remarks:
        yield remark_table(report)


def new_table(title: str, *columns: str) -> Table:
    """A table in the style all our tables have; columns after the first hold numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    return table


def format_bytes(size: int) -> str:
    """A size as people read it: ``512 B``, ``1.5 KiB``, ``27.3 MiB``."""
    value, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"


def format_seconds(seconds: float) -> str:
    """A time as people read it: ``850 us``, ``12.3 ms``, ``4.56 s``."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def summary_table(report: Report) -> Table:
    """The totals."""
    inventory, kernels = report.inventory, report.kernels
    table = new_table("Summary", "", "")
    table.show_header = False
    rows = {
        "operations": str(sum(count.count for count in inventory.ops)),
        "data-movement operations": str(inventory.movements),
        "bytes moved by them": format_bytes(inventory.bytes_moved),
        "kernels": str(kernels.kernels),
        "  of them only data movement": _optional(report.movement_kernels),
        "copies": str(kernels.copies),
        "fills": str(kernels.fills),
        "constants": format_bytes(kernels.constant_bytes),
        "transient memory": format_bytes(kernels.transient_bytes),
        "compiled module": format_bytes(report.module_bytes),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    return table


def _optional(number: int | None) -> str:
    return "" if number is None else str(number)


def ops_table(inventory: Inventory) -> Table:
    """Operations by group (rows) and mapping type (columns)."""
    counts = {(c.group, c.mapping): c.count for c in inventory.ops}
    groups = [g for g in (*GROUPS, UNCLASSIFIED) if any(k[0] == g for k in counts)]
    mappings = [m for m in (*MAPPINGS, UNCLASSIFIED) if any(k[1] == m for k in counts)]
    table = new_table("Operations by group and mapping type", "group", *mappings, "all")
    for group in groups:
        row = [counts.get((group, mapping), 0) for mapping in mappings]
        table.add_row(group, *map(str, row), str(sum(row)))
    return table


def movement_table(inventory: Inventory) -> Table:
    """Data movement by kind."""
    table = new_table(
        "Data movement", "kind", "operations", "on constants", "bytes read + written"
    )
    for row in inventory.data_movement:
        moved = format_bytes(row.bytes_moved)
        table.add_row(row.kind, str(row.count), str(row.constant_count), moved)
    return table


def stage_table(report: Report) -> Table:
    """Stages with their times."""
    table = new_table("Stages", "stage", "by", "time", "data movement after it")
    table.columns[1].justify = "left"
    for stage in report.stages:
        left = _optional(stage.data_movement)
        table.add_row(stage.name, stage.worker, format_seconds(stage.seconds), left)
    table.add_row("all", "", format_seconds(report.seconds()), "")
    return table


def remark_table(report: Report) -> Table:
    """The passes' decisions, equal ones counted together."""
    table = new_table("Decisions of the passes", "pass", "count", "decision", "reason")
    table.columns[2].justify = table.columns[3].justify = "left"
    for (argument, applied, reason), count in report.remark_counts().items():
        table.add_row(argument, str(count), "applied" if applied else "refused", reason)
    return table


def cost_lines(report: Report) -> Iterator[str]:
    """Wall time and peak memory of the compilation."""
    own = report.seconds("import") + report.seconds("smartmem")
    yield (
        f"wall time {format_seconds(report.seconds())}: "
        f"import {format_seconds(report.seconds('import'))}, "
        f"smartmem {format_seconds(own - report.seconds('import'))}, "
        f"iree-compile {format_seconds(report.seconds('iree-compile'))}"
    )
    yield (
        f"peak memory: smartmem {format_bytes(report.own_peak_bytes)}, "
        f"iree-compile {format_bytes(report.kernels.peak_rss_bytes)}"
    )
