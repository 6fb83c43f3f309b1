"""In which order the operations of a kernel's block keep few values in registers.

Loads, and the arithmetic of addresses, stand before what first uses them, and a loop before what
first uses its results. What computes stays in its order, but for what joins two values that
nothing else reads: it stands behind the second of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from iree.compiler import ir

from smartmem.passes.analysis.images.shader_blocks import Block, read_block


def order_by_use(operations: Sequence[ir.Operation]) -> list[int]:
    """The numbers of a block's operations, which are all of it, in the order they are to have."""
    block = read_block(operations)
    order: dict[int, None] = {}
    for number in range(len(operations)):
        if not block.moves(number):
            _place(block, number, order)
    return list(order)


def _place(block: Block, number: int, order: dict[int, None]) -> None:
    """Puts an operation behind what it needs, and behind it what joins its results."""
    if number in order:
        return
    for need in block.needs[number]:
        _place(block, need, order)
    order[number] = None
    for result in block.results.get(number, (number,)):
        order[result] = None
        for user in block.users(result):
            makers = block.makers(user)
            if user not in order and makers and all(maker in order for maker in makers):
                _place(block, user, order)
