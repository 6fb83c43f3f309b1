"""Write determinants of small matrices as sums of products.

    Det(x)  ->  minors of the first row, of the first two rows, ..., of all

The minor of the first k rows and k columns is a sum over those columns: an element of row k,
a sign, and the minor of the rows above and the other columns. All minors of k rows are one
Gather, one product, and one sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite

_LARGEST = 10
"""Rows; the middle ones of larger matrices have too many minors."""


def _determinant(to: Expansion) -> list[onnx.NodeProto]:
    source = to.node.input[0]
    *batch, rows, columns = to.shape(source)
    if rows != columns:
        raise to.invalid(f"a matrix of {rows}x{columns} has no determinant")
    if not 1 <= rows <= _LARGEST:
        raise to.unsupported(
            f"SmartMem computes determinants of up to {_LARGEST} rows, not of {rows}"
        )
    minors = _row(to, source, 0)
    for row in range(1, rows):
        sets = list(combinations(range(columns), row + 1))
        above = {chosen: n for n, chosen in enumerate(combinations(range(columns), row))}
        others = [[above[s[:k] + s[k + 1 :]] for k in range(row + 1)] for s in sets]
        signs = (-1.0) ** (row + np.arange(row + 1))
        elements = to.op("Gather", _row(to, source, row), to.constant(sets), axis=-1)
        inner = to.op("Gather", minors, to.constant(others), axis=-1)
        terms = to.op("Mul", elements, inner)
        terms = to.op("Mul", terms, to.constant(signs, to.dtype(source)))
        minors = to.reduce("ReduceSum", terms, [len(batch) + 1])
    return to.finish(to.op("Reshape", minors, to.constant(batch)))


def _row(to: Expansion, source: str, number: int) -> str:
    return to.op("Gather", source, to.constant(number), axis=-2)


DETERMINANT_REWRITES: Mapping[str, Rewrite] = {"Det": _determinant}
