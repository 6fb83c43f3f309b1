"""Write sorts as reductions over comparisons.

    %sorted = tm_tensor.sort dimension(d) outs(%x) { before(a, b) }
      ->
    rank[i]   = how many elements k of the row come before element i
    place[p]  = the k of rank p
    sorted[p] = x[place[p]]

IREE sorts in place by swapping neighbours: as many comparisons, one after the other. And where
a module has two sorts, or something else reads what is sorted, it computes wrong numbers.
Elements that neither comes before the other stay in their order. Where only the first ``k`` are
taken (TopK), the others are not gathered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg, tensor

from smartmem.frontend.operations import walk

_SORT, _SLICE = "tm_tensor.sort", "tensor.extract_slice"

Body = Callable[[Sequence[ir.Value]], "ir.Value"]


def sort_by_ranks(module: ir.Module) -> bool:
    """Applies the rewrite everywhere in ``module``; says whether there was a sort."""
    sorts = [op for op in walk(module) if op.name == _SORT]
    for operation in sorts:
        with operation.location, ir.InsertionPoint(operation):
            _rewrite(operation)
        operation.erase()
    return bool(sorts)


def _rewrite(sort: ir.Operation) -> None:
    dim = ir.IntegerAttr(sort.attributes["dimension"]).value
    place = _places(_ranks(sort, dim), dim, _taken(sort, dim))
    for operand, result in zip(sort.operands, sort.results, strict=True):
        if not list(result.uses):
            continue
        result.replace_all_uses_with(_gathered(operand, place, dim))


def _taken(sort: ir.Operation, dim: int) -> int:
    """How many elements along ``dim`` are looked at: all, or as many as slices begin with."""
    extent = ir.RankedTensorType(sort.results[0].type).shape[dim]
    users = [use.owner for result in sort.results for use in result.uses]
    return max((_end(user, dim, extent) for user in users), default=extent)


def _end(user: ir.Operation, dim: int, extent: int) -> int:
    """Where along ``dim`` the last element is that ``user`` reads."""
    if user.name != _SLICE:
        return extent
    offset, size, stride = (
        list(ir.DenseI64ArrayAttr(user.attributes[f"static_{name}"]))[dim]
        for name in ("offsets", "sizes", "strides")
    )
    dynamic = ir.ShapedType.get_dynamic_stride_or_offset()
    return extent if offset == dynamic else offset + (size - 1) * stride + 1


def _ranks(sort: ir.Operation, dim: int) -> ir.Value:
    """How many elements of its row come before each one."""
    shape = list(ir.RankedTensorType(sort.operands[0].type).shape)
    rank = len(shape)
    before = sort.regions[0].blocks[0]
    compared = [
        number
        for number in range(len(sort.operands))
        if any(list(argument.uses) for argument in list(before.arguments)[2 * number :][:2])
    ]

    def body(values: Sequence[ir.Value]) -> ir.Value:
        others, ours = values[: len(compared)], values[len(compared) : -1]
        pairs = {n: pair for n, *pair in zip(compared, others, ours, strict=True)}
        back = {n: pair[::-1] for n, pair in pairs.items()}
        first, second = _copied(before, pairs), _copied(before, back)
        is_tie = arith.cmpi(arith.CmpIPredicate.eq, first, second)
        earlier = arith.cmpi(arith.CmpIPredicate.slt, _index(rank), _index(dim))
        counted = arith.select(is_tie, earlier, first)
        return arith.addi(arith.extui(_i32(), counted), values[-1])

    operands = [sort.operands[number] for number in compared]
    ours = _map(rank, range(rank))
    others = _map(rank, _replaced(rank, dim))
    maps = [others] * len(operands) + [ours] * len(operands) + [ours]
    return _reduction(shape, [*operands, *operands], maps, body)


def _places(ranks: ir.Value, dim: int, count: int) -> ir.Value:
    """Which element of the row has each rank below ``count``."""
    shape = list(ir.RankedTensorType(ranks.type).shape)
    rank = len(shape)
    shape[dim] = count

    def body(values: Sequence[ir.Value]) -> ir.Value:
        wanted = arith.index_cast(_i32(), _index(dim))
        place = arith.index_cast(_i32(), _index(rank))
        is_it = arith.cmpi(arith.CmpIPredicate.eq, values[0], wanted)
        return arith.addi(arith.select(is_it, place, arith.constant(_i32(), 0)), values[1])

    maps = [_map(rank, _replaced(rank, dim)), _map(rank, range(rank))]
    return _reduction(shape, [ranks], maps, body)


def _gathered(source: ir.Value, places: ir.Value, dim: int) -> ir.Value:
    """The elements of ``source`` at ``places`` along ``dim``."""
    shape, element = list(ir.RankedTensorType(places.type).shape), _element(source)
    is_place = _is_place(source, dim)

    def body(values: Sequence[ir.Value]) -> ir.Value:
        if is_place:
            return values[0] if element == _i32() else arith.extsi(element, values[0])
        indices = [_index(d) for d in range(len(shape))]
        indices[dim] = arith.index_cast(ir.IndexType.get(), values[0])
        return tensor.extract(source, indices)

    identity = _map(len(shape) - 1, range(len(shape)))
    return _generic(
        [places], tensor.empty(shape, element), [identity] * 2, ["parallel"] * len(shape), body
    )


def _is_place(value: ir.Value, dim: int) -> bool:
    """Whether each element of ``value`` is its own place along ``dim``, as torch-mlir has it."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != "linalg.generic":
        return False
    if not isinstance(_element(value), ir.IntegerType) or _element(value).width < _i32().width:
        return False
    names = [op.name for op in owner.regions[0].blocks[0].operations]
    if names != ["linalg.index", "arith.index_cast", "linalg.yield"]:
        return False
    index = owner.regions[0].blocks[0].operations[0]
    identity = ir.AffineMapAttr.get(ir.AffineMap.get_identity(len(value.type.shape)))
    is_plain = list(ir.ArrayAttr(owner.attributes["indexing_maps"])) == [identity]
    return is_plain and ir.IntegerAttr(index.attributes["dim"]).value == dim


