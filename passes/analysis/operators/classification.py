"""Which group and mapping type an operation has, and why.

Groups are SmartMem's (table 3 of the paper), mapping types DNNFusion's (table 2).
Both are read from indexing maps; ``BY_NAME`` is for operations that have none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import MAPPINGS
from smartmem.index_map import Domain, Expr, IndexMap, Shape, from_affine, is_reshape
from smartmem.index_map.expr import Dim, atoms
from smartmem.mlir.memo import remembered
from smartmem.passes.analysis.elimination.producer_consumer import Pair, PairTable
from smartmem.passes.analysis.ir.chains import RESHAPES, origin
from smartmem.passes.analysis.ir.loops import indexing_maps
from smartmem.passes.base import outer_operations


@dataclass(frozen=True)
class Classification:
    """Group and mapping type of an operation, and what they were read from."""

    group: str
    mapping: str
    reason: str


# Operations whose indexing maps do not tell what they do, or that have none.
BY_NAME: Mapping[str, Classification] = {
    "linalg.softmax": Classification("ild_variable", "many_to_many", "reduces one dimension"),
    "smartmem.concat": Classification("ili_fixed", "one_to_one", "copies its sources"),
    "smartmem.relayout": Classification("ild_fixed", "shuffle", "changes the layout"),
    "tensor.concat": Classification("ili_fixed", "one_to_one", "copies its sources"),
    "tensor.insert_slice": Classification("ili_fixed", "one_to_one", "copies its sources"),
    "tensor.extract_slice": Classification("ili_fixed", "one_to_one", "copies a part"),
    "tensor.pad": Classification("ili_fixed", "one_to_one", "copies its source"),
    "tensor.expand_shape": Classification("ild_fixed", "reorganize", "splits dimensions"),
    "tensor.collapse_shape": Classification("ild_fixed", "reorganize", "merges dimensions"),
    "tensor.reshape": Classification("ild_fixed", "reorganize", "reshapes"),
    "tensor.gather": Classification("ili_fixed", "one_to_many", "reads at given indices"),
    "tensor.generate": Classification("ili_variable", "one_to_one", "computes from indices"),
    "tensor.splat": Classification("ili_variable", "one_to_many", "repeats a scalar"),
    "linalg.pack": Classification("ild_fixed", "shuffle", "tiles the layout"),
    "linalg.unpack": Classification("ild_fixed", "shuffle", "untiles the layout"),
}
UNKNOWN = Classification("ild_variable", "many_to_many", "unknown operation: assume the worst")

# Operations that make no tensor from tensors: nothing to classify.
_NOT_CLASSIFIED = frozenset({"arith.constant", "tensor.empty", "tensor.cast", "func.call"})


_EXTRACT = "tensor.extract"


def tensor_operations(module: ir.Operation) -> list[ir.Operation]:
    """The operations, outside of bodies of others, that make a tensor from tensors."""
    return [op for op in outer_operations(module) if makes_tensor(op)]


def makes_tensor(op: ir.Operation) -> bool:
    """Whether ``op`` makes a tensor from tensors, so that it has a group."""
    if op.name in _NOT_CLASSIFIED or op.name.startswith("scf."):
        return False
    return any(isinstance(r.type, ir.RankedTensorType) for r in op.results)


def classify(op: ir.Operation) -> Classification:
    """Group and mapping type of ``op``; ``UNKNOWN`` if nothing tells."""
    if op.name == "smartmem.view":
        return _classify_view(op)
    if op.name in BY_NAME:
        return BY_NAME[op.name]
    if op.name.startswith("linalg."):
        return _classify_linalg(op)
    if op.name.startswith(("arith.", "math.")):
        return Classification("ili_variable", "one_to_one", "elementwise")
    return UNKNOWN


def pair_of(producer: ir.Operation, consumer: ir.Operation, table: PairTable) -> Pair:
    """The row of ``table`` for two operations, by their groups."""
    return table[classify(producer).group, classify(consumer).group]


def is_searched(
    producer: ir.Operation, consumers: Iterable[ir.Operation], table: PairTable
) -> bool:
    """Whether ``table`` has a layout between ``producer`` and one of ``consumers`` chosen."""
    return any(pair_of(producer, c, table).is_searched for c in consumers if makes_tensor(c))


def _classify_linalg(op: ir.Operation) -> Classification:
    maps = indexing_maps(op)
    if not maps:
        return UNKNOWN
    n_outputs = len(op.results)
    written = _dims(maps[-1])
    if len(written) < maps[-1].n_dims:
        return Classification("ild_variable", "many_to_many", "has a reduction dimension")
    if _reads_elements(op):
        return _classify_gather(op)
    inputs = list(zip(op.operands, maps[:-n_outputs], strict=False))
    return _classify_elementwise([m for v, m in inputs if not _is_constant(v)], maps[-1])


def _classify_gather(op: ir.Operation) -> Classification:
    """A generic that reads elements of other tensors by ``tensor.extract``."""
    reads = [o.operation for o in op.regions[0].blocks[0] if o.operation.name == _EXTRACT]
    result = math.prod(op.results[0].type.shape)
    source = sum(math.prod(read.operands[0].type.shape) for read in reads)
    if len(op.operands) == 1 and result <= source:
        # Its indices are computed from the loops alone.
        return Classification("ild_fixed", "shuffle", "moves elements to computed places")
    return Classification("ili_fixed", "one_to_many", "reads at given indices")


def _dims(map_: ir.AffineMap) -> list[int]:
    """The dims of the results of ``map_`` in order; each at most once."""
    shape = (2,) * map_.n_dims
    used = (
        a.index for e in from_affine(map_, shape).exprs for a in atoms(e) if isinstance(a, Dim)
    )
    return list(dict.fromkeys(used))


def _reads_elements(op: ir.Operation) -> bool:
    return any(
        inner.operation.name == _EXTRACT
        for region in op.regions
        for block in region
        for inner in block.operations
    )


def _is_constant(value: ir.Value) -> bool:
    """Weights and scalars: their relation to the result is settled when compiling."""
    if not isinstance(value.type, ir.ShapedType):
        return True
    op = origin(value, lambda op: op.name in RESHAPES)
    return op is not None and op.name == "arith.constant"


def _classify_elementwise(reads: Sequence[ir.AffineMap], write: ir.AffineMap) -> Classification:
    """An operation without reduction, from how it reads each run-time operand."""
    order = _dims(write)
    mappings, transposed = ["one_to_one"], False
    for read in reads:
        dims = _dims(read)
        if len(dims) < len(order):
            mappings.append("one_to_many")
        if dims != [d for d in order if d in dims]:
            mappings.append("shuffle")
            transposed = True
    worst = max(mappings, key=MAPPINGS.index)
    if transposed and len(reads) > 1:
        # Operands in different orders: some layout suits one and not the other.
        return Classification("ild_variable", worst, "elementwise, operands permuted")
    return Classification("ili_variable", worst, "elementwise")


def _classify_view(op: ir.Operation) -> Classification:
    domain = op.attributes.get("domain", None)
    source, shape = (tuple(v.type.shape) for v in (op.operands[0], op.results[0]))
    return _classify_map(op.attributes["map"], domain, source, shape)


@remembered
def _classify_map(
    map_: ir.Attribute, domain: ir.Attribute | None, source: Shape, shape: Shape
) -> Classification:
    index_map = from_affine(ir.AffineMapAttr(map_).value, shape)
    if domain is None and is_reshape(index_map, source):
        return Classification("ild_fixed", "reorganize", "keeps the row-major order")
    kind = "one_to_many" if _repeats(domain, index_map, source) else None
    if _keeps_dims(index_map.exprs):
        return Classification("ili_fixed", kind or "one_to_one", "reads each dim in place")
    return Classification("ild_fixed", kind or "shuffle", "permutes or splits dims")


def _repeats(domain: ir.Attribute | None, index_map: IndexMap, source: Shape) -> bool:
    """Whether some source element is read more than once."""
    elements = math.prod(index_map.shape)
    if domain is not None:
        constraints = from_affine(ir.AffineMapAttr(domain).value, index_map.shape).exprs
        box = Domain(constraints).box(index_map.shape)
        elements = math.prod(high - low for low, high in box) if box else 0
    return elements > math.prod(source)


def _keeps_dims(exprs: Sequence[Expr]) -> bool:
    """Whether each source dim is read along one result dim, in the same order."""
    used = [{a.index for a in atoms(e) if isinstance(a, Dim)} for e in exprs]
    if any(len(dims) > 1 for dims in used):
        return False
    order = [dim for dims in used for dim in dims]
    return order == sorted(set(order))
