"""Rebuild a convolution over blocks of channels, with weights in that order."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.index_map import Expr, Shape, dim
from smartmem.index_map import expr as ex
from smartmem.index_map.affine import to_affine_map
from smartmem.index_map.primitives import Reorder, Split
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.layout.window_packing import WindowPacking
from smartmem.passes.analysis.operators.sliding_windows import (
    IMAGE,
    RESULT,
    WEIGHTS,
    loops_of,
)
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_body
from smartmem.passes.rewrites.layout.pack_layer import packed_weights, split_end
from smartmem.passes.rewrites.loops.split_loops import new_init, reshaped


def pack_window(found: WindowPacking, parameters: Parameters) -> None:
    """Replaces the convolution; its elementwise end runs over the same blocks afterwards."""
    windows, op = found.windows, found.windows.op
    blocks = (windows.domain[found.channel] // found.width, found.width)
    with ir.InsertionPoint(op), op.location:
        weights, held = _packed(found, blocks, parameters)
        *outer, _ = shape_of(op.results[0])
        init = new_init(op.operands[RESULT], (*outer, *blocks))
        image = _renamed(found, windows.accesses[IMAGE].exprs)
        written = _renamed(found, windows.accesses[RESULT].exprs[:-1])
        maps = [image, held, (*written, *_halves(found))]
        generic = build.generic(
            [op.operands[IMAGE], weights, init],
            [to_affine_map(exprs, len(windows.domain) + 1, op.context) for exprs in maps],
            _iterators(maps[RESULT], len(windows.domain) + 1),
        )
        clone_body(op, generic)
        result = generic.results[0]
        op.results[0].replace_all_uses_with(reshaped(result, shape_of(op.results[0])))
    op.erase()
    split_end(result)


def _halves(found: WindowPacking) -> tuple[Expr, Expr]:
    """The loop over blocks takes the place of that over channels; the next is within a block."""
    return dim(found.channel), dim(found.channel + 1)


def _renamed(found: WindowPacking, exprs: Sequence[Expr]) -> tuple[Expr, ...]:
    """Indices without the channels, over the new loops."""
    domain = found.windows.domain
    names = [dim(loop + (loop > found.channel)) for loop in range(len(domain))]
    return tuple(ex.substitute(expr, names, domain) for expr in exprs)


def _iterators(written: Sequence[Expr], rank: int) -> ir.Attribute:
    parallel = {loop for expr in written for loop in loops_of(expr)}
    return build.iterators([loop not in parallel for loop in range(rank)])


def _packed(
    found: WindowPacking, blocks: Shape, parameters: Parameters
) -> tuple[ir.Value, tuple[Expr, ...]]:
    """The weights as [groups, block, channels in, window, channel of the block], indexed."""
    windows = found.windows
    loops = [loops_of(expr)[0] for expr in windows.accesses[WEIGHTS].exprs]
    axis = loops.index(found.channel)
    exprs = list(_renamed(found, windows.accesses[WEIGHTS].exprs))
    exprs[axis : axis + 1] = _halves(found)
    order = [loops.index(d) for d in windows.loops(("group", "output", "input", "window"))]
    dims = [d + (d > axis) for d in order] + [axis + 1]
    layout = (Split(axis, blocks), Reorder(tuple(dims)))
    value = packed_weights(found.stored, layout, parameters)
    return value, tuple(exprs[d] for d in dims)
