"""Rebuild a convolution over fewer steps of its window, or over parts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import Expr, IndexMap, dim, extract_slice
from smartmem.index_map import expr as ex
from smartmem.index_map.affine import to_affine_map
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.operators.sliding_windows import IMAGE, RESULT, WEIGHTS, Windows
from smartmem.passes.analysis.operators.window_parts import Axis, Parts
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_body
from smartmem.passes.rewrites.loops.split_loops import view_as

Exprs = tuple[Expr, ...]


def crop_window(found: Windows, steps: Mapping[Axis, tuple[int, int]]) -> ir.Operation:
    """Replaces the operation by one with the steps ``[first, end)`` of each axis alone."""
    image, weights = (list(shape_of(found.op.operands[k])) for k in (IMAGE, WEIGHTS))
    starts = [[0] * len(image), [0] * len(weights)]
    for axis, (first, end) in steps.items():
        held = _dim_of(found, axis)
        starts[IMAGE][axis.dim] = axis.dilation * first
        image[axis.dim] = axis.reads(found, end - first)
        starts[WEIGHTS][held], weights[held] = first, end - first
    with ir.InsertionPoint(found.op), found.op.location:
        operands = [
            view_as(found.op.operands[k], extract_slice(starts[k], sizes, [1] * len(sizes)))
            for k, sizes in ((IMAGE, image), (WEIGHTS, weights))
        ]
        return _replace(found, operands, [access.exprs for access in found.accesses], 0)


def part_window(found: Windows, parts: Parts) -> ir.Operation:
    """Replaces the operation by one over the parts of its window, and the steps of a part.

    The parts of the image are the last dims of what it reads, and the first of the weights.
    """
    taken = [(axis, n, found.domain[axis.window] // n) for axis, n in parts.steps.items()]
    new = tuple(dim(len(found.domain) + k) for k in range(len(taken)))
    accesses = [access.exprs for access in found.accesses]
    accesses[IMAGE], accesses[WEIGHTS] = accesses[IMAGE] + new, new + accesses[WEIGHTS]
    image = [Cut(a.dim, a.reads(found, n), a.dilation * n, count) for a, n, count in taken]
    weights = [Cut(_dim_of(found, a), n, n, count) for a, n, count in taken]
    with ir.InsertionPoint(found.op), found.op.location:
        operands = [
            _cut(found.op.operands[IMAGE], image, outer_first=False),
            _cut(found.op.operands[WEIGHTS], weights, outer_first=True),
        ]
        return _replace(found, operands, accesses, len(new))


@dataclass(frozen=True)
class Cut:
    """A dim as ``count`` parts, each ``extent`` long, that begin ``step`` apart."""

    dim: int
    extent: int
    step: int
    count: int


def _cut(value: ir.Value, cuts: Sequence[Cut], *, outer_first: bool) -> ir.Value:
    """``value`` with dims taken in parts, whose numbers are its first or last dims."""
    inner, outer = list(shape_of(value)), [cut.count for cut in cuts]
    for cut in cuts:
        inner[cut.dim] = cut.extent
    shape = (*outer, *inner) if outer_first else (*inner, *outer)
    first, number = (len(outer), 0) if outer_first else (0, len(inner))
    exprs = [dim(first + d) for d in range(len(inner))]
    for k, cut in enumerate(cuts):
        exprs[cut.dim] = ex.add([exprs[cut.dim], ex.scale(dim(number + k), cut.step)], shape)
    return view_as(value, IndexMap(tuple(exprs), shape))


def _dim_of(found: Windows, axis: Axis) -> int:
    """The dim of the weights that a window loop indexes."""
    return found.accesses[WEIGHTS].exprs.index(dim(axis.window))


def _replace(
    found: Windows, operands: Sequence[ir.Value], accesses: Sequence[Exprs], more: int
) -> ir.Operation:
    """The operation on other operands, over ``more`` loops, which reduce."""
    loops = len(found.domain) + more
    maps = [to_affine_map(list(exprs), loops, found.op.context) for exprs in accesses]
    written = found.loops(("batch", "image", "group", "output"))
    iterators = build.iterators([loop not in written for loop in range(loops)])
    new = build.generic([*operands, found.op.operands[RESULT]], maps, iterators)
    clone_body(found.op, new)
    found.op.results[0].replace_all_uses_with(new.results[0])
    found.op.erase()
    return new
