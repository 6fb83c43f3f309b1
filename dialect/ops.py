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

from smartmem.dialect.attributes import LayoutAttr, layout_fault
from smartmem.dialect.base import SmartMem
from smartmem.errors import SmartMemError
from smartmem.index_map import Domain, IndexMap, Shape, from_affine, is_within
from smartmem.mlir.memo import remembered


class ViewOp(SmartMem.Operation, name="view", traits=[ext.Pure]):
    """Reads a tensor through an index map.

    ``%r = "smartmem.view"(%source) {map = affine_map<(d0, d1) -> (d1, d0)>}``
    ``%r = "smartmem.view"(%source, %fill) {map = ..., domain = ...}``

    result[i] = source[map(i)] where every result of ``domain`` is >= 0 at i, or
    everywhere if there is no ``domain``. Elsewhere the element is ``fill``, a scalar;
    without ``fill`` it is undefined, as in ``tensor.empty``, and nobody may read it.

    Verified: one map dim per result dim, one map result per source dim, equal element
    types, static shapes, every read inside the source, and no fill without a domain.
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
    """Picks each element from the first source whose domain holds its index.

    ``%r = "smartmem.concat"(%a, %b) {domains = [affine_map<...>, affine_map<...>]}``

    result[i] = source_k[i] for the first k such that every result of ``domains[k]``
    is >= 0 at i. All sources have the result's type; where the joined tensors are
    smaller, each source is a ``view`` with that domain, whose other elements are
    undefined. ``tensor.insert_slice`` is the two pieces (view of the source, box) and
    (destination, everywhere).

    Verified: as many domains as sources, equal types, every element covered.
    """

    sources: Sequence[ext.Operand[Any]]
    domains: ir.ArrayAttr
    result: ext.Result[Any]

    @staticmethod
    def verify_invariants(op: ir.OpView) -> bool:
        """Emits an error and returns False if the operation breaks a rule."""
        return _emit(op, _concat_fault(op))


class RelayoutOp(SmartMem.Operation, name="relayout", traits=[ext.Pure]):
    """Lets a tensor lie in another physical layout; indices keep their meaning.

    ``%r = "smartmem.relayout"(%source) : (tensor<4x8xf32>) ->
    tensor<4x8xf32, #smartmem.layout<"split(1, 2, 4) reorder(1, 0, 2)", "buffer", []>>``

    One behind an operation says how its result is to lie, a second one back to the plain
    type is what the readers read: ``smartmem-materialize-layouts`` makes physical shapes of
    both. Verified: equal shapes and element types, and valid layouts on both sides.
    """

    source: ext.Operand[Any]
    result: ext.Result[Any]

    @staticmethod
    def verify_invariants(op: ir.OpView) -> bool:
        """Emits an error and returns False if the operation breaks a rule."""
        return _emit(op, _relayout_fault(op))


# The generated accessors of variadic operands read operandSegmentSizes, which these
# operations do not need: each has one variadic operand at most.
# mypy sees the annotations, which stand for other things to MLIR.
ViewOp.source = property(lambda self: self.operands[0])
ViewOp.fill = property(lambda self: next(iter(list(self.operands)[1:]), None))  # type: ignore[assignment]
ViewOp.domain = property(lambda self: self.operation.attributes.get("domain"))
ConcatOp.sources = property(lambda self: list(self.operands))  # type: ignore[assignment]


def view(
    source: ir.Value,
    map_: ir.AffineMap,
    result_type: ir.RankedTensorType,
    domain: ir.AffineMap | None = None,
    fill: ir.Value | None = None,
) -> ir.Value:
    """Builds a ``smartmem.view`` at the current insertion point."""
    attributes = {"map": ir.AffineMapAttr.get(map_)}
    if domain is not None:
        attributes["domain"] = ir.AffineMapAttr.get(domain)
    operands = [source] if fill is None else [source, fill]
    op = ir.Operation.create("smartmem.view", [result_type], operands, attributes)
    return op.results[0]


def concat(
    sources: Sequence[ir.Value],
    domains: Sequence[ir.AffineMap],
    result_type: ir.RankedTensorType,
) -> ir.Value:
    """Builds a ``smartmem.concat`` at the current insertion point."""
    attribute = ir.ArrayAttr.get([ir.AffineMapAttr.get(d) for d in domains])
    attributes = {"domains": attribute}
    op = ir.Operation.create("smartmem.concat", [result_type], list(sources), attributes)
    return op.results[0]


def relayout(source: ir.Value, attribute: LayoutAttr | None) -> ir.Value:
    """Builds a ``smartmem.relayout`` to a layout, or back to the plain type."""
    element_type, shape = source.type.element_type, list(source.type.shape)
    type_ = ir.RankedTensorType.get(shape, element_type, attribute)
    return ir.Operation.create("smartmem.relayout", [type_], [source]).results[0]


def _emit(op: ir.OpView, fault: str | None) -> bool:
    if fault is None:
        return True
    op.location.emit_error(f"'{op.operation.name}' op {fault}")
    return False


def _type_fault(type_: ir.Type, role: str) -> str | None:
    if not isinstance(type_, ir.RankedTensorType):
        return f"{role} must be a ranked tensor, but is {type_}"
    if not type_.has_static_shape:
        return f"{role} must have a static shape, but is {type_}"
    fault = layout_fault(type_)
    return f"{role}: {fault}" if fault else None


def _tensor_faults(result: ir.Type, sources: Sequence[ir.Type]) -> str | None:
    for number, source in enumerate(sources):
        if fault := _type_fault(source, f"source #{number}"):
            return fault
    if fault := _type_fault(result, "result"):
        return fault
    for number, source in enumerate(sources):
        if source.element_type != result.element_type:
            return (
                f"source #{number} has element type {source.element_type}, but the "
                f"result {result.element_type}"
            )
    return None


def _view_fault(op: ir.OpView) -> str | None:
    operation = op.operation
    attributes, types = operation.attributes, [value.type for value in operation.operands]
    if not types or "map" not in attributes:
        return "needs a source and an attribute 'map'"
    result = operation.results[0].type
    return _fault_of(attributes["map"], attributes.get("domain"), result, *types)


@remembered
def _fault_of(
    map_: ir.Attribute, domain: ir.Attribute | None, result: ir.Type, *operands: ir.Type
) -> str | None:
    """What is wrong with a view, by its attributes and types: each pass verifies it again."""
    if fault := _tensor_faults(result, operands[:1]):
        return fault
    if len(operands) > 2:
        return f"takes a source and at most one fill value, but has {len(operands)} operands"
    if len(operands) == 2 and domain is None:
        return "has a fill value but no domain outside which it stands"
    if len(operands) == 2 and operands[1] != result.element_type:
        return f"fill value has type {operands[1]}, but elements {result.element_type}"
    return _read_fault(map_, domain, tuple(operands[0].shape), tuple(result.shape))


def _concat_fault(op: ir.OpView) -> str | None:
    operation = op.operation
    types = [value.type for value in operation.operands]
    if not types or "domains" not in operation.attributes:
        return "needs at least one source and an attribute 'domains'"
    domains = operation.attributes["domains"]
    return _fault_of_concat(domains, operation.results[0].type, *types)


@remembered
def _fault_of_concat(attribute: ir.Attribute, result: ir.Type, *sources: ir.Type) -> str | None:
    """What is wrong with a concat, by its domains and types."""
    domains = ir.ArrayAttr(attribute)
    if len(sources) != len(domains):
        return f"has {len(sources)} sources but {len(domains)} domains"
    if fault := _type_fault(result, "result"):
        return fault
    for number, source in enumerate(sources):
        if source != result:
            return f"source #{number} has type {source}, but the result {result}"
    shape = tuple(result.shape)
    for number, domain in enumerate(domains):
        if fault := _domain_fault(domain, shape, f"domains[{number}]"):
            return fault
    if not _covered(shape, [_domain(d, shape) for d in domains]):
        return f"leaves elements of the result {list(shape)} that no domain holds"
    return None


def _relayout_fault(op: ir.OpView) -> str | None:
    source, result = op.operation.operands[0], op.operation.results[0]
    if fault := _tensor_faults(result.type, [source.type]):
        return fault
    if list(source.type.shape) != list(result.type.shape):
        return f"changes the shape {list(source.type.shape)} to {list(result.type.shape)}"
    return None


def _domain_fault(attribute: ir.Attribute, shape: Shape, name: str) -> str | None:
    if not isinstance(attribute, ir.AffineMapAttr):
        return f"{name} must be an affine map, but is {attribute}"
    if attribute.value.n_dims != len(shape):
        return f"{name} has {attribute.value.n_dims} dims, but the result has rank {len(shape)}"
    try:
        from_affine(attribute.value, shape)
    except SmartMemError as error:
        return str(error)
    return None


def _read_fault(
    map_: ir.Attribute, domain: ir.Attribute | None, extents: Shape, shape: Shape
) -> str | None:
    """What is wrong with reading a tensor of ``extents`` through ``map_`` where ``domain`` holds."""
    if fault := _domain_fault(map_, shape, "map"):
        return fault
    if domain is not None and (fault := _domain_fault(domain, shape, "domain")):
        return fault
    results = len(map_.value.results)
    if results != len(extents):
        return f"map has {results} results, but its source has rank {len(extents)}"
    holds = None if domain is None else _domain(domain, shape)
    if not _within(from_affine(map_.value, shape), extents, holds):
        return (
            f"map = {map_.value} reads outside its source {list(extents)} "
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
