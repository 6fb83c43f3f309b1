"""Tensors that are written part by part: chains of ``tensor.insert_slice``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import Shape
from smartmem.passes.analysis.fusion.padded_writes import (
    INSERT,
    Box,
    box_in_dims,
    box_in_dims_of,
    constant_fill,
    read_as,
    uses_beside,
)
from smartmem.passes.analysis.ir.chains import RESHAPES, defining_op, root_of, uses_of
from smartmem.passes.analysis.ir.movement import Refusal, shape_of


@dataclass(frozen=True)
class Part:
    """What is inserted.

    Attributes:
        insert: the insertion, into the tensor or into one that is a part of it.
        offsets: where it begins in the tensor.
    """

    insert: ir.Operation
    offsets: tuple[int, ...]

    @property
    def root(self) -> ir.Value:
        """What is inserted, before its reshapes."""
        return root_of(self.insert.operands[0])

    @property
    def sizes(self) -> Shape:
        """The shape of the source with the dims of size 1 that it may lack."""
        return tuple(ir.DenseI64ArrayAttr(self.insert.attributes["static_sizes"]))


@dataclass(frozen=True)
class Insertions:
    """A tensor whose parts do not overlap.

    Attributes:
        chain: the insertions into it, in program order.
        parts: what is inserted. A part that is itself written part by part is not among them,
            but its parts are.
        joined: these parts. What else reads them can read that place of the tensor.
        pad: the ``tensor.pad`` that alone reads the tensor; None if others do.
        box: shape of what is padded, or of the tensor, in the dims of the tensor; and where
            the tensor begins in it.
    """

    chain: tuple[ir.Operation, ...]
    parts: tuple[Part, ...]
    joined: tuple[Part, ...]
    pad: ir.Operation | None
    box: Box

    @property
    def start(self) -> ir.Value:
        """What the first part is inserted into."""
        return self.chain[0].operands[1]

    @property
    def result(self) -> ir.Value:
        """The tensor with all parts."""
        return (self.chain[-1] if self.pad is None else self.pad).results[0]

    def place_of(self, part: Part) -> tuple[int, ...]:
        """Where ``part`` begins in what is padded, or in the tensor."""
        return tuple(o + s for o, s in zip(part.offsets, self.box[1], strict=True))


def insertions(block: ir.Block) -> list[Insertions]:
    """The tensors of ``block`` that are written in at least two parts."""
    found: list[Insertions] = []
    ends: set[ir.Value] = set()
    # The largest first: it has the parts of those within it.
    for op in reversed([view.operation for view in block.operations]):
        if op.name != INSERT or op.results[0] in ends or any(map(_is_part, _uses(op))):
            continue
        chain = _chain(op)
        if len(chain) > 1 and are_apart(chain):
            found.append(_insertions(chain))
            ends.update(part.root for part in found[-1].joined)
    return found[::-1]


def destinations(op: ir.Operation) -> list[ir.OpOperand]:
    """The uses of an insertion by others that insert into it, in program order."""
    found = [use for use in _uses(op) if _is_part(use)] if op.name == INSERT else []
    numbers = (
        {view.operation: n for n, view in enumerate(op.block.operations)} if found[1:] else {}
    )
    return sorted(found, key=lambda use: numbers.get(use.owner.operation, 0))


def _offsets_of(insert: ir.Operation) -> tuple[int, ...]:
    return tuple(ir.DenseI64ArrayAttr(insert.attributes["static_offsets"]))


def _uses(op: ir.Operation) -> list[ir.OpOperand]:
    return list(op.results[0].uses)


def _is_part(use: ir.OpOperand) -> bool:
    return use.owner.name == INSERT and use.operand_number == 1


def _chain(last: ir.Operation) -> list[ir.Operation]:
    """The insertions up to ``last``, each but for it the only thing that the next one reads."""
    found = [last]
    while (op := defining_op(found[-1].operands[1])) is not None and op.name == INSERT:
        if len(_uses(op)) > 1:
            break
        found.append(op)
    return found[::-1]


def are_apart(chain: Sequence[ir.Operation]) -> bool:
    """Whether each insertion has a place of its own: their order is free."""
    parts = [Part(op, _offsets_of(op)) for op in chain]
    if len({len(part.offsets) for part in parts}) > 1:
        return False  # a reshape lies between
    boxes = []
    for part in parts:
        steps = set(ir.DenseI64ArrayAttr(part.insert.attributes["static_strides"]))
        if len(part.insert.operands) > 2 or steps - {1}:
            return False
        boxes.append([(o, o + n) for o, n in zip(part.offsets, part.sizes, strict=True)])
    return not any(_overlap(a, b) for k, a in enumerate(boxes) for b in boxes[:k])


def _overlap(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> bool:
    return all(x[0] < y[1] and y[0] < x[1] for x, y in zip(a, b, strict=True))


def _insertions(chain: list[ir.Operation]) -> Insertions:
    last = chain[-1].results[0]
    pad = _pad(last)
    parts, joined = _parts(chain)
    if pad is not None:
        box = box_in_dims_of(last, *pad)
        if not isinstance(box, Refusal):
            return Insertions(tuple(chain), parts, joined, pad[1], box)
    shape = shape_of(last)
    return Insertions(tuple(chain), parts, joined, None, (shape, (0,) * len(shape)))


def _parts(chain: Sequence[ir.Operation]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """What is inserted at last, and the parts between that are written part by part."""
    parts: list[Part] = []
    joined: list[Part] = []
    shape = shape_of(chain[-1].results[0])
    stack = [Part(op, _offsets_of(op)) for op in reversed(chain)]
    while stack:  # no recursion: each layer of a network can be a level
        part = stack.pop()
        within = _chain_within(part, shape)
        (joined if within else parts).append(part)
        for op in reversed(within):
            begin = zip(part.offsets, _offsets_of(op), strict=True)
            stack.append(Part(op, tuple(a + b for a, b in begin)))
    return tuple(parts), tuple(joined)


def _chain_within(part: Part, shape: Shape) -> list[ir.Operation]:
    """The insertions that make a part, if they can be made into the tensor; or none."""
    op = defining_op(part.root)
    if op is None or op.name != INSERT or shape_of(part.root) != part.sizes:
        return []
    chain = _chain(op)
    start = defining_op(chain[0].operands[1])
    if start is None or start.name != "tensor.empty" or not are_apart(chain):
        return []
    others = uses_beside(part.root, part.insert)
    return chain if all(_can_read_a_part(use, part, shape) for use in others) else []


def _can_read_a_part(use: ir.OpOperand, part: Part, shape: Shape) -> bool:
    """Whether a kernel that reads ``part``, or a reshape of it, can read it in the tensor."""
    value = read_as(use)
    uses = list(value.uses) if use.owner.operation.name in RESHAPES else [use]
    reading = [u.owner.operation for u in uses if u.owner.operation != part.insert]
    if not all(op.name.startswith(("linalg.", "tensor.extract")) for op in reading):
        return False
    box = box_in_dims(shape_of(value), part.sizes, (shape, part.offsets))
    return not isinstance(box, Refusal)


def _pad(value: ir.Value) -> tuple[ir.Value, ir.Operation] | None:
    """What is padded, ``value`` or a reshape of it, and its padding, if nothing else reads it."""
    uses = uses_of(value)
    if len(uses) != 1:
        return None
    op = uses[0].owner.operation
    if op.name != "tensor.pad" or uses[0].operand_number or constant_fill(op) is None:
        return None
    return op.operands[0], op
