"""The algebra of index maps that every pass uses.

``expr`` holds quasi-affine expressions and their simplification, ``index_map`` the
maps between boxes with composition and domains, ``digits`` the mixed-radix form that
gives inverse, contiguity and cost, ``layout`` how that form lies in a tensor,
``primitives`` and ``physical_layout`` how layouts are written, ``taking`` the elements that
a map reads of an array, ``affine`` the conversion from and to MLIR.
"""

from __future__ import annotations

from smartmem.index_map.digits import (
    DigitForm,
    MapCost,
    contiguous_run,
    cost,
    digit_form,
    digits_of,
    inverse,
    is_reshape,
)
from smartmem.index_map.expr import Dim, Expr, Shape, atoms, bounds, constant, dim, indexes
from smartmem.index_map.index_map import (
    Domain,
    IndexMap,
    box_domain,
    broadcast,
    compose,
    compose_domain,
    divisions,
    extract_slice,
    from_affine,
    identity,
    is_within,
    merge_dims,
    reassociation,
    reshape,
    restrict,
    row_major_strides,
    transpose,
)
from smartmem.index_map.layout import Layout, layout_of

__all__ = [
    "DigitForm",
    "Dim",
    "Domain",
    "Expr",
    "IndexMap",
    "Layout",
    "MapCost",
    "Shape",
    "atoms",
    "bounds",
    "box_domain",
    "broadcast",
    "compose",
    "compose_domain",
    "constant",
    "contiguous_run",
    "cost",
    "digit_form",
    "digits_of",
    "dim",
    "divisions",
    "extract_slice",
    "from_affine",
    "identity",
    "indexes",
    "inverse",
    "is_reshape",
    "is_within",
    "layout_of",
    "merge_dims",
    "reassociation",
    "reshape",
    "restrict",
    "row_major_strides",
    "transpose",
]
