"""The body of a linalg operation as an expression, with its loops and operands.

Says of each part of the expression along which loops it varies, and whether it depends
on constants alone.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass, field

from torch_mlir import ir

from smartmem.index_map import Dim, IndexMap, atoms
from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.ir.def_use import constant_source
from smartmem.passes.analysis.ir.loops import LoopNest, indexing_maps, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.analysis.scalars.expressions import (
    ARGUMENT,
    CAPTURED,
    CONSTANT,
    OUTPUT,
    Node,
    Pool,
    reachable,
)
from smartmem.passes.analysis.scalars.scalar_functions import is_function


@dataclass(frozen=True)
class Operand:
    """A tensor that a body reads, and where each iteration reads it.

    Attributes:
        value: the tensor.
        map: its indexing map.
        access: the same, simplified: loops of one iteration are 0.
    """

    value: ir.Value
    map: ir.AffineMap
    access: IndexMap

    @property
    def size(self) -> int:
        """Number of its elements."""
        return math.prod(shape_of(self.value))


@dataclass
class Body:
    """What a linalg operation computes in each iteration.

    Attributes:
        op: the operation.
        nest: its loops.
        pool: makes its nodes.
        operands: the tensors that ``ARGUMENT`` nodes are elements of, by number. Longer
            than the operation's inputs where a rewrite has added some.
        root: the yielded value; of a reduction, what the combiner takes in.
        combiner: the operation that adds ``root`` to the output, in a reduction.
        values: what ``constant_values.known_value`` has computed so far.
        flops: what ``costs.body_cost`` has, of each node alone.
    """

    op: ir.Operation
    nest: LoopNest
    pool: Pool
    operands: list[Operand]
    root: Node
    combiner: ir.Operation | None
    parameters: Parameters
    values: dict[Node, Array | None] = field(default_factory=dict)
    flops: dict[Node, int] = field(default_factory=dict)
    _loops: dict[Node, frozenset[int]] = field(default_factory=dict)
    _known: dict[Node, bool] = field(default_factory=dict)

    def loops(self, node: Node) -> frozenset[int]:
        """The loops that ``node`` varies along."""
        for n in self._new(node, self._loops):
            self._loops[n] = self._own_loops(n).union(*(self._loops[a] for a in n.args))
        return self._loops[node]

    def _own_loops(self, node: Node) -> frozenset[int]:
        if node.kind == ARGUMENT:
            return _loops_of(self.operands[node.number].access)
        if node.kind == OUTPUT:
            return _loops_of(self.nest.accesses[-1])
        if node.template is not None and node.kind == "linalg.index":
            return frozenset((ir.IntegerAttr(node.template.attributes["dim"]).value,))
        return frozenset()

    def extent(self, node: Node) -> int:
        """Number of different values ``node`` has over all iterations."""
        return math.prod(self.nest.domain[d] for d in self.loops(node))

    def is_known(self, node: Node) -> bool:
        """Whether ``node`` depends on constants alone."""
        for n in self._new(node, self._known):
            self._known[n] = self._is_known(n)
        return self._known[node]

    def _new(self, node: Node, done: Container[Node]) -> list[Node]:
        """What is not in ``done`` of an expression, operands first."""
        return [] if node in done else reachable([node], but=done)

    def _is_known(self, node: Node) -> bool:
        if node.kind == CONSTANT:
            return True
        if node.kind == ARGUMENT:
            return (
                constant_source(self.operands[node.number].value, self.parameters) is not None
            )
        return (
            is_function(node.kind)
            and bool(node.args)
            and all(self._known[a] for a in node.args)
        )


def _loops_of(access: IndexMap) -> frozenset[int]:
    return frozenset(a.index for e in access.exprs for a in atoms(e) if isinstance(a, Dim))


def body_of(op: ir.Operation, parameters: Parameters) -> Body | Refusal:
    """The body of a linalg operation, or why it is not seen as an expression."""
    nest = loop_nest(op)
    if nest is None:
        return Refusal("it is no linalg operation with one result of static shape")
    maps = indexing_maps(op)
    inputs = list(zip(op.operands, maps, nest.accesses, strict=True))[:-1]
    operands = [Operand(v, m, a) for v, m, a in inputs]
    reader = _BodyReader(op.regions[0].blocks[0], len(operands))
    yielded = reader.block.operations[-1].operands[0]
    root, combiner = reader.read(yielded), None
    if root is None:
        return Refusal("its body holds operations with regions")
    if nest.reductions:
        combiner = None if isinstance(yielded.owner, ir.Block) else yielded.owner.operation
        others = [a for a in root.args if a.kind != OUTPUT]
        if combiner is None or len(root.args) != 2 or len(others) != 1:
            return Refusal("its reduction is no operation on the output and one value")
        root = others[0]
        if any(n.kind == OUTPUT for n in reachable([root])):
            return Refusal("its reduction uses the output twice")
    return Body(op, nest, reader.pool, operands, root, combiner, parameters)


class _BodyReader:
    def __init__(self, block: ir.Block, inputs: int) -> None:
        self.pool = Pool()
        self.block = block
        self._inputs = inputs
        self._nodes: dict[ir.Value, Node | None] = {}

    def read(self, value: ir.Value) -> Node | None:
        pending = [value]
        while pending:
            operands = [v for v in self._operands(pending[-1]) if v not in self._nodes]
            if operands:
                pending += operands
            else:
                last = pending.pop()
                self._nodes[last] = self._read(last)
        return self._nodes[value]

    def _operands(self, value: ir.Value) -> list[ir.Value]:
        inside = (
            not isinstance(value.owner, ir.Block) and value.owner.operation.block == self.block
        )
        return list(value.owner.operation.operands) if inside else []

    def _read(self, value: ir.Value) -> Node | None:
        if isinstance(value.owner, ir.Block):
            return self._argument(value)
        op = value.owner.operation
        if op.name == "arith.constant":
            attribute = op.attributes["value"].maybe_downcast()
            if isinstance(attribute, ir.FloatAttr):
                return self.pool.node(CONSTANT, value.type, payload=float(attribute.value))
            if isinstance(attribute, ir.IntegerAttr | ir.BoolAttr):
                return self.pool.node(CONSTANT, value.type, payload=int(attribute.value))
        if op.block != self.block:
            return self.pool.node(CAPTURED, value.type, payload=value)
        args = [self._nodes[v] for v in op.operands]
        known = [a for a in args if a is not None]
        if op.regions or len(op.results) != 1 or len(known) < len(args):
            return None
        return self.pool.node(op.name, value.type, known, template=op)

    def _argument(self, value: ir.Value) -> Node:
        if value.owner != self.block:
            return self.pool.node(CAPTURED, value.type, payload=value)
        number = ir.BlockArgument(value).arg_number
        kind = ARGUMENT if number < self._inputs else OUTPUT
        return self.pool.node(kind, value.type, payload=number)
