"""What a kernel costs in a given layout: an analytic model of bytes, vectors and launches.

An operation is seen as an einsum: loops, and for each operand the loops that index it in the
order in which it lies in memory. The model is coarse, but it ranks: what is read with a stride
costs more than what is loaded as vectors, and blocks of rows that fit registers more than
single rows. Measured times replace it where there are any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch_mlir import ir

from smartmem.backend.targets.vectors import SPIRV, Vectors
from smartmem.index_map import Shape
from smartmem.passes.analysis.ir.chains import RESHAPES, defining_op, root_of
from smartmem.passes.analysis.ir.linear_layers import stored_constant
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.tiling.cpu_tiles import block_rows

if TYPE_CHECKING:
    from smartmem.passes.base import PassContext

Kind = Literal["contraction", "sum", "elementwise"]
Loads = Literal["vectors", "scalars", "strided"]
Loops = tuple[int, ...]

_SLICE = "tensor.extract_slice"

# Part of the rate of multiplications that is left: with an operand whose columns are not
# innermost (62 of 131 GFLOP/s measured), with columns that are not known when compiling, so that
# no CPU has them packed (112 of 156, 89 of 131), and with blocks of so many rows.
_STRIDED = 0.4
_UNPACKED = 0.7
_BLOCKS = ((7, 1.0), (4, 0.85), (2, 0.6), (1, 0.35))

# A sum across rows is left to IREE's tiles: softmax and LayerNorm take 0.40 and 0.32 ms
# with them, and 0.20 ms where the rows are contiguous and have tiles.
_ACROSS = 2


@dataclass(frozen=True)
class Rates:
    """What a device does per second, and what starting a kernel takes.

    Attributes:
        flops: multiplications and additions of a good kernel, with vectors of 16 lanes.
        bytes: of memory, read or written in order.
        launch: seconds.
        strided: bytes that a strided load costs for each that it wants: it takes a part of
            a cache line.
    """

    flops: float
    bytes: float
    launch: float
    strided: float = 4.0


# A core with AVX-512, and a phone's GPU (Snapdragon 8 Gen 2 has 55 GB/s and 2 TMAC/s).
CPU = Rates(flops=130e9, bytes=12e9, launch=5e-6)
GPU = Rates(flops=1e12, bytes=50e9, launch=20e-6)


def rates_of(context: PassContext) -> Rates:
    """What the target does per second: what was measured on it, or else a typical device."""
    if context.tuning is not None and context.tuning.costs is not None:
        return context.tuning.costs
    return CPU if context.gpu is None else GPU


def source_of(context: PassContext) -> str:
    """Where ``rates_of`` comes from, for people."""
    if context.tuning is not None and context.tuning.costs is not None:
        return f"measured on {context.tuning.machine.description}"
    typical = "core with AVX-512" if context.gpu is None else "phone's GPU"
    return f"typical of a {typical}"


@dataclass(frozen=True)
class Einsum:
    """An operation as loops and the order of its tensors.

    Attributes:
        domain: extents of the loops.
        read: the loops of each operand, outermost first.
        written: those of the result.
        reductions: the loops that are summed.
        known: the operands that are constants: they are stored as they are read.
        kind: a contraction, another sum, or neither.
        itemsize: bytes of an element.
    """

    domain: Shape
    read: tuple[Loops, ...]
    written: Loops
    reductions: frozenset[int]
    known: frozenset[int]
    kind: Kind
    itemsize: int = 4

    def elements(self, loops: Loops) -> int:
        """Elements of a tensor that these loops index."""
        return math.prod(self.domain[loop] for loop in loops)

    def loads(self, operand: int) -> Loads:
        """How an operand is read: as vectors, one element for a vector, or with a stride."""
        loops = [loop for loop in self.read[operand] if self.domain[loop] > 1]
        written = [loop for loop in self.written if self.domain[loop] > 1]
        column = written[-1] if written else None
        inner = loops[-1] if loops else None
        if inner == column or operand in self.known:
            return "vectors"
        if self.kind == "sum" and inner in self.reductions:
            return "vectors"
        return "strided" if column in loops else "scalars"


@dataclass(frozen=True)
class KernelCost:
    """What one run of an operation costs by the model.

    Attributes:
        flops: multiplications and additions.
        bytes: of all tensors, each once.
        seconds: with one launch.
    """

    flops: int
    bytes: int
    seconds: float


def einsum_of(op: ir.Operation) -> Einsum | None:
    """``op`` as an einsum; None if it has no loops of the usual kind."""
    nest = loop_nest(op)
    if nest is None:
        return None
    inputs = list(op.operands)[: nest.output]
    known = frozenset(k for k, value in enumerate(inputs) if _is_known(value))
    element = op.results[0].type.element_type
    return Einsum(
        nest.domain,
        tuple(map(tuple, nest.read)),
        tuple(nest.written),
        nest.reductions,
        known,
        _kind(nest),
        max(1, getattr(element, "width", 32) // 8),
    )


def cost_of(einsum: Einsum, rates: Rates, vectors: Vectors) -> KernelCost:
    """What the model says of an operation."""
    flops = math.prod(einsum.domain) * max(len(einsum.read), 1)
    tensors = [einsum.elements(loops) for loops in (*einsum.read, einsum.written)]
    moved = einsum.itemsize * sum(tensors)
    if einsum.kind == "contraction":
        busy = flops / (rates.flops * vectors.lanes / 16 * efficiency(einsum, vectors))
        seconds = max(busy, moved / rates.bytes)
    else:
        seconds = _weighed(einsum, tensors, rates) / rates.bytes
    return KernelCost(flops, moved, seconds + rates.launch)


def efficiency(einsum: Einsum, vectors: Vectors) -> float:
    """The part of the rate of multiplications that a contraction reaches."""
    written = [loop for loop in einsum.written if einsum.domain[loop] > 1]
    if not written:
        return 1 / vectors.lanes
    *rows, column = written
    extent = einsum.domain[column]
    found = extent / (math.ceil(extent / vectors.lanes) * vectors.lanes)
    computed = [k for k in range(len(einsum.read)) if k not in einsum.known]
    if any(einsum.loads(k) == "strided" for k in computed):
        found *= _STRIDED
    elif vectors != SPIRV and not any(column in einsum.read[k] for k in einsum.known):
        found *= _UNPACKED
    others = {d for loops in einsum.read if column not in loops for d in loops}
    blocked = [row for row in rows if row in others] or rows
    height = block_rows(einsum.domain[blocked[-1]], vectors.rows_of(2)) if blocked else 1
    return found * next(part for least, part in _BLOCKS if height >= least)


def _weighed(einsum: Einsum, tensors: Sequence[int], rates: Rates) -> float:
    """Bytes, those that are read with a stride as what they cost."""
    weights = [_weight(einsum, k, rates) for k in range(len(einsum.read))]
    return einsum.itemsize * sum(
        size * weight for size, weight in zip(tensors, [*weights, 1], strict=True)
    )


def _weight(einsum: Einsum, operand: int, rates: Rates) -> float:
    if einsum.loads(operand) == "strided":
        return rates.strided
    long = [loop for loop in einsum.read[operand] if einsum.domain[loop] > 1]
    summed = einsum.kind == "sum" and einsum.reductions & set(long)
    return _ACROSS if summed and long[-1] not in einsum.reductions else 1


def _is_known(value: ir.Value) -> bool:
    source = whole(value)
    if stored_constant(source) is not None:
        return True
    op = defining_op(source)
    return op is not None and op.name == "arith.constant"


def whole(value: ir.Value) -> ir.Value:
    """The tensor that ``value`` is a part, or a reshape, of."""
    return root_of(value, lambda op: op.name in (*RESHAPES, _SLICE))


def _kind(nest: LoopNest) -> Kind:
    if nest.is_contraction:
        return "contraction"
    return "sum" if nest.reductions else "elementwise"
