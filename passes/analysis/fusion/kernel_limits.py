"""What IREE's code generators make a good, or a right, kernel of.

The table says what fusing two operators could give; these rules say what iree-compile
3.13 does with it. Each was measured or seen to fail; docs/results.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch_mlir import ir
from torch_mlir.dialects import linalg

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.fusion.loop_order import loop_orders, result_order
from smartmem.passes.analysis.fusion.plan import Group
from smartmem.passes.analysis.gathers.gathers import is_lookup, keeps_row
from smartmem.passes.analysis.ir.chains import origin, readers
from smartmem.passes.analysis.ir.loops import contracts, generic_nest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.row_reductions import ends_reduction
from smartmem.passes.analysis.operators.strided_slices import reads_slice
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum
from smartmem.passes.analysis.tiling.gpu_rows import GpuRows
from smartmem.passes.analysis.tiling.gpu_threads import row_tiles


@dataclass(frozen=True)
class FusionLimits:
    """What must not be fused, in IR that does not change meanwhile.

    Attributes:
        spirv: whether for SPIR-V.
    """

    spirv: bool = False
    _ends: dict[ir.Value, bool] = field(default_factory=dict)

    def __call__(self, producer: Group, consumer: Group) -> Refusal | None:
        """Why a kernel of both would be slower or not compile; None: it is good."""
        if _reduces(consumer):
            if _reduces(producer):
                return None
            return _refuse_prologue(producer, consumer, self.spirv)
        behind = any(ends_reduction(op, self._ends) for op in producer.operations)
        if behind or _reduces(producer):
            return _refuse_epilogue(producer, consumer)
        return None if self.spirv else _refuse_reshaped_slices(producer, consumer)


def refuse_region(group: Group, gpu: Gpu | None = None) -> Refusal | None:
    """Why a group must not become a region, but be left to IREE's own fusion.

    Args:
        gpu: the target if it is one: then the region becomes SPIR-V.
    """
    cloned = gpu is not None and _is_cloned(group)
    if len(group.operations) == 1 and not (_reduces(group) or _reads_slices(group) or cloned):
        return Refusal("alone, IREE may still fuse it with what is in no region")
    pools = gpu is None and any(map(_multiplies_and_adds, group.operations))
    for op in group.operations:
        if is_convolution(op):
            # IREE drops its dims of size 1, and pads and fuses it, before code generation.
            return Refusal("convolutions are prepared by IREE outside of regions")
        if sums_several_dims(op) and not pools and not _has_rows(group, gpu):
            # Seen on lavapipe: the sum over three dims of a region without tile sizes is
            # wrong by a factor; outside of regions IREE first collapses what it can, and
            # is right.
            return Refusal("in a region, sums over several dims become wrong SPIR-V")
    return None


def _has_rows(group: Group, gpu: Gpu | None) -> bool:
    """Whether a GPU's kernel of the group, its loops in their order now, gets tile sizes."""
    if gpu is None or any(result_order(op) is not None for op in group.operations):
        return False
    in_order = not loop_orders(group.operations)
    return in_order and isinstance(row_tiles(group.operations, gpu), GpuRows)


def must_stand_alone(op: ir.Operation) -> bool:
    """Whether IREE would fuse ``op`` wrongly with a sum over several dims.

    No region holds such a sum. Seen on lavapipe: exp(x) / sum(exp(x)) over the dims 0 and 2
    is wrong by order one. Right are sums over the innermost loops, which IREE collapses,
    with operations that run in the same order.
    """
    nest = loop_nest(op)
    if nest is None or sums_several_dims(op) or is_convolution(op):
        return False
    sources = (origin(value) for value in list(op.operands)[:-1])
    around = (*(source for source in sources if source is not None), *readers(op.results[0]))
    in_order = nest.keeps_order and not nest.uses_index
    return any(sums_several_dims(s) and not (in_order and _sums_rows(s)) for s in around)


def reduces_alone(op: ir.Operation) -> bool:
    """Whether ``op`` is a reduction that is right SPIR-V in a region of its own.

    IREE fuses reductions with operations whose loops run in another order, which is wrong
    SPIR-V. Seen on lavapipe: the softmax of a flipped tensor, imported by IREE itself.
    """
    nest = loop_nest(op) if op.name.startswith("linalg.") else None
    if nest is None or not nest.reductions or nest.is_contraction:
        return False
    return not is_convolution(op) and not sums_several_dims(op)


def sums_several_dims(op: ir.Operation) -> bool:
    """Whether ``op`` is a reduction over several loops, and no contraction."""
    nest = generic_nest(op)
    if nest is None or nest.is_contraction or nest.uses_index:
        return False
    return sum(nest.domain[d] > 1 for d in nest.reductions) > 1


