"""Slices that a kernel can read in place: each dim with a fixed stride."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.index_map import Dim, compose, identity
from smartmem.index_map.expr import simplify
from smartmem.index_map.index_map import linearize
from smartmem.parameters import Parameters
from smartmem.passes.analysis.movement import Movement, shape_of
from smartmem.passes.analysis.movements import movement
from smartmem.passes.analysis.rows import RESHAPES

SLICE = "tensor.extract_slice"


def has_strides(chain: Sequence[ir.Operation]) -> bool:
    """Whether slices and reshapes, each of the one before, read their source with fixed strides.

    7 of 9 rows of each of 8 pictures have them; not so all 56 rows as one dim, which a
    buffer has to be made for: behind every eighth row is a gap.
    """
    source = shape_of(chain[0].operands[0])
    read = identity(source)
    for op in chain:
        found = movement(op, Parameters())
        if not isinstance(found, Movement):
            return False
        read = compose(found.pieces[0].index_map, read)
        place = simplify(linearize(read.exprs, source), read.shape)
        if not all(isinstance(atom, Dim) for atom, _ in place.terms):
            return False
    return True


def reads_slice(value: ir.Value) -> bool:
    """Whether ``value`` is a slice, seen through reshapes, that is read in place."""
    chain: list[ir.Operation] = []
    while not isinstance(value.owner, ir.Block):
        op = value.owner.operation
        chain.insert(0, op)
        if op.name == SLICE:
            return has_strides(chain)
        if op.name not in RESHAPES:
            return False
        value = op.operands[0]
    return False
