"""Counts what stands in a module: classified operations and data movement."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect.attributes import string_value
from smartmem.index_map import Dim, IndexMap, from_affine, reshape
from smartmem.passes.analysis.operators.classification import makes_tensor
from smartmem.passes.base import outer_operations
from smartmem.passes.classify_ops import GROUP, MAPPING

UNCLASSIFIED = "unclassified"

# What each data-movement operation of the upstream dialects does.
_UPSTREAM_KINDS = {
    "linalg.broadcast": "broadcast",
    "linalg.transpose": "transpose",
    "tensor.collapse_shape": "reshape",
    "tensor.concat": "concat",
    "tensor.expand_shape": "reshape",
    "tensor.extract_slice": "slice",
    "tensor.insert_slice": "concat",
    "tensor.pad": "pad",
    "tensor.reshape": "reshape",
    "smartmem.concat": "concat",
    "smartmem.relayout": "relayout",
}

# These make values, they compute and move nothing.
SOURCES = frozenset(("arith.constant", "tensor.empty", "linalg.fill", "tensor.splat"))


@dataclass(frozen=True)
class OpCount:
    """How many operations share a group and a mapping type."""

    group: str
    mapping: str
    count: int


@dataclass(frozen=True)
class MovementCount:
    """The data-movement operations of one kind.

    Attributes:
        kind: reshape, transpose, broadcast, slice, flip, pad, concat, relayout, or
            gather for every other index map.
        count: operations at run time.
        constant_count: operations on constants alone, which the compiler carries out.
        bytes_moved: bytes read plus bytes written if each operation is a copy of its
            own. A reshape keeps the row-major order and counts as 0.
    """

    kind: str
    count: int
    constant_count: int
    bytes_moved: int


@dataclass(frozen=True)
class Inventory:
    """The counts of one module."""

    ops: tuple[OpCount, ...]
    data_movement: tuple[MovementCount, ...]

    @property
    def is_classified(self) -> bool:
        """Whether any operation carries a group."""
        return any(count.group != UNCLASSIFIED for count in self.ops)

    @property
    def movements(self) -> int:
        """Data-movement operations at run time, all kinds together."""
        return sum(count.count for count in self.data_movement)

    @property
    def bytes_moved(self) -> int:
        """Bytes read plus bytes written by all of them."""
        return sum(count.bytes_moved for count in self.data_movement)


def take_inventory(module: ir.Operation) -> Inventory:
    """Counts the operations in the functions of ``module``; nested bodies are left out.

    What stands in a dispatch region is part of a kernel and moves nothing of its own.
    """
    found = outer_operations(module)
    return Inventory(_count_ops(found), _count_movements(found))


def _count_ops(found: Sequence[ir.Operation]) -> tuple[OpCount, ...]:
    counted = Counter(
        (_attribute(op, GROUP), _attribute(op, MAPPING)) for op in found if makes_tensor(op)
    )
    return tuple(OpCount(*key, n) for key, n in sorted(counted.items()))


def _attribute(op: ir.Operation, name: str) -> str:
    if name not in op.attributes:
        return UNCLASSIFIED
    return string_value(op.attributes[name].maybe_downcast())


def _count_movements(found: Sequence[ir.Operation]) -> tuple[MovementCount, ...]:
    constants: set[ir.Value] = set()
    rows: dict[str, list[int]] = {}
    for op in found:
        kind = movement_kind(op)
        if op.name in SOURCES:
            constants.update(op.results)
        if kind is None:
            continue
        row = rows.setdefault(kind, [0, 0, 0])
        if all(operand in constants for operand in op.operands):
            constants.update(op.results)
            row[1] += 1
        else:
            row[0] += 1
            row[2] += 0 if kind == "reshape" else 2 * _bytes(op.results[0].type)
    return tuple(MovementCount(kind, *row) for kind, row in sorted(rows.items()))


def _bytes(type_: ir.Type) -> int:
    tensor = ir.RankedTensorType(type_)
    return math.prod(tensor.shape) * -(-_bits(tensor.element_type) // 8)


def _bits(element: ir.Type) -> int:
    if isinstance(element, ir.ComplexType):
        return 2 * _bits(element.element_type)
    return int(element.width) if isinstance(element, ir.IntegerType | ir.FloatType) else 64


def movement_kind(op: ir.Operation) -> str | None:
    """What data movement ``op`` is, or None if it is none; see ``MovementCount.kind``."""
    if op.name != "smartmem.view":
        return _UPSTREAM_KINDS.get(op.name)
    if "domain" in op.attributes:
        return "pad"
    source = tuple(ir.RankedTensorType(op.operands[0].type).shape)
    shape = tuple(ir.RankedTensorType(op.results[0].type).shape)
    return view_kind(from_affine(op.attributes["map"].value, shape), source)


def view_kind(index_map: IndexMap, source: tuple[int, ...]) -> str:
    """The kind of ``result[i] = source[index_map(i)]``; see ``MovementCount.kind``."""
    shape = index_map.shape
    same_size = math.prod(shape) == math.prod(source)
    if same_size and index_map.exprs == reshape(source, shape).exprs:
        return "reshape"
    read = _strides_by_dim(index_map)
    if read is None:
        return "gather"
    repeats = any(n > 1 and d not in read for d, n in enumerate(shape))
    offsets = any(expr.const for expr in index_map.exprs)
    if not offsets and all(stride == 1 for stride in read.values()):
        if repeats:
            return "broadcast"
        return "transpose" if same_size else "slice"
    if repeats:
        return "gather"
    return "flip" if same_size and set(read.values()) <= {1, -1} else "slice"


def _strides_by_dim(index_map: IndexMap) -> dict[int, int] | None:
    """The stride of each result dimension if each source dimension reads one of them."""
    read: dict[int, int] = {}
    for expr in index_map.exprs:
        if expr.is_constant:
            continue
        atom, stride = expr.terms[0]
        if len(expr.terms) > 1 or not isinstance(atom, Dim) or atom.index in read:
            return None
        read[atom.index] = stride
    return read
