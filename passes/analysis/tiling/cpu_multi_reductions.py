"""Tile sizes of kernels with several sums, for CPUs: all keep the same block of results.

A sum that lacks the columns of the others, such as what a softmax without exponentials
divides by, keeps one result for each row of the block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch_mlir import ir

from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.ir.loops import LoopNest, contracts, divisors, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, long_dims, shape_of
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum
from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes, sum_tiles
from smartmem.passes.analysis.tiling.cpu_workers import waiting
from smartmem.passes.analysis.tiling.cpu_workgroups import workgroup_count

# Workgroups below which it is better to store rows and add them up in a kernel of its own.
_FEWEST_WORKGROUPS = 4

# Steps at once of a sum without columns. 16 x 196 sums of 16 beside those of 16 columns: 0.72
# of the time of single steps, 0.77 of that of whole vectors.
_STEPS = 4


def joint_tiles(
    roots: Sequence[ir.Operation], vectors: Vectors
) -> dict[ir.Operation, TileSizes] | Refusal:
    """The tile sizes of operations whose sums one kernel takes up in turn.

    The workgroup is that of the last one, which has all the loops of the results.
    """
    nests = [nest for op in roots if (nest := loop_nest(op)) is not None]
    if len(nests) < len(roots):
        return Refusal("it has no loops")
    if not all(contracts(op) or is_window_sum(op) for op in roots):
        return Refusal("it neither multiplies and adds, nor sums over a window")
    found = joint_sum_tiles(nests, vectors)
    if isinstance(found, Refusal):
        return found
    order = sorted(range(len(roots)), key=lambda k: len(nests[k].written))
    return {roots[k]: found[k] for k in order}


def joint_sum_tiles(nests: Sequence[LoopNest], vectors: Vectors) -> list[TileSizes] | Refusal:
    """The tile sizes of contractions, or sums over windows, that one kernel takes up in turn.

    Those with fewer dims have the rows of the others, but not their columns.
    """
    most, total = max(len(nest.written) for nest in nests), sum(map(_steps, nests))
    wide = [nest for nest in nests if len(nest.written) == most]
    tiles = {nest: sum_tiles(nest, vectors, total - _steps(nest)) for nest in wide}
    block = tiles[wide[0]]
    if isinstance(block, Refusal):
        return block
    for nest in nests:
        if nest not in tiles:
            tiles[nest] = _narrow_tiles(nest, wide[0], block)
    found = [sizes for nest in nests if isinstance(sizes := tiles[nest], TileSizes)]
    if len(found) < len(nests):
        return next(sizes for sizes in tiles.values() if isinstance(sizes, Refusal))
    pairs = zip(nests, found, strict=True)
    blocks = {_block(nest, sizes) for nest, sizes in pairs if nest in wide}
    return found if len(blocks) == 1 else Refusal("its sums want different blocks of results")


def _narrow_tiles(nest: LoopNest, wide: LoopNest, tiles: TileSizes) -> TileSizes | Refusal:
    """The tile sizes of a sum with the rows of ``wide``, but without its columns."""
    *rows, _ = wide.written
    written = nest.written
    if [nest.domain[d] for d in written] != [wide.domain[d] for d in rows]:
        return Refusal("its sums have different rows")
    along = [loops[-1] for loops in nest.read]
    if not nest.reductions.issuperset(along):
        return Refusal("the sum without columns does not run along what lies in memory")
    vector, reduction = [0] * len(nest.domain), [0] * len(nest.domain)
    for loop, row in zip(written, rows, strict=True):
        vector[loop] = tiles.vector[row]
    for loop in nest.reductions:
        reduction[loop] = math.gcd(nest.domain[loop], _STEPS) if loop in along else 1
    return TileSizes((0,) * len(vector), tuple(vector), tuple(reduction))


def _block(nest: LoopNest, tiles: TileSizes) -> tuple[int, ...]:
    """The block of results that is kept in registers."""
    return tuple(tiles.vector[d] for d in nest.written)


def _steps(nest: LoopNest) -> int:
    """Elements that are summed up for one of the result."""
    return math.prod(nest.domain[d] for d in nest.reductions)


def operand_tiles(
    roots: Mapping[ir.Operation, TileSizes],
) -> dict[ir.Operation, TileSizes]:
    """The tile sizes of elementwise operations that make an operand of contractions.

    As much as a step of the contraction reads: weights that are scaled as they are loaded.
    """
    found = {}
    for root, tiles in roots.items():
        nest = loop_nest(root) if contracts(root) else None
        for number in (0, 1) if nest is not None else ():
            value = root.operands[number]
            made = None if isinstance(value.owner, ir.Block) else value.owner.operation
            if made is None or made.name != "linalg.generic" or made.parent != root.parent:
                continue
            assert nest is not None, "it contracts"
            loops = nest.loops_of(number)
            vector = tuple(tiles.vector[d] or tiles.reduction[d] for d in loops)
            found[made] = TileSizes((0,) * len(loops), vector, (0,) * len(loops))
    return found


def pooled_tiles(
    kernel: Sequence[ir.Operation], vectors: Vectors
) -> dict[ir.Operation, TileSizes] | Refusal:
    """The tile sizes of contractions and of the sum over their rows that ends the kernel.

    A workgroup has all rows of some columns; their blocks are added up as they are made.
    """
    sums = [k for k, op in enumerate(kernel) if _summed(op) > 1 and not contracts(op)]
    rows = long_dims(shape_of(kernel[sums[0]].results[0])) if sums else ()
    if len(sums) != 1 or any(
        long_dims(shape_of(op.results[0])) != rows for op in kernel[sums[0] :]
    ):
        return Refusal("it does not end with a sum over rows")
    inside, total = kernel[: sums[0]], kernel[sums[0]]
    roots = [op for op in inside if contracts(op)]
    tiles = joint_tiles(roots, vectors) if roots else Refusal("it contracts nothing")
    if isinstance(tiles, Refusal):
        return tiles
    nest = loop_nest(total)
    loops = None if nest is None or contracts(total) else _read_of(inside, total, nest)
    *_, last = tiles
    root = loop_nest(last)
    if nest is None or root is None or loops is None or loops[-1] in nest.reductions:
        return Refusal("it does not end with a sum over rows")
    block, part, workgroup = ([0] * len(nest.domain) for _ in range(3))
    for loop, made in zip(loops, root.written, strict=True):
        size = tiles[last].vector[made]
        (part if loop in nest.reductions else block)[loop] = size
        if loop not in nest.reductions:
            workgroup[loop] = size
    blocks = workgroup_count(workgroup, nest.domain)
    if blocks < _FEWEST_WORKGROUPS:
        return Refusal("too few workgroups would have all rows of some columns")
    outer = next(d for d, size in enumerate(workgroup) if size)
    workgroup[outer] *= _together(nest.domain[outer] // workgroup[outer], blocks)
    sizes = TileSizes(tuple(workgroup), tuple(block), tuple(part), tiles[last].peeled)
    return {**tiles, total: sizes}


def _together(parts: int, blocks: int) -> int:
    """How many of a loop's blocks one workgroup has: as workers share them best.

    Args:
        parts: the blocks along this loop.
        blocks: all of the kernel.
    """
    choices = [n for n in divisors(parts) if blocks // n >= _FEWEST_WORKGROUPS]
    return min(choices, key=lambda n: waiting(blocks // n))


def _read_of(
    inside: Sequence[ir.Operation], total: ir.Operation, nest: LoopNest
) -> list[int] | None:
    """The loops of ``total`` that index what it sums up of the kernel's own, one each dim."""
    shapes = {shape_of(op.results[0]) for op in inside if contracts(op)}
    for number, value in enumerate(list(total.operands)[:-1]):
        made = not isinstance(value.owner, ir.Block) and value.owner.operation in inside
        loops = nest.loops_of(number)
        if (
            made
            and {shape_of(value)} == shapes
            and sorted(loops) == list(range(len(nest.domain)))
        ):
            return loops if nest.reductions else None
    return None


def _summed(op: ir.Operation) -> int:
    """Elements that ``op`` sums up for one of the result."""
    nest = loop_nest(op)
    return 0 if nest is None else _steps(nest)
