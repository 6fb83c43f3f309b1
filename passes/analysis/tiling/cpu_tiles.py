"""Tile sizes of a kernel's loops, from its shape: the analytic choice for CPUs.

A kernel that multiplies and adds keeps a block of results in registers: some rows of the
result, one or two vectors wide. What is read for them, a vector of weights and a scalar of
the image or of the rows, is used for the whole block. A workgroup is some blocks, so many
that its weights stay in the cache and that all threads have work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from torch_mlir import ir

from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.gathers.gathers import keeps_row
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum
from smartmem.passes.analysis.tiling.cpu_single_rows import blocks_together
from smartmem.passes.analysis.tiling.cpu_workgroups import row_workgroups, workgroup_sizes
from smartmem.passes.analysis.tiling.tiles import Tiles, listed

# What a step of a block takes beside its rows, as many as these: it reads weights. 196 rows of
# 384 on a processor with AVX2, in GMAC/s of a core: 18 in blocks of two rows, 25 of four, 36 of six.
_WEIGHTS = 6

# Packed blocks that have one vector each, together in registers: the best numbers first.
_JOINED = (3, 2)

# Rows of a picture, one behind the other, in a block of the sum over a window.
_ROWS_ACROSS = 2

# The part of the time of blocks without a rest that blocks with one take at most.
_PAYS = 0.9


@dataclass(frozen=True)
class TileSizes(Tiles):
    """Sizes for each loop; 0 leaves a loop whole.

    Attributes:
        workgroup: of what one workgroup computes.
        vector: of the block of results that is kept in registers.
        reduction: of the reduction loops, steps that are unrolled.
        peeled: whether what is left behind the last whole block is a block of its own. Else
            it is computed element by element, or with masks where the target has them.
    """

    workgroup: tuple[int, ...]
    vector: tuple[int, ...]
    reduction: tuple[int, ...]
    peeled: bool = False

    def lowering(self, *, is_root: bool = True) -> str:
        """The sizes in IREE's notation."""
        workgroup = f"distribution = {listed(self.workgroup)}, " if is_root else ""
        return (
            f"#iree_cpu.lowering_config<{workgroup}"
            f"vector_common_parallel = {listed(self.vector)}, "
            f"vector_reduction = {listed(self.reduction)}>"
        )

    @property
    def translation(self) -> str:
        """The pipeline, and whether it peels."""
        options = ", {enable_loop_peeling}" if self.peeled else ""
        return f"<pipeline = #iree_cpu.pipeline<DoubleTilingExpert>{options}>"

    def __str__(self) -> str:
        return f"tiles: {self.workgroup}"


def tile_sizes(op: ir.Operation, vectors: Vectors, beside: int = 0) -> TileSizes | Refusal:
    """The tile sizes of ``op``, the operation of a kernel that does most of its work.

    Args:
        beside: elements of each row that the kernel reads for other sums.
    """
    nest = loop_nest(op)
    if nest is None:
        return Refusal("it has no loops")
    if not is_window_sum(op) and not nest.is_contraction:
        return Refusal("it neither multiplies and adds, nor sums over a window")
    return sum_tiles(nest, vectors, beside)


@lru_cache(maxsize=1 << 12)
def sum_tiles(nest: LoopNest, vectors: Vectors, beside: int = 0) -> TileSizes | Refusal:
    """The tile sizes of a contraction or a sum over a window that has these loops.

    Args:
        beside: as for ``tile_sizes``.
    """
    written = nest.written
    if len(written) < 2 or nest.domain[written[-1]] < _narrowest(nest, vectors.lanes):
        return Refusal("its result is narrower than a vector")
    if _loads_vectors(nest, written[-1]):
        return _tiles(nest, written, vectors, beside)
    if _dots(nest, vectors):
        return _dot_tiles(nest, written, vectors, beside)
    return Refusal("its innermost loop is not innermost in what it reads")


def _narrowest(nest: LoopNest, lanes: int) -> int:
    """The fewest columns: half a vector of them where they are packed for a single row."""
    return lanes // 2 if _is_packed_row(nest, lanes) else lanes


