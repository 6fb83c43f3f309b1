"""The layouts that a compilation chose, tensor by tensor, and what its kernels cost.

Read from the lowered module, so that it tells what iree-compile gets: the shape in which
each tensor lies in memory, how each kernel reads it, and why that order was chosen.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from torch_mlir import ir

from smartmem.mlir.memo import remembering
from smartmem.parameters import resource_key
from smartmem.passes import PassContext
from smartmem.passes.analysis.images.image_choices import Storage
from smartmem.passes.analysis.ir.loops import contracts
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.layout.kernel_costs import (
    Einsum,
    Loads,
    Rates,
    efficiency,
    einsum_of,
    rates_of,
    source_of,
    whole,
)
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum
from smartmem.passes.analysis.tiling.kernel_keys import kernel_key
from smartmem.passes.analysis.tiling.kernel_tiles import looping_operations, root_of
from smartmem.passes.base import REGION, kernel_number, operations, outer_operations


@dataclass(frozen=True)
class TensorRead:
    """How a kernel reads a tensor.

    Attributes:
        kernel: its number.
        loads: "vectors"; "scalars": an element is used for a whole vector; or "strided".
    """

    kernel: int
    loads: Loads


@dataclass(frozen=True)
class TensorLayout:
    """Where and how a tensor lies in memory.

    Attributes:
        name: of the kernel that makes it, ``kernel 7``, or the key of the weights.
        kind: "intermediate" or "weight"; of weights, only those that were re-laid.
        shape: as it lies in memory, row-major.
        dtype: MLIR's name of the element type.
        storage: ``buffer``: where the tensor lives.
        bytes: its size.
        reads: by whom it is read, and how.
        reason: why it lies so.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    storage: str
    bytes: int
    reads: tuple[TensorRead, ...]
    reason: str


@dataclass(frozen=True)
class KernelPrediction:
    """What a kernel of a group costs.

    Attributes:
        number: of the group, as in iree-compile's messages.
        key: what a measured choice for it is filed under; None where it cannot be tuned.
        flops: of its contractions, or of its main operation.
        bytes: of the tensors that it reads and writes, each once.
        predicted_s: seconds of one run by the cost model.
        measured_s: by the tuning table; None where that does not know it.
        storage: how it is to read what it only reads, where that was measured.
    """

    number: int
    key: str | None
    flops: int
    bytes: int
    predicted_s: float
    measured_s: float | None
    storage: Storage | None


@dataclass(frozen=True)
class Layouts:
    """All of them, in program order.

    Attributes:
        tensors: between kernels, and weights.
        kernels: those of groups.
        rates: what the cost model takes a device to do per second; None if nothing is told.
        source: where ``rates`` come from, for people.
    """

    tensors: tuple[TensorLayout, ...] = ()
    kernels: tuple[KernelPrediction, ...] = ()
    rates: Rates | None = None
    source: str = ""


@dataclass
class _Tensor:
    value: ir.Value
    reads: list[tuple[int, ir.Operation, Einsum, int]] = field(default_factory=list)


def layouts_of(
    module: ir.Operation, context: PassContext, imported: Collection[str]
) -> Layouts:
    """The layouts of a lowered module.

    Args:
        context: what the passes were given.
        imported: keys of the parameters that the model came with: the others are re-laid.
    """
    with remembering():
        return _layouts_of(module, context, imported)


def _layouts_of(
    module: ir.Operation, context: PassContext, imported: Collection[str]
) -> Layouts:
    regions = [op for op in outer_operations(module) if op.name == REGION]
    tensors: dict[ir.Value, _Tensor] = {r.results[0]: _Tensor(r.results[0]) for r in regions}
    kernels = []
    for region in regions:
        number = _number(region)
        reads = list(_reads(region))
        for value, op, einsum, operand in reads:
            tensors.setdefault(value, _Tensor(value)).reads.append(
                (number, op, einsum, operand)
            )
        kernels.append(_prediction(number, region, reads, context))
    rows = [_layout(tensor, imported) for tensor in tensors.values()]
    return Layouts(
        tuple(row for row in rows if row is not None),
        tuple(kernels),
        rates_of(context),
        source_of(context),
    )


def _number(region: ir.Operation) -> int:
    number = kernel_number(region)
    return -1 if number is None else number


def _reads(region: ir.Operation) -> Iterator[tuple[ir.Value, ir.Operation, Einsum, int]]:
    """What the operations of a region read from outside: tensor, reader, number."""
    inside = set(operations(region))
    for op in looping_operations(region):
        einsum = einsum_of(op)
        for operand, value in enumerate(list(op.operands)[:-1] if einsum else ()):
            source = whole(value)
            made = not isinstance(source.owner, ir.Block) and source.owner.operation in inside
            if einsum is not None and not made:
                yield source, op, einsum, operand


