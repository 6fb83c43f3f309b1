"""Build one linear layer in place of several that read the same operand.

The weights are joined when compiling. Weights, constants and results of the parts lie
behind each other along a new outermost dim: each part of the result stays contiguous and
is computed in the tiles of a layer of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.index_map import Expr, IndexMap, Shape, constant, dim, identity
from smartmem.index_map import expr as ex
from smartmem.parameters import Array, Parameters, numpy_dtype
from smartmem.passes.analysis.fusion.horizontal_fusion import Merge, Sibling
from smartmem.passes.analysis.ir.linear_layers import LinearLayer
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.operators.affine_epilogues import Values
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.loops.split_loops import rebuild, view_as


def merge_layers(merge: Merge, parameters: Parameters) -> None:
    """Replaces the layers, and the scales and shifts behind them, by one of each.

    The first layer's place is that of the new one: all of them read what is known there.
    """
    first = merge.siblings[0].layer
    locations = [sibling.layer.op.location for sibling in merge.siblings]
    with ir.InsertionPoint(first.op), ir.Location.fused(locations):
        value = _product(merge, parameters)
        ends = [s.end.affine for s in merge.siblings]
        for operation, neutral, known in (
            (arith.mulf, 1, [end.scale for end in ends]),
            (arith.addf, 0, [end.shift for end in ends]),
        ):
            by_channel = np.stack([np.broadcast_to(k, (first.width,)) for k in known])
            if np.any(by_channel != neutral):
                other = _parameter(by_channel, value, parameters)
                value = build.combine(operation, value, other, (0, first.axis + 1))
        shape = shape_of(first.op.results[0])
        parts = [
            view_as(value, IndexMap((constant(number), *identity(shape).exprs), shape))
            for number in range(len(ends))
        ]
    for sibling, part in zip(merge.siblings, parts, strict=True):
        _replace(sibling, part)


def _product(merge: Merge, parameters: Parameters) -> ir.Value:
    """The sums of products with the weights of all layers."""
    layer, count = merge.siblings[0].layer, len(merge.siblings)
    weights = layer.op.operands[1 - layer.data]
    sources = [s.layer.stored.source for s in merge.siblings]
    arrays = [constant_value(source, parameters) for source in sources]
    stored = _parameter(np.stack([a for a in arrays if a is not None]), weights, parameters)
    shape = (count, *shape_of(weights))
    index_map = IndexMap((dim(0), *_inner(layer.stored.index_map.exprs, shape)), shape)
    result = build.tensor_type(layer.op.results[0], (count, *shape_of(layer.op.results[0])))
    zero = layer.op.operands[2].owner.operands[0]
    operands = [layer.reads, layer.reads, build.splat(zero, result)]
    operands[1 - layer.data] = view_as(stored, index_map)
    return _stacked(layer, operands, count)


def _stacked(layer: LinearLayer, operands: Sequence[ir.Value], count: int) -> ir.Value:
    """The layer with a new outermost loop, which all but its data have as first dim.

    Loops of one iteration go: nothing would index them.
    """
    nest = layer.nest
    domain = (count, *nest.domain)
    kept = [d for d, extent in enumerate(domain) if extent > 1]
    inner = tuple(domain[d] for d in kept)
    loops = [dim(kept.index(d)) if d in kept else constant(0) for d in range(len(domain))]
    accesses = [
        tuple(ex.substitute(e, loops[1:], inner) for e in access.exprs)
        for access in nest.accesses
    ]
    indexed = [
        exprs if k == layer.data else (dim(0), *exprs) for k, exprs in enumerate(accesses)
    ]
    sums = frozenset(kept.index(d + 1) for d in nest.reductions)
    over = LoopNest(inner, (), sums, True, False)
    pairs = list(zip(operands, indexed, strict=True))
    return rebuild(layer.op, over, [(n,) for n in inner], pairs)


def _inner(exprs: Sequence[Expr], shape: Shape) -> tuple[Expr, ...]:
    """``exprs`` over the dims of ``shape`` behind the first."""
    behind = [dim(d) for d in range(1, len(shape))]
    return tuple(ex.substitute(e, behind, shape) for e in exprs)


def _parameter(array: Array | Values, like: ir.Value, parameters: Parameters) -> ir.Value:
    """A parameter with the element type of ``like``."""
    type_ = build.tensor_type(like, array.shape)
    array = array.astype(numpy_dtype(type_.element_type), copy=False)
    return constant_tensor("merged", array, type_, parameters)


def _replace(sibling: Sibling, part: ir.Value) -> None:
    """Puts ``part`` in place of a layer with its scales and shifts."""
    for step in sibling.end.steps:
        step.op.results[0].replace_all_uses_with(step.source)
        step.op.erase()
    layer = sibling.layer.op
    layer.results[0].replace_all_uses_with(part)
    layer.erase()
