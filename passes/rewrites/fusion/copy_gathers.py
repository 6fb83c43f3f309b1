"""Give each kernel that reads a lookup a copy of it, over the loops of its reader.

%g = linalg.generic ins(%ids) over (d0, d1) { tensor.extract %table[%id, %d1] }
%e = tensor.expand_shape %g [[0], [1, 2]]
  ->
%e = linalg.generic ins(%ids) over (d0, d1, d2) { tensor.extract %table[%id, %d1 * 32 + %d2] }
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.passes.analysis.gathers.gathers import is_lookup
from smartmem.passes.analysis.ir.loops import indexing_maps, loop_nest
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.operators.row_reductions import row_operators
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import inline_body
from smartmem.passes.rewrites.builders.index_arithmetic import index_constant


def copy_lookups(block: ir.Block) -> None:
    """Copies each lookup of ``block`` for each row-wise operator, or other reader.

    A copy that no kernel takes in costs nothing: iree-compile merges equal operations.
    """
    # By result: what an operation hashes with changes with its operands.
    rows = {
        r: members[0] for members in row_operators(block) for op in members for r in op.results
    }
    for op in [o.operation for o in block.operations if is_lookup(o.operation)]:
        readers: dict[ir.Operation, list[ir.OpOperand]] = {}
        for use in op.results[0].uses:
            reader = use.owner.operation
            first = next((rows[r] for r in reader.results if r in rows), reader)
            readers.setdefault(first, []).append(use)
        for uses in list(readers.values())[1:]:
            with ir.InsertionPoint(op):
                copy = op.clone()
            for use in uses:
                use.owner.operands[use.operand_number] = copy.results[0]
            _take_in_reshape(copy)
        _take_in_reshape(op)


def _take_in_reshape(lookup: ir.Operation) -> None:
    """Lets a lookup that only an ``expand_shape`` reads make the expanded tensor."""
    users = [use.owner.operation for use in lookup.results[0].uses]
    nest = loop_nest(lookup)
    if len(users) != 1 or users[0].name != "tensor.expand_shape" or nest is None:
        return
    if not nest.accesses[-1].is_identity or not nest.is_plain:
        return
    expanded = _expanded(lookup, users[0])
    users[0].results[0].replace_all_uses_with(expanded)
    users[0].erase()
    lookup.erase()


def _expanded(lookup: ir.Operation, reshape: ir.Operation) -> ir.Value:
    groups = [
        [ir.IntegerAttr(d).value for d in ir.ArrayAttr(group)]
        for group in ir.ArrayAttr(reshape.attributes["reassociation"])
    ]
    shape = shape_of(reshape.results[0])
    with ir.InsertionPoint(lookup), lookup.location:
        inputs, maps = [], []
        for value, map_ in zip(list(lookup.operands)[:-1], indexing_maps(lookup), strict=False):
            extents, exprs = [], []
            for expr, extent in zip(map_.results, shape_of(value), strict=True):
                split = isinstance(expr, ir.AffineDimExpr)
                dims = groups[expr.position] if split else []
                extents += [shape[d] for d in dims] if split else [extent]
                exprs += [ir.AffineExpr.get_dim(d) for d in dims] if split else [expr]
            inputs.append(build.reshape(value, tuple(extents)))
            maps.append(ir.AffineMap.get(len(shape), 0, exprs))
        init = build.empty(reshape.results[0].type)

        def body(elements: Sequence[ir.Value]) -> ir.Value:
            return inline_body(lookup, elements, lambda loop: _joint_index(groups[loop], shape))

        return build.elementwise(inputs, maps, init, body)


def _joint_index(group: list[int], shape: Sequence[int]) -> ir.Value:
    """The index that the loops of ``group`` count together."""
    total = None
    for number, loop in enumerate(group):
        index = linalg.IndexOp(loop).result
        step = math.prod(shape[d] for d in group[number + 1 :])
        index = arith.muli(index, index_constant(step)) if step > 1 else index
        total = index if total is None else arith.addi(total, index)
    assert total is not None
    return total