def _copied(block: ir.Block, pairs: dict[int, list[ir.Value]]) -> ir.Value:
    """What ``block`` yields for these pairs of elements, by operand of the sort."""
    known: dict[ir.Value, ir.Value] = {}
    for number, pair in pairs.items():
        known.update(zip(list(block.arguments)[2 * number :][:2], pair, strict=True))
    *inner, end = block.operations
    for op in inner:
        copy = op.operation.clone()
        for place, operand in enumerate(copy.operands):
            copy.operands[place] = known.get(operand, operand)
        known.update(zip(op.operation.results, copy.results, strict=True))
    result = end.operation.operands[0]
    return known.get(result, result)


def _index(loop: int) -> ir.Value:
    return linalg.IndexOp(loop).result


def _i32() -> ir.IntegerType:
    return ir.IntegerType.get_signless(32)


def _element(value: ir.Value) -> Any:
    return ir.RankedTensorType(value.type).element_type


def _map(loops: int, dims: Sequence[int]) -> ir.AffineMap:
    return ir.AffineMap.get(loops + 1, 0, [ir.AffineDimExpr.get(d) for d in dims])


def _replaced(rank: int, dim: int) -> list[int]:
    """All dims, with the reduction's in the place of ``dim``."""
    return [rank if d == dim else d for d in range(rank)]


def _reduction(
    shape: Sequence[int], operands: Sequence[ir.Value], maps: Sequence[ir.AffineMap], body: Body
) -> ir.Value:
    zero = arith.constant(_i32(), 0)
    start = linalg.fill(zero, outs=[tensor.empty(shape, _i32())])
    return _generic(operands, start, maps, [*["parallel"] * len(shape), "reduction"], body)


def _generic(
    operands: Sequence[ir.Value],
    out: ir.Value,
    maps: Sequence[ir.AffineMap],
    loops: Sequence[str],
    body: Body,
) -> ir.Value:
    generic = linalg.GenericOp([out.type], operands, [out], maps, loops)
    block = generic.regions[0].blocks.append(*map(_element, [*operands, out]))
    with ir.InsertionPoint(block):
        linalg.yield_([body(list(block.arguments))])
    return generic.results[0]