def refuse_insertion(group: Group, spirv: bool) -> Refusal | None:
    """Why a group must not end with writing into a padded tensor; None if nothing pads it."""
    if not spirv or not any(
        op.name in ("tensor.pad", "tensor.insert_slice") for op in readers(group.result)
    ):
        return None
    if any(map(_multiplies_and_adds, group.operations)):
        return None
    # Seen on lavapipe: an elementwise kernel with an insertion is wrong by order one.
    return Refusal("only a contraction's kernel that inserts is right SPIR-V")


def _multiplies_and_adds(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is not None and (
        nest.is_contraction or (bool(nest.reductions) and is_window_sum(op))
    )


def is_convolution(op: ir.Operation) -> bool:
    """Whether ``op`` slides a window: a convolution or a pooling."""
    return op.name.startswith("linalg.") and bool(linalg.isa_convolution_op(op))


def _sums_rows(op: ir.Operation) -> bool:
    """Whether the dims that ``op`` sums over lie behind each other, and behind the others."""
    nest = loop_nest(op)
    if nest is None:
        return False
    parallel = [d for d, extent in enumerate(nest.domain) if extent > 1]
    parallel = [d for d in parallel if d not in nest.reductions]
    reads = nest.read
    return max(parallel, default=-1) < min(nest.reductions) and all(
        loops == sorted(loops)
        and len(nest.reductions - set(loops)) in (0, len(nest.reductions))
        for loops in reads
    )


def _reads_slices(group: Group) -> bool:
    """Whether an operand is a slice: an offset in a region, maybe a copy outside."""
    return any(reads_slice(value) for op in group.operations for value in op.operands)


def _is_cloned(group: Group) -> bool:
    """Whether IREE would put a copy of the operation into each region that reads it.

    It does so with what has no operands but the elements it looks up. Seen on lavapipe: the
    rows of a mean that are looked up so need workgroup memory for indices, which fails.
    """
    op = group.operations[0]
    return op.name == "linalg.generic" and len(op.operands) == len(op.results)


def _reduces(group: Group) -> bool:
    return any(_is_reduction(op) for op in group.operations)


def _is_reduction(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return op.name.startswith("linalg.") and (nest is None or bool(nest.reductions))


def _refuse_prologue(producer: Group, consumer: Group, spirv: bool) -> Refusal | None:
    """Elementwise operations before a reduction, or beside one: before its end."""
    if all(map(is_lookup, producer.operations)):
        return _refuse_lookup(producer, consumer, spirv)
    rows = sum(map(_is_reduction, consumer.operations)) > 1
    if not rows or any(map(contracts, readers(producer.result))):
        return Refusal("a reduction loads its operands as vectors: it reads stored ones")
    # A row-wise operator keeps the row that it computes, if it is computed as it lies.
    for op in producer.operations:
        nest = loop_nest(op)
        if nest is not None and not nest.uses_index and not nest.keeps_order:
            return Refusal("a normalization would compute its row in another order")
    return None


def _refuse_lookup(lookup: Group, consumer: Group, spirv: bool) -> Refusal | None:
    """Ends of contractions look up element by element, row-wise operators row by row."""
    row_wise = not any(map(contracts, consumer.operations))
    if row_wise and not spirv and not all(map(keeps_row, lookup.operations)):
        return Refusal("its rows are too long to be looked up once, and kept")
    for op in readers(lookup.result):
        if op.name != "linalg.generic" or contracts(op):
            return Refusal("a contraction loads its operands as vectors: it reads stored ones")
    return None


def _refuse_reshaped_slices(producer: Group, consumer: Group) -> Refusal | None:
    """Slices of a window, whose sum is read in other dims: no loop of the kernel splits them.

    iree-compile 3.13 would compute the sum of all of a workgroup's slices as one vector.
    """
    last = producer.operations[-1]
    operands = [value for op in consumer.operations for value in list(op.operands)[:-1]]
    direct = sum(value in list(last.results) for value in operands)
    made = sum(source == last for v in operands if (source := origin(v)) is not None)
    if made > direct and _reads_slices(producer):
        return Refusal("a reshape lies between: its slices have other loops")
    return None


def _refuse_epilogue(producer: Group, consumer: Group) -> Refusal | None:
    """Elementwise operations behind a reduction: they run on its registers."""
    inside = [producer.operations[-1], *consumer.operations]
    for op in consumer.operations:
        nest = loop_nest(op)
        if nest is None or nest.uses_index:
            return Refusal("it is read at computed indices, element by element")
        for number, value in enumerate(list(op.operands)[:-1]):
            source = origin(value)
            if source is None or source not in inside:
                continue
            if len(set(nest.loops_of(number))) < sum(n > 1 for n in nest.domain):
                return Refusal("it would be computed again for all that it is repeated to")
            if value.owner.operation != source:
                return Refusal("a reshape lies between: the loops differ")
    return None
