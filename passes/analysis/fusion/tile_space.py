"""Whether the operations of a kernel are one tile space on a GPU.

IREE 3.13 tiles the last operation of a kernel, or the one with tile sizes, and takes up in each
tile what computes its operands. What it cannot take up it distributes to threads alone: the
threads write the whole value to workgroup memory, and no barrier stands before it is read. So
the operations are one tile space, and the kernel is right, if

  each operation that reads another one's result reads it itself, not through a reshape, a
  slice or a padding: the tile of the one then says which tile of the other it needs;    and
  the tile sizes of threads are ours, so that a thread computes what its tile needs; or all
  operations have the same loops, so that a thread reads what it has written.

A reshape between two operations is no obstacle where the loops of both can be split into the
same digits. ``common_digits`` finds them; ``rewrites/loops/align_loops`` splits the loops.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import EVERY_GPU, Gpu
from smartmem.index_map import Shape
from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.analysis.tiling.gpu_threads import has_thread_tiles

Radices = tuple[Shape, ...]
"""The extents of the digits that each loop of an operation is split into; none for extent 1."""


@dataclass(frozen=True)
class Edge:
    """An operation of a kernel that reads a result of another one.

    Attributes:
        operand: number of the operand; None where the body reads single elements.
        between: the operations between the two, the reader's first.
    """

    producer: ir.Operation
    consumer: ir.Operation
    operand: int | None
    between: tuple[ir.Operation, ...]


def edges(operations: Sequence[ir.Operation]) -> Iterator[Edge]:
    """What the operations of a kernel read of each other, in program order."""
    for consumer in operations:
        for operand, value in enumerate(consumer.operands):
            yield from _edge(consumer, operand, value, operations)
        for value in _extracted(consumer):
            yield from _edge(consumer, None, value, operations)


def refuse_tile_space(operations: Sequence[ir.Operation], gpu: Gpu | None) -> Refusal | None:
    """Why the operations of a kernel are no tile space; None: they are one.

    Args:
        operations: in program order, with the loops that they are lowered with.
        gpu: what is known of the target's workgroups; None: what every device can do.
    """
    found = list(edges(operations))
    for edge in found:
        if edge.operand is None:
            return Refusal("elements of its own results are read at computed places")
        if edge.between:
            return Refusal("its loops differ: a reshape or slice lies between")
    if not found or has_thread_tiles(operations, gpu or EVERY_GPU):
        return None
    if all(map(_has_same_loops, found)):
        return None
    return Refusal("its loops differ: threads would read what other threads wrote")


def _has_same_loops(edge: Edge) -> bool:
    """Whether a thread of the reader reads just what the thread of its number has written."""
    producer, consumer = loop_nest(edge.producer), loop_nest(edge.consumer)
    if producer is None or consumer is None or edge.operand is None:
        return False
    written, read = producer.accesses[-1].exprs, consumer.accesses[edge.operand].exprs
    return written == read and _parallel(producer) == _parallel(consumer)


def _parallel(nest: LoopNest) -> Shape:
    """The extents of the loops that threads share."""
    return tuple(n for d, n in enumerate(nest.domain) if d not in nest.reductions)


def common_digits(operations: Sequence[ir.Operation]) -> dict[ir.Operation, Radices]:
    """How the loops of elementwise operations are split so that no reshape lies between.

    Returns:
        The digits of each operation whose loops change; none where a reshape has no common
        digits with the loops around it, or the loops of a reduction would have to change.
    """
    nests = {op: nest for op in operations if (nest := loop_nest(op)) is not None}
    found = list(edges(operations))
    reshaped = [edge for edge in found if edge.between]
    if not reshaped or any(not _is_reshape(edge) for edge in reshaped):
        return {}
    read = [edge for edge in found if edge.operand is not None]
    if any(edge.producer not in nests or edge.consumer not in nests for edge in read):
        return {}
    digits = _settled(read, nests)
    split = {op: tuple(loops) for op, loops in digits.items() if _is_split(loops, nests[op])}
    movable = all(nests[op].is_plain and not nests[op].reductions for op in split)
    return split if movable else {}


def _settled(
    read: Sequence[Edge], nests: dict[ir.Operation, LoopNest]
) -> dict[ir.Operation, list[Shape]]:
    """The digits of all loops when both ends of every edge have the same; none: some cannot."""
    digits = {op: [_digits(n) for n in nest.domain] for op, nest in nests.items()}
    changed = True
    while changed:
        changed = False
        for edge in read:
            ends = _ends(edge, nests)
            refined = None if ends is None else _refined([_joined(digits, *e) for e in ends])
            if ends is None or refined is None:
                return {}
            pushed = [_push(digits, op, loops, refined) for op, loops in ends]
            changed |= any(pushed)
    return digits


def _is_reshape(edge: Edge) -> bool:
    return edge.operand is not None and all(op.name in RESHAPES for op in edge.between)


def _is_split(loops: Sequence[Shape], nest: LoopNest) -> bool:
    return any(loop != (n,) for loop, n in zip(loops, nest.domain, strict=True))


def _digits(extent: int) -> Shape:
    return (extent,) if extent > 1 else ()


def _ends(
    edge: Edge, nests: dict[ir.Operation, LoopNest]
) -> list[tuple[ir.Operation, list[int]]] | None:
    """Both operations, each with the loops of the value's dims that are longer than 1."""
    assert edge.operand is not None
    ends = []
    for op, operand in ((edge.producer, -1), (edge.consumer, edge.operand)):
        nest, value = nests[op], op.operands[operand]
        loops = [d for d in nest.loops_of(operand) if nest.domain[d] > 1]
        if not nest.is_projected_permutation(operand) or math.prod(
            nest.domain[d] for d in loops
        ) != math.prod(shape_of(value)):
            return None
        ends.append((op, loops))
    return ends


