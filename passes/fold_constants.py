"""Compute when compiling what depends on weights only, and let weights take factors.

Rewrites:
  op(constants)                      ->  constant
  generic { linear(x, W) * k + ... } ->  generic { linear(x, W * k) + ... }
  linear(generic { y * k }, W)       ->  linear(y, W * k)
  generic { f(x, g(k1, k2)) }        ->  generic { f(x, k) },  k = g(k1, k2)

k, k1, k2 and W are constants; ``linear`` is a contraction or convolution. A factor reaches W
through movements, sums, products and quotients, and can cover a part of what ``linear``
computes: batch normalization goes into the convolution before it, the scale of attention into
the rows of W that compute Q.

  %0 = linalg.matmul ins(%x, %W) outs(%zero)
  %1 = linalg.generic ins(%0, %k) { arith.mulf %in, %in_k }
    ->
  %1 = linalg.matmul ins(%x, %Wk) outs(%zero)

Keeps, with a remark:
- results of more than 4096 elements that take more than twice the bytes of their operands, or
  more bytes at all with wider elements;
- weights of more than 4096 elements that have other readers;
- values that have readers without the factor;
- computations of more than 2^24 iterations, sorts, and operations that cannot be evaluated.

f32 is computed in f32, so results differ by rounding. Runs after ``smartmem-rewrite-algebra``,
which brings normalizations into the form x * k1 + k2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.index_map import from_affine
from smartmem.index_map.affine import projection
from smartmem.passes.analysis.algebra.factor_planner import Plan
from smartmem.passes.analysis.algebra.factor_plans import first_plan
from smartmem.passes.analysis.ir.def_use import MOVEMENTS, Readings
from smartmem.passes.analysis.ir.movement import Refusal, is_static
from smartmem.passes.analysis.scalars.bodies import Body, Operand, body_of
from smartmem.passes.analysis.scalars.constant_values import (
    Stored,
    constant_value,
    is_free,
    known_value,
    may_replace,
    stored,
)
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, Node
from smartmem.passes.base import Pass, PassContext, erase_unused, outer_operations
from smartmem.passes.rewrites.algebra.apply_plans import apply_plan
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.rebuild_bodies import rebuild

# Constants that take no memory in the module.
_NOT_STORED = ("linalg.fill", "tensor.empty")

_SORT = "tm_tensor.sort"

# Cost nothing when the model runs, or less than reading a constant.
_FREE = frozenset(
    (
        "tensor.cast",
        "tensor.collapse_shape",
        "tensor.expand_shape",
        *MOVEMENTS,
        *_NOT_STORED,
    )
)


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Computes what depends on weights only, and multiplies weights by factors."""

    argument = "smartmem-fold-constants"
    summary = "Compute what depends on weights only; let weights take factors"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Folds whole operations, then factors, then parts of bodies."""
        self._fold_operations(module, context)
        known = Readings()
        for op in context.each(_generics(module)):
            self._fold_factors(op, known, context)
        for op in context.each(_generics(module)):
            self._fold_parts(op, context)
        erase_unused(module)

    def _fold_operations(self, module: ir.Operation, context: PassContext) -> None:
        known: set[ir.Value] = set()
        for op in context.each(_tensor_operations(module)):
            if not all(v in known or _is_scalar_constant(v) for v in op.operands):
                continue
            if op.name == "arith.constant" or op.name in _FREE:
                known.add(op.results[0])
            elif op.operands:
                found = _folded(op, context)
                if isinstance(found, Refusal):
                    context.remark(self.argument, op, False, found.reason)
                else:
                    known.add(found)

    def _fold_factors(self, op: ir.Operation, known: Readings, context: PassContext) -> None:
        """Folds one factor after the other; each changes the body.

        Args:
            known: what values read as long as nothing changes.
        """
        current: ir.Operation | None = op
        while current is not None:
            body = body_of(current, context.parameters)
            if isinstance(body, Refusal):
                return
            found = first_plan(body, known)
            if not isinstance(found, Plan):
                if found is not None:
                    context.remark(self.argument, current, False, found.reason)
                return
            context.remark(self.argument, current, True, found.text)
            current = apply_plan(found, context.parameters)[0]
            known.clear()

    def _fold_parts(self, op: ir.Operation, context: PassContext) -> None:
        body = body_of(op, context.parameters)
        if isinstance(body, Refusal):
            return
        new: dict[Node, Node] = {}
        for part in _known_parts(body):
            constant = _constant_part(body, part, context)
            if isinstance(constant, Refusal):
                context.remark(self.argument, op, False, constant.reason)
            else:
                new[part] = constant
        if new:
            context.remark(self.argument, op, True, "part of it depends on constants only")
            rebuild(body, body.pool.replaced(body.root, new))


def _tensor_operations(module: ir.Operation) -> list[ir.Operation]:
    """Those with one result of static shape; what stands in a body has a scalar."""
    found = (op for op in outer_operations(module) if len(op.results) == 1)
    return [op for op in found if is_static(op.results[0])]


def _generics(module: ir.Operation) -> list[ir.Operation]:
    return [op for op in outer_operations(module) if op.name == "linalg.generic"]


def _is_scalar_constant(value: ir.Value) -> bool:
    is_constant = not isinstance(value.owner, ir.Block) and value.owner.name == "arith.constant"
    return is_constant and not isinstance(value.type, ir.ShapedType)


def _folded(op: ir.Operation, context: PassContext) -> ir.Value | Refusal:
    """The constant by which ``op``, all of whose operands are constant, was replaced."""
    result = op.results[0]
    if any(use.owner.name == _SORT for use in result.uses):
        return Refusal("iree-compile sorts in place, and fails on constants")
    held = (v for v in set(op.operands) if is_static(v) and v.owner.name not in _NOT_STORED)
    new, replaced = stored(result), [stored(v) for v in held]
    if not may_replace(new, replaced):
        return Refusal(_too_large(new, replaced))
    array = constant_value(result, context.parameters)
    if array is None:
        return Refusal("it depends on constants, but cannot be evaluated")
    with ir.InsertionPoint(op), op.location:
        constant = constant_tensor("folded", array, result.type, context.parameters)
    context.remark(FoldConstants.argument, op, True, "it depends on constants only")
    result.replace_all_uses_with(constant)
    op.erase()
    return constant


def _too_large(new: Stored, replaced: Sequence[Stored]) -> str:
    elements = sum(constant.elements for constant in replaced)
    widest = max((constant.bits for constant in replaced), default=new.bits)
    wider = f" of {new.bits} bits" if new.bits > widest else ""
    return f"a constant of {new.elements} elements{wider} would replace {elements}"


def _known_parts(body: Body) -> list[Node]:
    """The largest float expressions in a body that depend on constants alone."""
    found: dict[Node, None] = {}
    stack = [body.root]
    while stack:
        node = stack.pop()
        if node.args and body.is_known(node) and isinstance(node.type, ir.FloatType):
            found[node] = None
        else:
            stack += node.args
    return list(found)


def _constant_part(body: Body, part: Node, context: PassContext) -> Node | Refusal:
    """A constant, or an element of a new operand, that is the value of ``part``."""
    if not is_free(body, part):
        return Refusal(f"a constant of {body.extent(part)} elements would replace fewer")
    value = known_value(body, part)
    if value is None:
        return Refusal("it depends on constants, but cannot be evaluated")
    loops, domain = sorted(body.loops(part)), body.nest.domain
    if not loops:
        return body.pool.constant(float(value.reshape(())), part.type)
    values = np.broadcast_to(value, [n if d in loops else 1 for d, n in enumerate(domain)])
    shape = [domain[d] for d in loops]
    with ir.InsertionPoint(body.op), body.op.location:
        type_ = ir.RankedTensorType.get(shape, part.type)
        map_ = projection(len(domain), loops)
        new = constant_tensor("folded", values.reshape(shape), type_, context.parameters)
    body.operands.append(Operand(new, map_, from_affine(map_, domain)))
    return body.pool.node(ARGUMENT, part.type, payload=len(body.operands) - 1)
