"""Many-to-many operators that are one kernel in spite of the table's red cell.

    f(contraction(a, u), contraction(b, v))
    f(contraction(a, u), contraction(a, one column of u))
    sum over all rows of contraction(a, u)

The table keeps two reductions apart since each wants its own loops, tiles and registers.
These want the same. A block of results takes up one sum after the other, and only the
reduction loops differ: the last convolution of a residual block and that of its shortcut,
the gate of a feed-forward network and what it lets through.
Or a workgroup has all the rows that are summed up: the pooling behind the last convolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.fusion.plan import Group
from smartmem.passes.analysis.ir.loops import LoopNest, contracts, loop_nest, reduces
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.tiling.cpu_multi_reductions import joint_tiles, pooled_tiles
from smartmem.passes.analysis.tiling.gpu_tiles import joint_gpu_tiles

COMBINED = "both sums are combined at once: a block of results takes up one after the other"


POOLED = "a workgroup has all the rows that are summed up: it need not store them"

# More rows than this are computed by several workgroups.
_MOST_ROWS = 256


Contractions = Sequence[ir.Operation]

Fits = Callable[[Contractions], bool]
"""Whether contractions have tiles that suit each other."""

Reads = Callable[[ir.Operation, Sequence[int]], bool]
"""Whether an operation reads these of its operands at the same places."""


def share_results(producer: Group, consumer: Group, vectors: Vectors) -> str | None:
    """Why two many-to-many operators are one kernel of a CPU; None: they are not."""

    def fits(contractions: Contractions) -> bool:
        return not isinstance(joint_tiles(contractions, vectors), Refusal)

    combined = _combines_contractions(producer, consumer, fits, reads_blocks)
    return combined or _pools(producer, consumer, vectors)


def share_threads(producer: Group, consumer: Group, gpu: Gpu) -> str | None:
    """Why two many-to-many operators are one kernel of a GPU; None: they are not.

    Rows are not summed up: the threads of a workgroup have some each.
    """

    def fits(contractions: Contractions) -> bool:
        if len({op.results[0].type for op in contractions}) > 1:
            return False
        nests = [nest for op in contractions if (nest := loop_nest(op)) is not None]
        return not isinstance(joint_gpu_tiles(nests, gpu), Refusal)

    return _combines_contractions(producer, consumer, fits, _reads_as_written)


def _pools(producer: Group, consumer: Group, vectors: Vectors) -> str | None:
    """``POOLED`` if ``consumer`` ends with a sum over all rows of a contraction."""
    sums = [op for op in consumer.operations if not contracts(op) and reduces(op)]
    nest = loop_nest(sums[0]) if len(sums) == 1 else None
    if nest is None or not nest.is_plain or nest.uses_index:
        return None
    if math.prod(nest.domain[d] for d in nest.reductions) > _MOST_ROWS:
        return None
    kernel = [*producer.operations, *consumer.operations]
    if len(list(producer.result.uses)) != 1 or producer.result not in list(sums[0].operands):
        return None  # a reshape lies between: the loops differ
    return None if isinstance(pooled_tiles(kernel, vectors), Refusal) else POOLED


def _combines_contractions(
    producer: Group, consumer: Group, fits: Fits, reads: Reads
) -> str | None:
    """``COMBINED`` if the end of ``consumer`` reads a contraction's result beside its own."""
    *ends, contraction = reversed(producer.operations)
    others = [op for op in consumer.operations if contracts(op)]
    if ends or not contracts(contraction) or len(others) != 1:
        return None
    (other,) = others
    uses = list(contraction.results[0].uses)
    if len(uses) != 1 or not fits((contraction, other)):
        return None
    reader = uses[0].owner.operation
    # The other sum is read at the same places, or they would lie in other blocks.
    own = [k for k, v in enumerate(reader.operands) if v == other.results[0]]
    return COMBINED if own and reads(reader, [uses[0].operand_number, *own]) else None


def reads_blocks(reader: ir.Operation, operands: Sequence[int]) -> bool:
    """Whether ``reader``, elementwise, reads the same block of several results for its own.

    One that lacks the columns is read for all of them; the rows may then be written in
    another order. Without one, what writes in another order is a kernel of its own: to the
    plan it only moves data.
    """
    nest = _plain_end(reader, operands)
    if nest is None:
        return False
    places = [nest.loops_of(k) for k in operands]
    whole, written = max(places, key=len), nest.written
    if sorted(whole) != list(range(len(nest.domain))) or whole[-1] != written[-1]:
        return False
    same_rows = all(loops in (whole, whole[:-1]) for loops in places)
    return same_rows and (whole == written or whole[:-1] in places)


def _reads_as_written(reader: ir.Operation, operands: Sequence[int]) -> bool:
    """Whether ``reader``, elementwise, reads operands where it writes its result."""
    nest = _plain_end(reader, operands)
    if nest is None:
        return False
    return all(nest.accesses[k].exprs == nest.accesses[-1].exprs for k in operands)


def _plain_end(reader: ir.Operation, operands: Sequence[int]) -> LoopNest | None:
    """The loops of ``reader`` if it is elementwise, and only reads the operands."""
    nest = loop_nest(reader)
    if nest is None or nest.reductions or nest.uses_index:
        return None
    return None if nest.output in operands else nest
