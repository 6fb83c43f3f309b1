"""Operations of the ``smartmem`` dialect: data movements as index maps.

``view`` and ``concat`` express every data movement of a network, ``relayout`` a
change of physical layout. All are pure. Domains are affine maps rather than affine
sets because MLIR's Python bindings can build an affine set but not read one back.
As in ``attributes``, annotations are evaluated when the classes are made.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import ext

from smartmem.dialect.attributes import layout_fault
from smartmem.dialect.base import SmartMem
from smartmem.errors import SmartMemError
from smartmem.index_map import Domain, IndexMap, Shape, from_affine, is_within


class ViewOp(SmartMem.Operation, name="view", traits=[ext.Pure]):
    """Reads a tensor through an index map.

    ``%r = "smartmem.view"(%source) {map = affine_map<(d0, d1) -> (d1, d0)>}``
    ``%r = "smartmem.view"(%source, %fill) {map = ..., domain = ...}``

    result[i] = source[map(i)] where every result of ``domain`` is >= 0 at i, and
    ``fill``, a scalar, elsewhere. Without ``fill`` there is no ``domain``.

    Verified: one map dim per result dim, one map result per source dim, equal element
    types, static shapes, and every read inside the source.
    """

    source: ext.Operand[Any]
    fill: Sequence[ext.Operand[Any]]
    map: ir.AffineMapAttr
    result: ext.Result[Any]

    @staticmethod
    def verify_invariants(op: ir.OpView) -> bool:
        """Emits an error and returns False if the operation breaks a rule."""
        return _emit(op, _view_fault(op))


class ConcatOp(SmartMem.Operation, name="concat", traits=[ext.Pure]):
    """Joins pieces of several tensors into one.

    ``%r = "smartmem.concat"(%a, %b) {maps = [...], domains = [...]}``

    result[i] = source_k[maps[k](i)] for the first k whose domain holds i: every
    result of ``domains[k]`` is >= 0 at i. ``tensor.insert_slice`` is the two pieces
    (source, box) and (destination, everywhere).

    Verified: as many maps and domains as sources, each read inside its source, and
    every result element covered.
    """

    sources: Sequence[ext.Operand[Any]]
    maps: ir.ArrayAttr
    domains: ir.ArrayAttr
    result: ext.Result[Any]

    @staticmethod
    def verify_invariants(op: ir.OpView) -> bool:
        """Emits an error and returns False if the operation breaks a rule."""
        return _emit(op, _concat_fault(op))


class RelayoutOp(SmartMem.Operation, name="relayout", traits=[ext.Pure]):
    """Copies a tensor into another physical layout; indices keep their meaning.

    ``%r = "smartmem.relayout"(%source) : (tensor<4x8xf32>) ->
    tensor<4x8xf32, #smartmem.layout<...>>``

    Verified: equal shapes and element types, and valid layouts on both sides.
    """

    source: ext.Operand[Any]
    result: ext.Result[Any]

    @staticmethod
    def verify_invariants(op: ir.OpView) -> bool:
        """Emits an error and returns False if the operation breaks a rule."""
        return _emit(op, _relayout_fault(op))


def _emit(op: ir.OpView, fault: str | None) -> bool:
    if fault is None:
        return True
    op.location.emit_error(f"'{op.operation.name}' op {fault}")
    return False


def _type_fault(value: ir.Value, role: str) -> str | None:
    if not isinstance(value.type, ir.RankedTensorType):
        return f"{role} must be a ranked tensor, but is {value.type}"
    if not value.type.has_static_shape:
        return f"{role} must have a static shape, but is {value.type}"
    fault = layout_fault(value.type)
    return f"{role}: {fault}" if fault else None


def _tensor_faults(op: ir.OpView, sources: Sequence[ir.Value]) -> str | None:
    result = op.operation.results[0]
    for number, source in enumerate(sources):
        if fault := _type_fault(source, f"source #{number}"):
            return fault
    if fault := _type_fault(result, "result"):
        return fault
    for number, source in enumerate(sources):
        if source.type.element_type != result.type.element_type:
            return (
                f"source #{number} has element type {source.type.element_type}, but the "
                f"result {result.type.element_type}"
            )
    return None


def _view_fault(op: ir.OpView) -> str | None:
    operands, attributes = list(op.operation.operands), op.operation.attributes
    if fault := _tensor_faults(op, operands[:1]):
        return fault
    if len(operands) > 2:
        return f"takes a source and at most one fill value, but has {len(operands)} operands"
    if (len(operands) == 2) != ("domain" in attributes):
        return "needs a fill value and a domain together, or neither"
    result = op.operation.results[0].type
    if len(operands) == 2 and operands[1].type != result.element_type:
        return f"fill value has type {operands[1].type}, but elements {result.element_type}"
    domain = attributes.get("domain")
    return _read_fault(attributes["map"], domain, operands[0], tuple(result.shape), "map")


def _concat_fault(op: ir.OpView) -> str | None:
    sources, attributes = list(op.operation.operands), op.operation.attributes
    maps, domains = ir.ArrayAttr(attributes["maps"]), ir.ArrayAttr(attributes["domains"])
    if not sources:
        return "needs at least one source"
    if not len(sources) == len(maps) == len(domains):
        return f"has {len(sources)} sources, {len(maps)} maps and {len(domains)} domains"
    if fault := _tensor_faults(op, sources):
        return fault
    shape = tuple(op.operation.results[0].type.shape)
    for number, (source, map_, domain) in enumerate(zip(sources, maps, domains, strict=True)):
        if fault := _read_fault(map_, domain, source, shape, f"maps[{number}]"):
            return fault
    if not _covered(shape, [_domain(d, shape) for d in domains]):
        return f"leaves elements of the result {list(shape)} that no domain holds"
    return None


def _relayout_fault(op: ir.OpView) -> str | None:
    source, result = op.operation.operands[0], op.operation.results[0]
    if fault := _tensor_faults(op, [source]):
        return fault
    if list(source.type.shape) != list(result.type.shape):
        return f"changes the shape {list(source.type.shape)} to {list(result.type.shape)}"
    return None


def _read_fault(
    map_: ir.Attribute,
    domain: ir.Attribute | None,
    source: ir.Value,
    shape: Shape,
    name: str,
) -> str | None:
    """What is wrong with reading ``source`` through ``map_`` where ``domain`` holds."""
    for attribute, role in ((map_, name), (domain, "domain")):
        if attribute is None:
            continue
        if not isinstance(attribute, ir.AffineMapAttr):
            return f"{role} must be an affine map, but is {attribute}"
        if attribute.value.n_dims != len(shape):
            return (
                f"{role} has {attribute.value.n_dims} dims, but the result has "
                f"rank {len(shape)}"
            )
    extents = tuple(source.type.shape)
    results = len(map_.value.results)
    if results != len(extents):
        return f"{name} has {results} results, but its source has rank {len(extents)}"
    try:
        index_map = from_affine(map_.value, shape)
        holds = None if domain is None else _domain(domain, shape)
    except SmartMemError as error:
        return str(error)
    if not _within(index_map, extents, holds):
        return (
            f"{name} = {map_.value} reads outside its source {list(extents)} "
            f"for a result of {list(shape)}"
        )
    return None


def _domain(attribute: ir.Attribute, shape: Shape) -> Domain:
    return Domain(from_affine(ir.AffineMapAttr(attribute).value, shape).exprs)


@lru_cache(maxsize=1 << 12)
def _within(index_map: IndexMap, extents: Shape, domain: Domain | None) -> bool:
    return is_within(index_map, extents, domain)


def _covered(shape: Shape, domains: Sequence[Domain]) -> bool:
    covered = np.asarray(False)
    for domain in domains:
        covered = covered | domain.mask(shape)
    return bool(np.all(covered))
