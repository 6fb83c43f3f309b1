"""Parts of an elementwise body that are computed again along loops they do not vary along.

The scale of squeeze-excite is a sigmoid for each channel, in an operation over the whole
image. A compiler of loops moves what does not vary along the innermost loops out of them;
the channels are innermost, so that the sigmoid stays and is computed for every point.
"""

from __future__ import annotations

from smartmem.passes.analysis.ir.accesses import is_row_wise
from smartmem.passes.analysis.ir.chains import origin, readers
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.scalars.bodies import Body
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, Node, arguments, reachable

_DEAR = ("math.", "arith.div")
"""How the names of operations begin that take much longer than a load."""


def repeated_part(body: Body) -> Node | Refusal | None:
    """The largest dear part of ``body`` that its producer's kernel can compute once.

    Returns:
        None if nothing is repeated; a refusal if it would be a kernel of its own.
    """
    nest = body.nest
    if not nest.is_elementwise or nest.uses_index or not nest.is_plain:
        return None
    written = [d for d in nest.written if nest.domain[d] > 1]
    parts = [
        node
        for node in reachable([body.root])
        if node.args and written[-1:] == [d for d in written[-1:] if d in body.loops(node)]
        if body.extent(node) < body.extent(body.root) and not body.is_known(node)
        if any(inner.kind.startswith(_DEAR) for inner in reachable([node]))
    ]
    if not written or not parts:
        return None
    largest = max(parts, key=lambda node: len(reachable([node])))
    if not any(_ends(body, largest, number) for number in arguments(largest)):
        return Refusal("what is repeated in it would be a kernel of its own")
    return largest


def _ends(body: Body, part: Node, number: int) -> bool:
    """Whether the operand's producer can compute ``part`` of all of its elements at its end."""
    value = body.operands[number].value
    producer = origin(value)
    if producer is None or not producer.name.startswith("linalg."):
        return False
    if is_row_wise(producer):
        return False  # a normalization is one kernel, whichever of its loops is innermost
    alone = [op for op in readers(producer.results[0]) if op != body.op]
    uses = sum(node.kind == ARGUMENT and node.number == number for node in _outside(body, part))
    return not alone and not uses and body.operands[number].size == body.extent(part)


def _outside(body: Body, part: Node) -> list[Node]:
    """The nodes of ``body`` that it still needs when ``part`` is given."""
    given = body.pool.replaced(body.root, {part: body.pool.node("given", part.type)})
    return reachable([given])
