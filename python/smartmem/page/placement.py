"""Where the nodes of a graph are drawn: in rows by depth, below what they read.

Computed here, once, and not in the browser: general layered layouts take a browser seconds
for a thousand nodes. Networks are long and narrow, so that the simplest one reads well.
"""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]

ROW = 70.0
COLUMN = 190.0
SMALL = 56.0
SWEEPS = 4


def place(count: int, edges: Sequence[tuple[int, int]]) -> list[Point]:
    """The centre of each node, in pixels: x to the right, y downwards.

    Args:
        count: the number of nodes, which are numbered from 0.
        edges: source and target; a target has a larger number than its sources, but for
            weights, which are drawn beside what reads them.
    """
    sources, targets = _neighbours(count, edges)
    depth = _depths(sources, targets)
    rows: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for node in range(count):
        rows[depth[node]].append(node)
    x = _spread(rows)
    for sweep in range(SWEEPS):
        near = sources if sweep % 2 == 0 else targets
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _arrange(row, x, near)
    return [(x[node], depth[node] * ROW) for node in range(count)]


def above(reader: Point, count: int) -> list[Point]:
    """Places for ``count`` small nodes just above another, side by side."""
    x, y = reader
    return [(x + (n - (count - 1) / 2) * SMALL, y - ROW / 2.3) for n in range(count)]


def _neighbours(
    count: int, edges: Sequence[tuple[int, int]]
) -> tuple[list[list[int]], list[list[int]]]:
    sources: list[list[int]] = [[] for _ in range(count)]
    targets: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        sources[target].append(source)
        targets[source].append(target)
    return sources, targets


def _depths(sources: list[list[int]], targets: list[list[int]]) -> list[int]:
    """One more than the deepest source; what has no source stands just above its readers."""
    depth = [0] * len(sources)
    for node, read in enumerate(sources):
        depth[node] = max((depth[source] + 1 for source in read), default=0)
    for node, read in enumerate(sources):
        if not read and targets[node]:
            depth[node] = max(min(depth[target] for target in targets[node]) - 1, 0)
    return depth


def _spread(rows: list[list[int]]) -> dict[int, float]:
    return {
        node: (place - (len(row) - 1) / 2) * COLUMN
        for row in rows
        for place, node in enumerate(row)
    }


def _arrange(row: list[int], x: dict[int, float], near: list[list[int]]) -> None:
    """Moves the nodes of a row to the middle of their neighbours, a column apart."""
    wanted = {n: _middle([x[other] for other in near[n]], x[n]) for n in row}
    row.sort(key=lambda node: wanted[node])
    middle = sum(wanted.values()) / len(row)
    left = middle - (len(row) - 1) / 2 * COLUMN
    for place, node in enumerate(row):
        x[node] = left + place * COLUMN


def _middle(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default
