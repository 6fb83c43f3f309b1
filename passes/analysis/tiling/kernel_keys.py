"""What a measured choice for a kernel is filed under: its loops, accesses and types.

``contraction 208x6x32x192 ad.f32,bdc.f32->abc.f32`` multiplies the rows of 208 x 192
elements by weights in 6 blocks of 32 channels: a letter for each loop, operands in the order
of their dims. ``contraction 9*(14x14x32x16x16 abce.f32,ced.f32->abcd.f32)`` adds nine of
them, the window of a convolution. Equal keys are equal work for the code generator, whatever
the model.

A pair of kernels, or of what could be one, is filed under both their keys, the mapping types
by which the fusion table knows it, and where the second one reads the first:
``shuffle+many_to_many: rows 784x96 ...; rows 784x96 ...; 784x96 ... @0.0``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch_mlir import ir

from smartmem.passes.analysis.ir.chains import origin
from smartmem.passes.analysis.ir.loops import LoopNest, contracts, loop_nest
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum


def kernel_key(computing: Sequence[ir.Operation], root: ir.Operation) -> str:
    """The key of a kernel.

    Args:
        computing: its operations that have loops, in order.
        root: that of them which does most of the work, or the last of them.
    """
    nest = loop_nest(root)
    assert nest is not None, "a root has loops"
    if nest.is_contraction:
        return f"contraction {_contractions(computing)}"
    if is_window_sum(root):
        return f"window {_describe(root, nest)}"
    nests = [(op, loop_nest(op)) for op in computing]
    parts = [f"{_describe(op, n)} {_arithmetic(op)}" for op, n in nests if n is not None]
    return "rows " + "; ".join(parts)


def pair_key(
    producer: Sequence[ir.Operation], consumer: Sequence[ir.Operation], cell: tuple[str, str]
) -> str | None:
    """The key of a pair; None if it has an operation whose loops are not known.

    Args:
        producer: operations in program order; the last one's result is read.
        consumer: operations in program order.
        cell: the mapping types of both.
    """
    first, second = _part_key(producer), _part_key(consumer)
    if first is None or second is None:
        return None
    read = [
        f"{place}.{number}"
        for place, op in enumerate(consumer)
        for number, value in enumerate(op.operands)
        if (source := origin(value)) is not None and source == producer[-1]
    ]
    return f"{'+'.join(cell)}: {first} => {second} @{','.join(read)}"


def _part_key(operations: Sequence[ir.Operation]) -> str | None:
    if any(loop_nest(op) is None for op in operations):
        return None
    roots = [op for op in operations if contracts(op) or is_window_sum(op)]
    return kernel_key(operations, roots[0] if len(roots) == 1 else operations[-1])


def _contractions(computing: Sequence[ir.Operation]) -> str:
    """All contractions of a kernel, equal ones behind each other counted."""
    nests = [(op, nest) for op in computing if (nest := loop_nest(op)) is not None]
    parts = [_describe(op, nest) for op, nest in nests if nest.is_contraction]
    return "; ".join(_counted(parts))


def _describe(op: ir.Operation, nest: LoopNest) -> str:
    """Extents, then operands and result by their loops, the repeated ones counted."""
    *read, written = [_access(op, nest, k) for k in range(len(nest.accesses))]
    operands = ",".join(_counted(_pairs(read)))
    return f"{'x'.join(map(str, nest.domain))} {operands}->{written}"


def _counted(parts: Sequence[str]) -> list[str]:
    """Equal neighbours as one: ``3*(text)``."""
    counted = [(text, len(list(same))) for text, same in itertools.groupby(parts)]
    return [text if n == 1 else f"{n}*({text})" for text, n in counted]


def _pairs(read: Sequence[str]) -> Sequence[str]:
    """The operands of a window, image and weights in turn, two by two."""
    if len(read) <= 2 or len(read) % 2:
        return read
    return [",".join(read[k : k + 2]) for k in range(0, len(read), 2)]


def _access(op: ir.Operation, nest: LoopNest, operand: int) -> str:
    type_ = ir.RankedTensorType(op.operands[operand].type).element_type
    dims = (_index(str(e)) for e in nest.accesses[operand].exprs)
    return f"{''.join(dims)}.{type_}"


def _index(expr: str) -> str:
    """``a`` for the loop ``d0``; what is no single loop keeps its formula."""
    if expr[1:].isdigit() and expr.startswith("d") and int(expr[1:]) < 26:
        return chr(ord("a") + int(expr[1:]))
    return f"[{expr.replace(' ', '')}]"


def _arithmetic(op: ir.Operation) -> str:
    inner = (o.operation.name for region in op.regions for b in region for o in b.operations)
    return "+".join(name.split(".")[-1] for name in inner if name != "linalg.yield")