def _joined(
    digits: dict[ir.Operation, list[Shape]], op: ir.Operation, loops: Sequence[int]
) -> Shape:
    return tuple(n for loop in loops for n in digits[op][loop])


def _refined(ends: Sequence[Shape]) -> Shape | None:
    """The fewest digits that both sequences are made of, or None."""
    runs = {math.prod(end[k:]) for end in ends for k in range(len(end) + 1)}
    ordered = sorted(runs)
    if any(high % low for low, high in itertools.pairwise(ordered)):
        return None
    pairs = list(itertools.pairwise(ordered))
    return tuple(high // low for low, high in reversed(pairs))


def _push(
    digits: dict[ir.Operation, list[Shape]],
    op: ir.Operation,
    loops: Sequence[int],
    refined: Shape,
) -> bool:
    """Gives the loops of ``op`` their part of the digits; whether that changed any."""
    rest, changed = list(refined), False
    for loop in loops:
        extent = math.prod(digits[op][loop])
        taken: list[int] = []
        while math.prod(taken) < extent:
            taken.append(rest.pop(0))
        changed |= digits[op][loop] != tuple(taken)
        digits[op][loop] = tuple(taken)
    return changed


def _edge(
    consumer: ir.Operation,
    operand: int | None,
    value: ir.Value,
    operations: Sequence[ir.Operation],
) -> Iterator[Edge]:
    between: list[ir.Operation] = []
    while not isinstance(value.owner, ir.Block):
        op = value.owner.operation
        if op in operations:
            yield Edge(op, consumer, operand, tuple(between))
            return
        if not op.name.startswith("tensor.") or not op.operands:
            return
        between.append(op)
        value = op.operands[0]


def _extracted(op: ir.Operation) -> Iterator[ir.Value]:
    """The tensors of which the body of ``op`` reads single elements."""
    for region in op.regions:
        for block in region:
            for inner in block.operations:
                if inner.operation.name == "tensor.extract":
                    yield inner.operation.operands[0]


def connected_parts(
    operations: Sequence[ir.Operation], gpu: Gpu | None
) -> list[list[ir.Operation]]:
    """The operations, in program order, in parts of which each is one tile space."""
    parts: list[list[ir.Operation]] = []
    for op in operations:
        if parts and refuse_tile_space([*parts[-1], op], gpu) is None:
            parts[-1].append(op)
        else:
            parts.append([op])
    return parts
