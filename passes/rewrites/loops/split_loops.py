"""Rebuild a linalg operation over split or exchanged loops; the body stays as it is.

Splitting a loop of extent 12 into 3 x 4 turns every operand it indexes into a reshaped
one, which costs nothing, and lets one operand be read, or the result be written, in
another order.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.dialect import view
from smartmem.index_map import (
    Dim,
    Expr,
    IndexMap,
    Shape,
    atoms,
    compose,
    constant,
    digits_of,
    dim,
    inverse,
    reshape,
    transpose,
)
from smartmem.index_map import expr as ex
from smartmem.index_map.affine import to_affine_map
from smartmem.passes.analysis.ir.accesses import Access
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import shape_of, view_map
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_body

Operand = tuple[ir.Value, tuple[Expr, ...]]
"""A value and the loops that index its dims."""


def view_as(value: ir.Value, index_map: IndexMap) -> ir.Value:
    """``value`` read through ``index_map``; itself where nothing changes."""
    if index_map.is_identity and shape_of(value) == index_map.shape:
        return value
    type_ = build.tensor_type(value, index_map.shape)
    return view(value, index_map.to_affine(value.context), type_)


def reshaped(value: ir.Value, shape: Sequence[int]) -> ir.Value:
    """A row-major reshape of ``value``, as a view."""
    return view_as(value, reshape(shape_of(value), shape))


def read_through(access: Access, source: ir.Value) -> ir.Value:
    """Replaces the operation by one that reads ``source`` in the view's order; its value."""
    op, radices = access.op, access.form.radices
    with ir.InsertionPoint(op), op.location:
        operands = [
            split_operand(v, access.nest, k, radices)
            for k, v in enumerate(list(op.operands)[:-1])
            if k != access.operand
        ]
        operands.insert(access.operand, _digits_operand(source, access))
        shape, exprs = _split_dims(shape_of(op.results[0]), access.nest, radices)
        read = reshape(shape_of(op.results[0]), shape)
        if access.keeps_order:
            exprs, order, back = _source_order(access, shape, exprs)
            read = compose(order, read)
        init = new_init(op.operands[-1], read.shape, read)
        new = rebuild(op, access.nest, radices, [*operands, (init, exprs)])
        if access.keeps_order:
            new = view_as(new, back)
        result = reshaped(new, shape_of(op.results[0]))
        op.results[0].replace_all_uses_with(result)
    op.erase()
    return result


def _source_order(
    access: Access, shape: Shape, exprs: tuple[Expr, ...]
) -> tuple[tuple[Expr, ...], IndexMap, IndexMap]:
    """The output's dims in the order of the source, and the maps there and back."""
    order = [exprs.index(dim(d)) for d in access.layout.source_digits]
    order += [k for k in range(len(shape)) if k not in order]  # dims of size 1
    kept = tuple(shape[k] for k in order)
    back = transpose(kept, [order.index(k) for k in range(len(shape))])
    return tuple(exprs[k] for k in order), transpose(shape, order), back


def write_through(access: Access, viewed: ir.Operation) -> ir.Value:
    """Replaces the operation and its view by one that writes in the view's order; its value.

    Other readers of its result read what is written through the inverse of the view.
    """
    op, radices = access.op, access.form.radices
    with ir.InsertionPoint(op), op.location:
        operands = [
            split_operand(v, access.nest, k, radices)
            for k, v in enumerate(list(op.operands)[:-1])
        ]
        digits = access.layout.source_digits
        shape = tuple(access.form.digit_shape[d] for d in digits)
        init = new_init(op.operands[len(operands)], shape, view_map(viewed))
        out = (init, tuple(dim(d) for d in digits))
        new = rebuild(op, access.nest, radices, [*operands, out])
        result = viewed.results[0]
        written = reshaped(new, shape_of(result))
        if len(list(op.results[0].uses)) > 1:
            back = inverse(view_map(viewed), shape_of(op.results[0]))
            assert back is not None, "the placement has seen to that"
            source = view_as(written, back)
            viewed.operands[0] = source
            op.results[0].replace_all_uses_with(source)
        result.replace_all_uses_with(written)
    for old in (viewed, op):
        if not list(old.results[0].uses):
            old.erase()  # what reads nothing any more must not be asked for its order
    return written


def move_up(op: ir.Operation, nest: LoopNest, viewed: ir.Operation) -> None:
    """view(op(x)) -> op(view(x)): the loops are the view's result's and the reductions.

    Dims of 1 get no loop: nothing would index it.
    """
    target, reductions = view_map(viewed), sorted(nest.reductions)
    rank = len(target.shape)
    shape = (*target.shape, *(nest.domain[d] for d in reductions))
    kept = [d for d, n in enumerate(shape) if n > 1]
    inner = tuple(shape[d] for d in kept)
    renamed = [dim(kept.index(d)) if d in kept else constant(0) for d in range(len(shape))]
    loops = [constant(0)] * len(nest.domain)
    for expr, source in zip(nest.accesses[-1].exprs, target.exprs, strict=True):
        for atom, _ in expr.terms:
            assert isinstance(atom, Dim)
            loops[atom.index] = ex.substitute(source, renamed, inner)
    for number, d in enumerate(reductions):
        loops[d] = renamed[rank + number]
    with ir.InsertionPoint(op), op.location:
        operands = [
            _narrowed(v, [ex.substitute(e, loops, inner) for e in a.exprs], inner)
            for v, a in zip(list(op.operands)[:-1], nest.accesses, strict=False)
        ]
        init = new_init(op.operands[len(operands)], target.shape, target)
        written = tuple(renamed[:rank])
        summed = frozenset(kept.index(rank + k) for k in range(len(reductions)))
        over = LoopNest(inner, (), summed, False, False)
        new = rebuild(op, over, [(n,) for n in inner], [*operands, (init, written)])
    viewed.results[0].replace_all_uses_with(new)


