"""The report as tables for people."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console, RenderableType
from rich.table import Table

from smartmem.backend.iree_compile.kernels import KernelCounts
from smartmem.dialect import GROUPS, MAPPINGS
from smartmem.report.inventory import UNCLASSIFIED, Inventory
from smartmem.report.layouts import TensorLayout
from smartmem.report.report import Report

WIDTH = 96

DECISIONS = 20
"""How many different decisions the text shows; the JSON has all."""


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
    if report.bindings:
        yield storage_table(report)
    if report.layouts.tensors:
        yield layout_table(report)
        yield cost_table(report)
        yield f"Predicted with rates {report.layouts.source}."
    if report.fallbacks:
        yield fallback_table(report)
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
    """The totals, as imported and as compiled."""
    table = new_table("Summary", "", "before", "after")
    for name, (before, after) in _summary(report).items():
        if before or after:
            table.add_row(name, before, after)
    return table


def _summary(report: Report) -> dict[str, tuple[str, str]]:
    first, left, kernels = report.inventory, report.inventory_left, report.kernels
    return {
        "operations": (str(sum(count.count for count in first.ops)), ""),
        "data-movement operations": (str(first.movements), str(left.movements)),
        "bytes moved by them": (
            format_bytes(first.bytes_moved),
            format_bytes(left.bytes_moved),
        ),
        **_kernel_rows(report),
        "constants": ("", format_bytes(kernels.constant_bytes)),
        "transient memory": ("", format_bytes(kernels.transient_bytes)),
        "compiled module": ("", format_bytes(report.module_bytes)),
    }


def _kernel_rows(report: Report) -> dict[str, tuple[str, str]]:
    """Kernels, copies and fills; more of it where they were inspected."""
    sides = (report.kernels_before, report.kernel_counts)

    def row(value: Callable[[KernelCounts], str]) -> tuple[str, str]:
        before, after = ("" if side is None else value(side) for side in sides)
        return before, after

    total = report.kernels
    return {
        "kernels": (row(lambda k: str(k.dispatches))[0], str(total.kernels)),
        "  of them only data movement": row(lambda k: str(k.movement_dispatches)),
        "copies": (row(lambda k: str(k.copies))[0], str(total.copies)),
        "fills": (row(lambda k: str(k.fills))[0], str(total.fills)),
        "bytes moved by kernels and copies": row(lambda k: format_bytes(k.bytes_moved)),
        "  of them only data movement ": row(lambda k: format_bytes(k.movement_bytes)),
    }


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


def storage_table(report: Report) -> Table:
    """Reads and writes of the kernels by the kind of storage they go through."""
    table = new_table("Accesses of the kernels", "through", "bindings", "reads", "writes")
    for row in report.accesses():
        table.add_row(row.storage, str(row.bindings), str(row.reads), str(row.writes))
    return table


def remark_table(report: Report) -> Table:
    """The passes' decisions, equal ones counted together, the most frequent ones."""
    table = new_table("Decisions of the passes", "count", "decision", "pass", "reason")
    for column in table.columns[1:]:
        column.justify = "left"
    rows = sorted(report.remark_counts().items(), key=lambda row: (not row[0][1], -row[1]))
    for (argument, applied, reason), count in rows[:DECISIONS]:
        decision = "applied" if applied else "refused"
        table.add_row(str(count), decision, argument.removeprefix("smartmem-"), reason)
    if rest := rows[DECISIONS:]:
        table.add_row(str(sum(count for _, count in rest)), "", "", "others: see the JSON")
    return table


def layout_table(report: Report) -> Table:
    """Layouts of tensors, equal ones counted together, the largest first."""
    table = new_table("Layouts", "count", "kind", "in memory", "loads", "why")
    for column in table.columns[1:]:
        column.justify = "left"
    counted = Counter(
        (t.kind, t.shape, t.dtype, t.bytes, _loads(t), t.reason) for t in report.layouts.tensors
    )
    rows = sorted(counted.items(), key=lambda row: -row[1] * row[0][3])
    for (kind, shape, dtype, _, loads, reason), count in rows[:DECISIONS]:
        sizes = "x".join(map(str, (*shape, dtype)))
        table.add_row(str(count), kind, sizes, loads, reason)
    if rest := rows[DECISIONS:]:
        table.add_row(str(sum(count for _, count in rest)), "", "", "", "others: see the JSON")
    return table


def _loads(tensor: TensorLayout) -> str:
    return ", ".join(dict.fromkeys(read.loads for read in tensor.reads))


def cost_table(report: Report) -> Table:
    """Kernels by what the model predicts, equal ones counted together."""
    table = new_table("Kernels", "kernel", "count", "bytes", "predicted", "measured")
    counted = Counter(
        (k.key or "", k.bytes, k.predicted_s, k.measured_s) for k in report.layouts.kernels
    )
    rows = sorted(counted.items(), key=lambda row: -row[1] * row[0][2])
    for (key, size, predicted, measured), count in rows[:DECISIONS]:
        seen = "" if measured is None else format_seconds(measured)
        name = key.partition(";")[0]
        table.add_row(name, str(count), format_bytes(size), format_seconds(predicted), seen)
    if rest := rows[DECISIONS:]:
        table.add_row("others: see the JSON", str(sum(count for _, count in rest)), "", "", "")
    return table


def fallback_table(report: Report) -> Table:
    """What was given up, in order."""
    table = new_table("Given up, because compiling failed", "what was done", "because")
    table.columns[1].justify = "left"
    for fallback in report.fallbacks:
        table.add_row(str(fallback), fallback.reason)
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