def _prediction(
    number: int,
    region: ir.Operation,
    reads: Sequence[tuple[ir.Value, ir.Operation, Einsum, int]],
    context: PassContext,
) -> KernelPrediction:
    rates = rates_of(context)
    computing = looping_operations(region)
    root = root_of(computing)
    sizes, strided = _sizes(reads), _strided(reads)
    written = _nbytes(region.results[0])
    weighed = written + sum(
        size * (rates.strided if value in strided else 1) for value, size in sizes.items()
    )
    # The bindings refuse to compare an operation with None.
    last = [] if root is None else [root]
    work = [_work(op, rates, context) for op in computing if contracts(op) or op in last]
    flops, busy = (sum(parts) for parts in zip((0, 0.0), *work, strict=True))
    key = kernel_key(computing, root) if root is not None else None
    known = context.tuning.kernels.get(key) if context.tuning and key else None
    return KernelPrediction(
        number,
        key,
        flops,
        written + sum(sizes.values()),
        max(busy, weighed / rates.bytes) + rates.launch,
        None if known is None else known.seconds,
        None if known is None else known.storage,
    )


def _work(op: ir.Operation, rates: Rates, context: PassContext) -> tuple[int, float]:
    """FLOPs of an operation, and the seconds that they take at least."""
    einsum = einsum_of(op)
    if einsum is None:
        return 0, 0.0
    flops = math.prod(einsum.domain) * max(len(einsum.read), 1)
    if einsum.kind != "contraction" and not is_window_sum(op):
        return flops, 0.0
    part = efficiency(einsum, context.vectors) if einsum.kind == "contraction" else 1.0
    return flops, flops / (rates.flops * context.lanes / 16 * part)


def _sizes(
    reads: Sequence[tuple[ir.Value, ir.Operation, Einsum, int]],
) -> dict[ir.Value, int]:
    """Bytes that are read of each tensor: of all its slices, at most the whole."""
    found: dict[ir.Value, int] = {}
    for value, _, einsum, operand in reads:
        part = einsum.itemsize * einsum.elements(einsum.read[operand])
        found[value] = min(found.get(value, 0) + part, _nbytes(value))
    return found


def _strided(
    reads: Sequence[tuple[ir.Value, ir.Operation, Einsum, int]],
) -> set[ir.Value]:
    return {v for v, _, einsum, operand in reads if einsum.loads(operand) == "strided"}


def _layout(tensor: _Tensor, imported: Collection[str]) -> TensorLayout | None:
    value = tensor.value
    key = None
    if isinstance(value.owner, ir.Block):
        return None  # the caller's
    if value.owner.name == "arith.constant":
        key = resource_key(value.owner.attributes["value"])
        if key is None or key in imported:
            return None
    elif value.owner.name != REGION:
        return None  # no kernel of ours makes it
    reads = dict.fromkeys(
        TensorRead(number, einsum.loads(operand)) for number, _, einsum, operand in tensor.reads
    )
    return TensorLayout(
        name=key or f"kernel {_number(value.owner.operation)}",
        kind="weight" if key else "intermediate",
        shape=shape_of(value),
        dtype=str(ir.RankedTensorType(value.type).element_type),
        storage="buffer",
        bytes=_nbytes(value),
        reads=tuple(reads),
        reason=_weights_reason(key) if key else _reason(tensor),
    )


def _weights_reason(key: str) -> str:
    made = key.rstrip("_0123456789")
    return {
        "packed": "in blocks of channels, in the order in which its kernel reads them",
        "scaled": "as imported, times a factor of the model",
        "folded": "moved now, for its readers would move it",
    }.get(made, "computed now, in the order in which its kernel reads it")


def _reason(tensor: _Tensor) -> str:
    """Why an intermediate tensor lies as it does, by those who read it."""
    if not tensor.reads:
        return "a result of the model, or read outside of groups: the model's order"
    found: list[str] = []
    for _, op, einsum, operand in tensor.reads:
        found.append(_read_reason(op, einsum, operand))
    return "; ".join(dict.fromkeys(found))


def _read_reason(op: ir.Operation, einsum: Einsum, operand: int) -> str:
    loads = einsum.loads(operand)
    inner = [loop for loop in einsum.read[operand] if einsum.domain[loop] > 1][-1:]
    if loads == "strided":
        return "a reader strides through it: another order would cost more elsewhere"
    if is_window_sum(op):
        return "a window slides over it: channels innermost give vectors"
    if inner and inner[0] in einsum.reductions:
        return "its innermost dim is the reduction dim of a reader"
    if einsum.kind == "contraction":
        return "a contraction loads vectors along its innermost dim"
    return "a reader takes its elements in the order in which they are written"


def _nbytes(value: ir.Value) -> int:
    width = getattr(ir.RankedTensorType(value.type).element_type, "width", 64)
    return math.prod(shape_of(value)) * max(1, width // 8)
