"""Operands of contractions that read the same elements, and can be one tensor.

Linear attention is an example: queries and keys are ReLUs of slices of one tensor, and
the values are a slice of it with a column of ones. All of them are stored for contractions,
which can as well read slices of a joint tensor.

``operand_joins`` decides and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.index_map import (
    Domain,
    IndexMap,
    Shape,
    box_domain,
    constant,
    identity,
    row_major_strides,
)
from smartmem.index_map import expr as ex
from smartmem.index_map.expr import evaluate
from smartmem.passes.analysis.gathers.elements import (
    Choose,
    Compute,
    Element,
    Load,
    Scalar,
    cheap_nest,
    element_of,
    walk,
)
from smartmem.passes.analysis.ir.loops import contracts
from smartmem.passes.analysis.ir.movement import (
    is_static,
    is_view,
    long_dims,
    shape_of,
    view_map,
)
from smartmem.passes.base import operations


@dataclass(frozen=True)
class Join:
    """Values that become slices of one tensor.

    Attributes:
        values: in the order in which they lie along ``axis``.
        axis: the dim, of those longer than 1, along which the joint tensor is longer than they are.
    """

    values: tuple[ir.Value, ...]
    axis: int

    @property
    def shape(self) -> Shape:
        """Shape of the joint tensor, without dims of 1."""
        shape = list(long_dims(shape_of(self.values[0])))
        shape[self.axis] = sum(long_dims(shape_of(v))[self.axis] for v in self.values)
        return tuple(shape)

    @property
    def place(self) -> ir.Operation:
        """The first operation that reads one of the values."""
        readers = [use.owner.operation for value in self.values for use in value.uses]
        first = readers[0]
        for reader in readers[1:]:
            if reader.is_before_in_block(first):
                first = reader
        return first

    @property
    def offsets(self) -> list[int]:
        """Where each value begins along ``axis``."""
        sizes = [long_dims(shape_of(v))[self.axis] for v in self.values]
        return [sum(sizes[:k]) for k in range(len(sizes))]

    def element(self) -> Element:
        """What computes an element of the joint tensor."""
        return Choose(tuple(map(self._piece, range(len(self.values)))))

    def _piece(self, number: int) -> tuple[Domain, Element]:
        value, offset, shape = self.values[number], self.offsets[number], self.shape
        box = [(0, n) for n in shape]
        box[self.axis] = (offset, offset + long_dims(shape_of(value))[self.axis])
        exprs = list(identity(shape).exprs)
        exprs[self.axis] = ex.add([exprs[self.axis], constant(-offset)], shape)
        places = iter(exprs)
        at = tuple(next(places) if n > 1 else constant(0) for n in shape_of(value))
        return box_domain(box, shape), element_of(value, IndexMap(at, shape))

    def slice_of(self, number: int) -> IndexMap:
        """Where the elements of a value lie in the joint tensor."""
        shape = shape_of(self.values[number])
        exprs = [e for e, n in zip(identity(shape).exprs, shape, strict=True) if n > 1]
        offset = constant(self.offsets[number])
        exprs[self.axis] = ex.add([exprs[self.axis], offset], shape)
        return IndexMap(tuple(exprs), shape)


def operand_joins(module: ir.Operation) -> Iterator[Join]:
    """What of ``module`` becomes one tensor."""
    for value in _values(module):
        if is_static(value) and len(list(value.uses)) > 1:
            join = _join(value)
            if join is not None:
                yield join


def _values(module: ir.Operation) -> Iterator[ir.Value]:
    for op in operations(module):
        yield from op.results
        if op.name == "func.func" and op.regions[0].blocks:
            yield from op.regions[0].blocks[0].arguments


def _join(source: ir.Value) -> Join | None:
    found: list[ir.Value] = []
    for use in source.uses:
        value = _stored(use.owner.operation)
        if value is not None and not all(map(contracts, _readers(value))):
            value = None
        if value is None and is_joined(source):
            return None  # the concat would have to be stored, too
        if value is not None and (is_joined(source) or not _is_free(value)):
            found.append(value)
    computed = [v for v in found if not is_view(v)]
    if not computed or len(computed) == len(found):
        return None  # nothing computes, or nothing only moves
    found.sort(key=lambda value: _begin(value, source))
    if any(
        use.owner.operation.block != found[0].owner.operation.block
        for v in found
        for use in v.uses
    ):
        return None
    axis = _axis([long_dims(shape_of(v)) for v in found])
    if axis is None or len({str(v.type.element_type) for v in found}) > 1:
        return None
    join = Join(tuple(found), axis)
    return join if _is_known_before(join.element(), join.place) else None


def is_joined(value: ir.Value) -> bool:
    """Whether ``value`` is a concat, which costs a copy of each piece where it is stored."""
    return not isinstance(value.owner, ir.Block) and value.owner.name == ConcatOp.OPERATION_NAME


def _is_free(value: ir.Value) -> bool:
    """Whether contractions can read ``value``, a view, where its source lies."""
    return is_view(value) and "domain" not in value.owner.attributes


def _stored(view: ir.Operation) -> ir.Value | None:
    """What a reader of the source is stored as: a view, or a function of one."""
    if view.name != ViewOp.OPERATION_NAME:
        return None
    result = view.results[0]
    users = [use.owner.operation for use in result.uses]
    if len(users) == 1 and "domain" in users[0].attributes:
        return users[0].results[0]  # padded afterwards
    nest = cheap_nest(users[0]) if len(users) == 1 and len(users[0].operands) == 2 else None
    if nest is None:
        return result
    return users[0].results[0] if all(a.is_identity for a in nest.accesses) else None


def _is_known_before(element: Element, place: ir.Operation) -> bool:
    """Whether all that ``element`` needs is computed before ``place``."""
    return all(_dominates(v, place) for node in walk(element) for v in _needs(node))


def _needs(node: Element) -> list[ir.Value]:
    if isinstance(node, Load):
        return [node.source]
    if isinstance(node, Scalar):
        return [node.value]
    if not isinstance(node, Compute):
        return []
    inner = [op.operation for op in node.op.regions[0].blocks[0].operations]
    made = {value for op in inner for value in op.results}
    arguments = set(node.op.regions[0].blocks[0].arguments)
    return [v for op in inner for v in op.operands if v not in made and v not in arguments]


def _dominates(value: ir.Value, place: ir.Operation) -> bool:
    if isinstance(value.owner, ir.Block):
        return True
    maker = value.owner.operation
    return maker.block == place.block and maker.is_before_in_block(place)


def _readers(value: ir.Value) -> list[ir.Operation]:
    """The operations that read ``value``, also through views that a contraction can take."""
    found: list[ir.Operation] = []
    for use in value.uses:
        op = use.owner.operation
        through = op.name == ViewOp.OPERATION_NAME and "domain" not in op.attributes
        found += _readers(op.results[0]) if through else [op]
    return found


def _begin(value: ir.Value, source: ir.Value) -> int:
    """The first element of the source that ``value`` reads, in row-major order."""
    value = value if is_view(value) else value.owner.operands[0]
    index = [np.zeros((), np.int64)] * len(shape_of(value))
    while value != source:
        index = [evaluate(e, index) for e in view_map(value.owner.operation).exprs]
        value = value.owner.operands[0]
    strides = row_major_strides(shape_of(source))
    return sum(int(i) * s for i, s in zip(index, strides, strict=True))


def _axis(shapes: list[Shape]) -> int | None:
    """The only dim in which the shapes differ; the last long one if they are equal."""
    if len({len(shape) for shape in shapes}) > 1:
        return None
    different = [
        d for d, extents in enumerate(zip(*shapes, strict=True)) if len(set(extents)) > 1
    ]
    if not different:
        return len(shapes[0]) - 1
    return different[0] if len(different) == 1 else None