def _narrowed(value: ir.Value, exprs: Sequence[Expr], shape: Shape) -> Operand:
    """``value`` read at ``exprs``: a view over just the loops that they use."""
    used = sorted({a.index for e in exprs for a in atoms(e) if isinstance(a, Dim)})
    inner = tuple(shape[d] for d in used)
    values = [dim(used.index(d)) if d in used else constant(0) for d in range(len(shape))]
    index_map = IndexMap(tuple(ex.substitute(e, values, inner) for e in exprs), inner)
    return view_as(value, index_map), tuple(dim(d) for d in used)


def split_operand(
    value: ir.Value, nest: LoopNest, operand: int, radices: Sequence[Sequence[int]]
) -> Operand:
    """An operand with the dims split whose loops are, and the digits that index them."""
    shape, exprs = _split_dims(shape_of(value), nest, radices, operand)
    return reshaped(value, shape), exprs


def _split_dims(
    extents: Shape, nest: LoopNest, radices: Sequence[Sequence[int]], operand: int = -1
) -> tuple[Shape, tuple[Expr, ...]]:
    """Dims of an operand after its loops are split, and the digits that index them."""
    shape: list[int] = []
    exprs: list[Expr] = []
    for expr, extent in zip(nest.accesses[operand].exprs, extents, strict=True):
        if expr.is_constant:
            shape.append(extent)
            exprs.append(expr)
            continue
        atom = expr.terms[0][0]
        assert isinstance(atom, Dim)
        shape += radices[atom.index]
        exprs += [dim(digit) for digit in digits_of(radices, atom.index)]
    return tuple(shape), tuple(exprs)


def _digits_operand(source: ir.Value, access: Access) -> Operand:
    """``source`` in the form that the digits of ``access`` index."""
    layout, digits = access.layout, access.layout.source_digits
    source = reshaped(source, layout.source)
    if access.nest.is_contraction or not layout.is_aligned():
        part = view_as(source, layout.slice_map())
        shape = [access.form.digit_shape[d] for d in digits]
        return reshaped(part, shape), tuple(dim(d) for d in digits)
    # A contraction with a constant index is no longer one to the code generator; other
    # operations take the part as an index, which needs no slice.
    return _parts_operand(source, access)


def _parts_operand(source: ir.Value, access: Access) -> Operand:
    """``source`` with each sliced dim split into parts, one of which is indexed."""
    digits, layout = list(access.layout.source_digits), access.layout
    shape: list[int] = []
    exprs: list[Expr] = []
    for extent, offset, size in zip(
        shape_of(source), layout.offsets, layout.sizes, strict=True
    ):
        if size < extent:
            shape.append(extent // size)
            exprs.append(constant(offset // size))
        covered = 1
        while covered < size:
            digit = digits.pop(0)
            covered *= access.form.digit_shape[digit]
            shape.append(access.form.digit_shape[digit])
            exprs.append(dim(digit))
    return reshaped(source, shape), tuple(exprs)


def new_init(init: ir.Value, shape: Shape, read: IndexMap | None = None) -> ir.Value:
    """The initial output ``init``, read through ``read`` if given, in ``shape``."""
    owner = init.owner
    type_ = build.tensor_type(init, shape)
    if not isinstance(owner, ir.Block) and owner.name == "tensor.empty":
        return build.empty(type_)
    if not isinstance(owner, ir.Block) and owner.name == "linalg.fill":
        return build.splat(owner.operands[0], type_)
    return reshaped(init if read is None else view_as(init, read), shape)


def rebuild(
    op: ir.Operation,
    nest: LoopNest,
    radices: Sequence[Sequence[int]],
    operands: Sequence[Operand],
) -> ir.Value:
    """A ``linalg.generic`` with the body of ``op``, over the digits of its loops."""
    reduces = [loop in nest.reductions for loop, radix in enumerate(radices) for _ in radix]
    box = tuple(n for radix in radices for n in radix)
    order = _loop_order(reduces, operands)
    inner = tuple(box[d] for d in order)
    renamed = [dim(order.index(d)) for d in range(len(order))]
    maps = [
        to_affine_map([ex.substitute(e, renamed, inner) for e in exprs], len(order), op.context)
        for _, exprs in operands
    ]
    iterators = build.iterators([reduces[d] for d in order])
    generic = build.generic([value for value, _ in operands], maps, iterators)
    clone_body(op, generic)
    return generic.results[0]


def _loop_order(reduces: Sequence[bool], operands: Sequence[Operand]) -> list[int]:
    """The loops with the reductions among them in the order in which they are read.

    All reductions of a normalization then run in the same order. Where they do not,
    IREE 3.13 generates wrong SPIR-V.
    """
    read = [
        atom.index
        for _, exprs in operands
        for expr in exprs
        for atom in atoms(expr)
        if isinstance(atom, Dim)
    ]
    ordered = iter(d for d in dict.fromkeys(read) if reduces[d])
    return [next(ordered) if is_reduction else d for d, is_reduction in enumerate(reduces)]
