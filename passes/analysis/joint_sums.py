"""Many-to-many operators that are one kernel in spite of the table's red cell.

    f(contraction(a, u), contraction(b, v))
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

from smartmem.passes.analysis.fusion_plan import Group
from smartmem.passes.analysis.gpu_tiles import joint_gpu_tiles
from smartmem.passes.analysis.loops import contracts, loop_nest, reduces
from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.analysis.tile_sizes import joint_tiles, pooled_tiles
from smartmem.passes.base import Workgroups
from smartmem.vectors import Vectors

COMBINED = "both sums are combined at once: a block of results takes up one after the other"


POOLED = "a workgroup has all the rows that are summed up: it need not store them"

# More rows than this are computed by several workgroups.
_MOST_ROWS = 256


Contractions = Sequence[ir.Operation]


def share_results(producer: Group, consumer: Group, vectors: Vectors) -> str | None:
    """Why two many-to-many operators are one kernel of a CPU; None: they are not."""

    def fits(contractions: Contractions) -> bool:
        return not isinstance(joint_tiles(contractions, vectors), Refusal)

    combined = _combines_contractions(producer, consumer, fits)
    return combined or _pools(producer, consumer, vectors)


def share_threads(producer: Group, consumer: Group, bounds: Workgroups) -> str | None:
    """Why two many-to-many operators are one kernel of a GPU; None: they are not.

    Rows are not summed up: the threads of a workgroup have some each.
    """

    def fits(contractions: Contractions) -> bool:
        nests = [nest for op in contractions if (nest := loop_nest(op)) is not None]
        return not isinstance(joint_gpu_tiles(nests, bounds), Refusal)

    return _combines_contractions(producer, consumer, fits)


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
    producer: Group, consumer: Group, fits: Callable[[Contractions], bool]
) -> str | None:
    """``COMBINED`` if the end of ``consumer`` reads a contraction's result beside its own."""
    *ends, contraction = reversed(producer.operations)
    others = [op for op in consumer.operations if contracts(op)]
    if ends or not contracts(contraction) or len(others) != 1:
        return None
    (other,) = others
    if contraction.results[0].type != other.results[0].type:
        return None
    if not fits((contraction, other)):
        return None
    uses = list(contraction.results[0].uses)
    reader = uses[0].owner.operation
    if len(uses) != 1 or not _reads_as_written(reader, uses[0].operand_number):
        return None
    # The other sum is read at the same places, or they would lie in other blocks.
    own = [k for k, v in enumerate(reader.operands) if v == other.results[0]]
    joined = bool(own) and all(_reads_as_written(reader, k) for k in own)
    return COMBINED if joined else None


def _reads_as_written(op: ir.Operation, operand: int) -> bool:
    """Whether ``op``, elementwise, reads an operand where it writes its result."""
    nest = loop_nest(op)
    if nest is None or nest.reductions or nest.uses_index or operand == len(op.operands) - 1:
        return False
    return nest.accesses[operand].exprs == nest.accesses[-1].exprs
