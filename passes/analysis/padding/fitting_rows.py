"""Which rows and columns are computed in blocks that do not fit, and how many more would fit.

197 tokens are a prime number: no block of rows divides them. 208 are 16 blocks of 13.
"""

from __future__ import annotations

import math

from torch_mlir import ir

from smartmem.backend.targets.vectors import Vectors
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.accesses import plain_nest
from smartmem.passes.analysis.ir.linear_layers import LinearLayer, linear_layer
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.padding.row_padding import Place, RowPadding, Search, sums_along
from smartmem.passes.analysis.tiling.cpu_tiles import dividing_rows

# More work than this part would be lost on rows that nobody reads.
_MOST = 0.08

# Of columns, more: without them each is loaded alone.
_MOST_COLUMNS = 0.25

# Fewer rows in a block leave most of the registers unused, and read columns about once.
_FEW = 4

_FEWEST_ROWS = 32


def fitting_rows(rows: int, vectors: Vectors) -> int | None:
    """The number of rows to compute instead of ``rows``; None if they are well as they are."""
    highest = vectors.rows_of(2)
    if rows < _FEWEST_ROWS or dividing_rows(rows, highest) >= _FEW:
        return None
    most = int(rows * (1 + _MOST))
    fitting = [n for n in range(rows, most + 1) if dividing_rows(n, highest) > highest // 2]
    even = [n for n in fitting if n % vectors.lanes == 0]
    return next(iter(even or fitting), None)


def row_padding(
    op: ir.Operation, vectors: Vectors, parameters: Parameters, *, masks: bool = False
) -> RowPadding | Refusal | None:
    """How the rows of a linear layer can be padded; None if there is no need.

    Args:
        masks: also of the columns of a softmax, where that can be.
    """
    layer = linear_layer(op)
    if not isinstance(layer, LinearLayer):
        return None
    nest = layer.nest
    rows = [d for d in nest.loops_of(2) if d in nest.loops_of(layer.data)]
    if len(rows) != 1:
        return None
    old = nest.domain[rows[0]]
    new = fitting_rows(old, vectors)
    if new is None:
        return None
    masks = masks and new % vectors.lanes == 0
    found = Search(RowPadding(old, new), parameters, masks=masks).run(op, rows[0])
    if masks and isinstance(found, Refusal):
        return Search(RowPadding(old, new), parameters).run(op, rows[0])
    return found


def column_padding(
    op: ir.Operation, lanes: int, parameters: Parameters
) -> RowPadding | Refusal | None:
    """How the columns of a contraction become whole vectors; None if there is no need.

    Columns that are summed up, such as the scores of a softmax, or returned stay as they are.
    """
    nest = plain_nest(op)
    if isinstance(nest, Refusal) or not nest.is_contraction or not nest.loops_of(2):
        return None
    *rows, loop = nest.loops_of(2)
    if math.prod(nest.domain[d] for d in rows) < _FEW:
        return None  # each element is read once, in whatever order
    old = nest.domain[loop]
    new = -(-old // lanes) * lanes
    if old in (1, new):
        return None
    if new > old * (1 + _MOST_COLUMNS):
        return Refusal("its columns would be much more work")
    found = Search(RowPadding(old, new), parameters).run(op, loop)
    if isinstance(found, Refusal):
        return found
    if any(sums_along(use, d) for value, d in found.places for use in value.uses):
        return None
    if any(map(_is_returned, found.places)):
        return Refusal("its columns are returned: to cut them off would be a copy")
    return found


def _is_returned(place: Place) -> bool:
    return any(use.owner.name == "func.return" for use in place[0].uses)