def _is_packed_row(nest: LoopNest, lanes: int) -> bool:
    """Whether weights are packed for a single row, in blocks of a vector or half of one."""
    column = nest.written[-1]
    one = nest.is_single_row or (nest.unpacks and bool(nest.packed_blocks))
    packed = one and nest.domain[column] in (lanes, lanes // 2)
    return packed and _loads_vectors(nest, column)


def row_tiles(operations: Sequence[ir.Operation], vectors: Vectors) -> TileSizes | Refusal:
    """The tile sizes of the last operation of a row-wise kernel: some rows, in vectors.

    Of softmax and of normalizations, whose reductions sum the innermost dim. A row that is
    looked up is one vector, which all operations have: of a part of it each would look it up.
    Rows that vectors do not divide, without masks: 600 rows of 197 take 0.58 of the time with
    the rest peeled.
    """
    nests = [nest for op in operations if (nest := loop_nest(op)) is not None]
    last = nests[-1] if nests else None
    if last is None or last.reductions or not any(nest.reductions for nest in nests):
        return Refusal("it does not end with the elements of rows")
    rank, written = len(last.domain), last.written
    if written != list(range(rank)) or rank < 2 or last.domain[-1] < vectors.lanes:
        return Refusal("its rows are shorter than a vector, or lie across")
    if any(nest.reductions - {rank - 1} for nest in nests):
        return Refusal("it sums along other dims than the innermost")
    vector = 0 if any(map(keeps_row, operations)) else vectors.lanes
    peeled = vector > 0 and last.domain[-1] % vector > 0 and not vectors.masks
    workgroup = (*row_workgroups(last.domain), 0)
    return TileSizes(workgroup, (*(1,) * (rank - 1), vector), (0,) * rank, peeled)


def _loads_vectors(nest: LoopNest, column: int) -> bool:
    """Whether the operands that ``column`` indexes have it innermost, and there is one."""
    indexed = [loops for loops in nest.read if column in loops]
    return bool(indexed) and all(loops[-1] == column for loops in indexed)


def _dots(nest: LoopNest, vectors: Vectors) -> bool:
    """Whether both operands are read along the sum, in whole vectors: scores of an attention."""
    innermost = {loops[-1] for loops in nest.read}
    return (
        nest.is_contraction
        and len(innermost) == 1
        and innermost == nest.reductions
        and nest.domain[innermost.pop()] % vectors.lanes == 0
    )


def _dot_tiles(
    nest: LoopNest, written: Sequence[int], vectors: Vectors, beside: int
) -> TileSizes:
    """A vector of columns; its square of steps of the sum is transposed in registers.

    3 x 208 x 208 scores of 64: 0.73 of the time of what the code generator chooses, 12 x 77 x
    77: 0.52, 192 x 49 x 49 of 32: 0.94.
    """
    *rows, column = written
    vector = [int(loop in rows) for loop in range(len(nest.domain))]
    vector[column] = vectors.lanes
    of_rows = block_rows if _can_peel(nest, vector, vectors) else dividing_rows
    vector[rows[-1]] = of_rows(nest.domain[rows[-1]], vectors.rows_of(2))
    reduction = [vectors.lanes * (loop in nest.reductions) for loop in range(len(nest.domain))]
    workgroup = workgroup_sizes(nest, vector, beside)
    workgroup[column] = nest.domain[column]
    return _made(nest, workgroup, vector, reduction, vectors)


def _tiles(nest: LoopNest, written: Sequence[int], vectors: Vectors, beside: int) -> TileSizes:
    vector = _block(nest, written, vectors)
    reduction = [int(loop in nest.reductions) for loop in range(len(nest.domain))]
    workgroup = workgroup_sizes(nest, vector, beside)
    return _made(nest, workgroup, vector, reduction, vectors)


def _block(nest: LoopNest, written: Sequence[int], vectors: Vectors) -> list[int]:
    """The block of results that is kept in registers."""
    *rows, column = written
    vector = [int(loop in rows) for loop in range(len(nest.domain))]
    if _is_packed_row(nest, vectors.lanes):
        weights = math.prod(nest.domain[loop] for loop in (*nest.reductions, column))
        vector[column] = nest.domain[column]
        vector[rows[-1]] = blocks_together(nest.domain[rows[-1]], weights)
        return vector
    across = not nest.is_contraction and _lies_across(nest, rows, column)
    blocked = [] if across else _blocked(nest, rows, column)
    vector[column] = _block_columns(nest, column, len(blocked), vectors)
    width = vector[column] // vectors.lanes
    blocks = nest.packed_blocks
    packed = nest.is_contraction and nest.domain[column] == vectors.lanes
    if packed and blocks and len(blocked) == 1:
        width = vector[blocks[-1]] = _joined(nest.domain[blocks[-1]])
    highest = vectors.rows_of(width) if nest.is_contraction else vectors.window_rows(width)
    if len(blocked) > 1:  # a square where both operands are read as vectors along the columns
        highest = vectors.block_side
    of_rows = block_rows if _can_peel(nest, vector, vectors) else dividing_rows
    for loop in blocked:
        vector[loop] = of_rows(nest.domain[loop], highest)
    for loop in _outer_rows(nest, rows, column) if across else ():
        vector[loop] = dividing_rows(nest.domain[loop], _ROWS_ACROSS)
    return vector


def _block_columns(nest: LoopNest, column: int, blocked: int, vectors: Vectors) -> int:
    """Columns of a block, of which ``blocked`` loops have rows."""
    extent, lanes = nest.domain[column], vectors.lanes
    narrower = _part_of_vector(extent, lanes) if vectors.masks else None
    if narrower is not None:
        return narrower
    if not blocked:
        found = _wide_columns(extent, lanes)
    else:
        found = _columns(extent, lanes if blocked > 1 else 2 * lanes, lanes)
    return found if nest.reductions else min(found, lanes)


def _joined(blocks: int) -> int:
    """How many packed blocks of one vector are taken up for the same rows.

    Fewer scalars are read for as many products: 784 rows of 216 in 27 blocks of 8 channels
    take 1.81 ms with 14 rows of one, 1.70 with 6 of two, 1.37 with 4 of three (AVX2).
    """
    return next((n for n in _JOINED if blocks % n == 0), 1)


def _can_peel(nest: LoopNest, vector: Sequence[int], vectors: Vectors) -> bool:
    """Whether blocks can have a rest, given the columns of a block.

    A rest of columns is a vector of its own then: without masks, and half a vector or so, as
    others are taken apart. 784 x 76 of 216, in blocks of 16 columns: 8 GMAC/s not peeled, 5
    with the rest of 12; 784 x 72: 6.5 and 11.5 with the rest of 8.
    """
    column = nest.written[-1]
    rest = nest.domain[column] % vector[column]
    return rest == 0 or (not vectors.masks and rest.bit_count() == 1)


def _made(
    nest: LoopNest,
    workgroup: Sequence[int],
    vector: Sequence[int],
    reduction: Sequence[int],
    vectors: Vectors,
) -> TileSizes:
    """These sizes, and whether a rest is peeled."""
    sizes = zip(workgroup, vector, nest.domain, strict=True)
    cut_off = any(v and (w or n) % v for w, v, n in sizes)
    peeled = cut_off and _can_peel(nest, vector, vectors)
    return TileSizes(tuple(workgroup), tuple(vector), tuple(reduction), peeled)


def _lies_across(nest: LoopNest, rows: Sequence[int], column: int) -> bool:
    """Whether what is read as scalars has rows innermost: a picture of a few channels.

    Of a block of rows a vector would be loaded, and taken apart. One row and wide columns
    take half the time, 112 x 112 x 64 of windows of 7 x 7.
    """
    scalars = nest.read_without(column)
    return bool(nest.reductions and scalars) and all(loops[-1] in rows for loops in scalars)


def _outer_rows(nest: LoopNest, rows: Sequence[int], column: int) -> list[int]:
    """The innermost loop over rows, if there is one, that no scalar has innermost.

    Scalars of rows that lie apart are loaded one by one: 112 x 112 x 64 of windows of 7 x 7 take
    2.2 ms with two rows of the picture in a block, 4.2 with one.
    """
    innermost = {loops[-1] for loops in nest.read_without(column)}
    read = {loop for loops in nest.read_without(column) for loop in loops}
    return [loop for loop in rows if loop in read - innermost][-1:]


def _blocked(nest: LoopNest, rows: Sequence[int], column: int) -> list[int]:
    """The innermost loop of each operand that the vector of another operand is used for.

    An operand that has the columns itself, and shares its loops with no other such one,
    gives one vector for all of a block's rows.
    """
    operands = {frozenset(loops) for loops in nest.read}
    scalars = {loops for loops in operands if column not in loops}
    found = []
    for loops in scalars or operands:
        own = [d for d in rows if d in loops and all(d not in o for o in operands - {loops})]
        found += own[-1:]
    return found or list(rows[-1:])


def _columns(extent: int, most: int, lanes: int) -> int:
    """Columns of a block: vectors that divide ``extent``, else one whose end is cut off."""
    return most if extent % most == 0 or extent >= 2 * most else lanes


def _part_of_vector(extent: int, lanes: int) -> int | None:
    """Columns that divide ``extent``, which whole vectors do not: more than half a vector.

    Of a block that is cut off, each sum is masked, and kept twice where an elementwise
    operation reads it: 3136 x 24 of 144 take 0.29 ms in blocks of 12 columns, 1.03 of 16.
    """
    if extent % lanes == 0:
        return None
    fitting = (n for n in range(lanes - 2, lanes // 2, -2) if extent % n == 0)
    return next(fitting, None)


def _wide_columns(extent: int, lanes: int) -> int:
    """Columns of a block of one row: up to four vectors, if they divide ``extent``."""
    return next((n for n in (4 * lanes, 2 * lanes) if extent % n == 0), lanes)


def block_rows(extent: int, most: int) -> int:
    """Rows of a block, up to ``most``: as many as make the time of all blocks the least.

    The rows left behind the last whole block are a block of their own. That is a second copy
    of the kernel's code: it must pay.
    """
    fitting = dividing_rows(extent, most)
    fastest = min(range(1, most + 1), key=lambda rows: _time_of_blocks(extent, rows))
    pays = _time_of_blocks(extent, fastest) < _PAYS * _time_of_blocks(extent, fitting)
    return fastest if pays else fitting


def dividing_rows(extent: int, most: int) -> int:
    """The largest divisor of ``extent`` up to ``most``: the rows of blocks without a rest."""
    return max(d for d in range(1, most + 1) if extent % d == 0)


def _time_of_blocks(extent: int, rows: int) -> int:
    """The time of a step of all blocks, in that of a row."""
    full, rest = divmod(extent, rows)
    return full * (rows + _WEIGHTS) + (rest + _WEIGHTS if rest else 0)
