"""The elements of tensors that depend on constants alone, computed with NumPy.

Sees through movements and any linalg operation whose body consists of operations of
``scalar_functions``: elementwise ones, reductions, contractions of constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch_mlir import ir

from smartmem.index_map import IndexMap
from smartmem.index_map.taking import take
from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import (
    Refusal,
    bits_of,
    domain_of,
    is_static,
    shape_of,
    view_map,
)
from smartmem.passes.analysis.scalars.bodies import Body, body_of
from smartmem.passes.analysis.scalars.expressions import (
    ARGUMENT,
    CONSTANT,
    Node,
    arguments,
    reachable,
)
from smartmem.passes.analysis.scalars.scalar_functions import apply, dtype_of

# Iterations; the compiler is no place for larger computations.
EVALUATION_LIMIT = 1 << 24

_MOST_SOURCES = 512
"""Values that one is computed from, with more of which it is taken to be no constant."""

# A computed constant takes at most this many times the bytes that it replaces, or has
# SMALL elements: parameters must not swell.
GROWTH_LIMIT = 2
SMALL = 1 << 12

# How a reduction's combiner reduces whole dimensions.
_REDUCERS: Mapping[str, Any] = {
    "arith.addf": np.add,
    "arith.mulf": np.multiply,
    "arith.maximumf": np.maximum,
    "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax,
    "arith.minnumf": np.fmin,
    "arith.addi": np.add,
    "arith.muli": np.multiply,
    "arith.maxsi": np.maximum,
    "arith.minsi": np.minimum,
}


@dataclass(frozen=True)
class Stored:
    """How many elements a constant has, and the bits of each."""

    elements: int
    bits: int

    @property
    def size(self) -> int:
        """Bits of all."""
        return self.elements * self.bits


_RESHAPES = ("tensor.expand_shape", "tensor.collapse_shape", "tensor.cast")


def may_replace(result: Stored, replaced: Sequence[Stored]) -> bool:
    """Whether a constant may be computed that takes the place of ``replaced``.

    Where its elements are wider than those that it is mostly made of, it has to be no
    larger than they are: f16, bf16 and quantized weights stay as the model stores them.
    """
    if result.elements <= SMALL:
        return True
    largest = max(replaced, key=lambda stored: stored.elements, default=result)
    limit = 1 if result.bits > largest.bits else GROWTH_LIMIT
    return result.size <= limit * sum(stored.size for stored in replaced)


def stored(value: ir.Value, elements: int | None = None) -> Stored:
    """What a tensor takes, or ``elements`` numbers like ``value``."""
    type_ = value.type
    if isinstance(type_, ir.ShapedType):
        elements = math.prod(shape_of(value)) if elements is None else elements
        type_ = type_.element_type
    return Stored(elements or 1, bits_of(type_))


def is_free(body: Body, node: Node) -> bool:
    """Whether ``node`` can be computed when compiling, without larger constants."""
    if not body.is_known(node):
        return False
    replaced = [stored(body.operands[n].value) for n in arguments(node)]
    return may_replace(Stored(body.extent(node), bits_of(node.type)), replaced)


Known = dict[ir.Value, Array | None]
"""What was computed on the way to a value: several operations can read one."""


def constant_value(
    value: ir.Value, parameters: Parameters, known: Known | None = None
) -> Array | None:
    """The elements of ``value`` if it depends on constants alone, else None.

    Args:
        known: what has been computed; what is computed now is added. It holds as long as the
            IR stays as it is.
    """
    # Asked first: to compute and then to find an argument would go again and again, by
    # each path, through all that is between.
    if not _depends_on_constants(value):
        return None
    return _computed(value, parameters, {} if known is None else known)


def _depends_on_constants(value: ir.Value) -> bool:
    """Whether neither an argument nor an operation with several results reaches ``value``.

    No, too, where more reaches it than is worth computing: a search to the other end of a
    long graph, from each of its operations, would take a time that grows with its square.
    """
    for number, source in enumerate(sources(value)):
        owner = source.owner
        if isinstance(owner, ir.Block) or len(owner.operation.results) != 1:
            return False
        if number == _MOST_SOURCES:
            return False
    return True


def sources(value: ir.Value) -> Iterator[ir.Value]:
    """``value``, and all that it is computed from, each once."""
    seen, stack = {value}, [value]
    while stack:
        value = stack.pop()
        yield value
        if isinstance(value.owner, ir.Block):
            continue
        new = [operand for operand in value.owner.operands if operand not in seen]
        seen.update(new)
        stack.extend(new)


def _computed(value: ir.Value, parameters: Parameters, known: Known) -> Array | None:
    if value not in known:
        known[value] = _compute(value, parameters, known)
    return known[value]


def _compute(value: ir.Value, parameters: Parameters, known: Known) -> Array | None:
    op = value.owner.operation
    if op.name == "arith.constant":
        return _attribute_value(op.attributes["value"].maybe_downcast(), parameters)
    if len(op.results) != 1 or not is_static(value):
        return None
    if op.name.startswith("linalg.") and op.name != "linalg.fill":
        return _linalg_value(op, parameters, known)
    inputs = list(op.operands)[:1] if op.name == "linalg.fill" else list(op.operands)
    operands = [_computed(v, parameters, known) for v in inputs]
    arrays = [o for o in operands if o is not None]
    if not arrays or len(arrays) < len(operands):
        return None
    if op.name == "linalg.fill":
        return np.broadcast_to(arrays[0], shape_of(value))
    if op.name in _RESHAPES:
        return arrays[0].reshape(shape_of(value))
    if op.name == "smartmem.view":
        return _view_value(op, arrays)
    if op.name == "smartmem.concat":
        return _concat_value(op, arrays)
    return apply(op.name, value.type.element_type, arrays, op)


def _attribute_value(attribute: ir.Attribute, parameters: Parameters) -> Array | None:
    if isinstance(attribute, ir.IntegerAttr | ir.FloatAttr | ir.BoolAttr):
        dtype = dtype_of(attribute.type)
        return None if dtype is None else np.asarray(attribute.value, dtype)
    return parameters.value(attribute)


def _view_value(op: ir.Operation, operands: list[Array]) -> Array:
    source, shape = operands[0], shape_of(op.results[0])
    if "domain" not in op.attributes:
        return take(view_map(op), source)
    fill = np.asarray(operands[1] if len(operands) > 1 else 0, source.dtype)
    inside = domain_of(op.attributes["domain"], shape).mask(shape)
    indices = (
        np.broadcast_to(np.clip(i, 0, n - 1), shape)
        for i, n in zip(view_map(op).indices(), source.shape, strict=True)
    )
    return np.where(inside, source[tuple(indices)], fill)


def _concat_value(op: ir.Operation, sources: list[Array]) -> Array:
    shape = shape_of(op.results[0])
    domains = [domain_of(d, shape).mask(shape) for d in ir.ArrayAttr(op.attributes["domains"])]
    nowhere = np.zeros((), sources[0].dtype)
    return np.select([np.broadcast_to(d, shape) for d in domains], sources, nowhere)


def _linalg_value(op: ir.Operation, parameters: Parameters, known: Known) -> Array | None:
    body = body_of(op, parameters)
    if isinstance(body, Refusal) or math.prod(body.nest.domain) > EVALUATION_LIMIT:
        return None
    table = known_value(body, body.root, known)
    if table is None or body.combiner is None:
        return None if table is None else as_written(table, body.nest)
    reducer = _REDUCERS.get(body.combiner.name)
    init = constant_value(op.operands[-1], parameters, known)
    if reducer is None or init is None:
        return None
    full = np.broadcast_to(table, body.nest.domain)
    axes = tuple(sorted(body.nest.reductions))
    reduced = as_written(
        reducer.reduce(full, axis=axes, keepdims=True, dtype=init.dtype), body.nest
    )
    return None if reduced is None else np.asarray(reducer(reduced, init))


def as_written(table: Array, nest: LoopNest) -> Array | None:
    """The result tensor, from its element for every iteration (1 along reductions)."""
    if not nest.is_projected_permutation(nest.output):
        return None
    order = nest.written
    rest = [d for d in range(len(nest.domain)) if d not in order]
    kept = [1 if d in nest.reductions else n for d, n in enumerate(nest.domain)]
    moved = np.broadcast_to(table, kept).transpose([*order, *rest])
    loops = iter(order)
    write = nest.accesses[-1]
    return moved.reshape(
        [1 if e.is_constant else nest.domain[next(loops)] for e in write.exprs]
    )


def known_value(body: Body, node: Node, known: Known | None = None) -> Array | None:
    """``node`` at every iteration, as an array that broadcasts to the domain.

    None if it depends on more than constants and ``linalg.index``. ``known`` is that of
    ``constant_value``.
    """
    for part in [] if node in body.values else reachable([node]):
        if part not in body.values:
            body.values[part] = _node_value(body, part, known)
    return body.values[node]


def _node_value(body: Body, node: Node, known: Known | None) -> Array | None:
    if node.kind == CONSTANT:
        return np.asarray(node.payload, dtype_of(node.type))
    if node.kind == ARGUMENT:
        operand = body.operands[node.number]
        array = constant_value(operand.value, body.parameters, known)
        return None if array is None else _elements(array, operand.access)
    if node.template is not None and node.kind == "linalg.index":
        axis = ir.IntegerAttr(node.template.attributes["dim"]).value
        return np.ogrid[tuple(slice(n) for n in body.nest.domain)][axis]
    operands = node.args[1:] if node.kind == "tensor.extract" else node.args
    args = [known_value(body, a, known) for a in operands]
    arrays = [a for a in args if a is not None]
    if not arrays or len(arrays) < len(args):
        return None
    if node.kind == "tensor.extract":
        source = constant_value(node.args[0].payload, body.parameters, known)
        return _extracted(source, arrays)
    return apply(node.kind, node.type, arrays, node.template)


def _elements(array: Array, access: IndexMap) -> Array:
    """array[access(i)] for all i, with size 1 along the dims that it does not use."""
    indices = access.indices()
    shape = np.broadcast_shapes(*(index.shape for index in indices))
    return take(IndexMap(access.exprs, shape), array) if indices else array


def _extracted(source: Array | None, indices: list[Any]) -> Array | None:
    if source is None:
        return None
    inside = all(((i >= 0) & (i < n)).all() for i, n in zip(indices, source.shape, strict=True))
    return source[tuple(indices)] if inside else None
