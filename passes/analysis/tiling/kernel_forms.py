"""Which form of a kernel's sum has tile sizes, where that is another than the plan's.

A sum of several products is scalar code on GPUs, but not a chain of contractions. Rows that are
scaled before a CPU's contraction are a kernel of their own; its weights are scaled in vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu, Processor
from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.fusion.row_scales import RowScale, row_scale
from smartmem.passes.analysis.ir.loops import contracts, reduces
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.product_sums import Product, contraction_of, products_of
from smartmem.passes.analysis.tiling.cpu_tiles import tile_sizes
from smartmem.passes.analysis.tiling.gpu_tiles import gpu_tiles


@dataclass(frozen=True)
class Chain:
    """A sum of products that becomes contractions, each added to the one before.

    Attributes:
        op: the sum.
        products: what it adds up, in order.
    """

    op: ir.Operation
    products: tuple[Product, ...]

    def __str__(self) -> str:
        return f"{len(self.products)} contractions, each added to the one before"


def form_of(
    op: ir.Operation, looping: Sequence[ir.Operation], processor: Processor
) -> Chain | RowScale | Refusal | None:
    """The form of ``op``, of a kernel of these operations; None: it stays as it is."""
    if isinstance(processor, Gpu):
        return _chain(op, processor)
    return _scaled(op, looping, processor.vectors)


def _chain(op: ir.Operation, gpu: Gpu) -> Chain | Refusal | None:
    products = tuple(products_of(op))
    if len(products) < 2:
        return None
    tiles = gpu_tiles(contraction_of(op, products[0]), gpu)
    return tiles if isinstance(tiles, Refusal) else Chain(op, products)


def _scaled(
    op: ir.Operation, looping: Sequence[ir.Operation], vectors: Vectors
) -> RowScale | Refusal | None:
    found = row_scale(op) if contracts(op) and reduces(op) else None
    if not isinstance(found, RowScale):
        return found
    if sum(map(reduces, looping)) > 1:
        # iree-compile 3.13: wrong by order one where two contractions are combined.
        return Refusal("its kernel takes up other sums, too")
    # IREE's own tiles exceed the stack with the weights of a whole kernel.
    tiles = tile_sizes(op, vectors)
    return tiles if isinstance(tiles, Refusal) else found
