"""Rewrite arithmetic by its mathematical properties (DNNFusion, section 4.2).

Rewrites, by the tables in ``analysis/algebra/rules.py`` and ``analysis/algebra/sinking.py``:
  generic { (a - k1) * k2 + k3 }   ->  generic { a * k2 + (k3 - k1 * k2) }   and its like
  sum(a * k), read by op           ->  sum(a), op computes sum(a) * k        and its like
  contraction(x * k, y), read by op  ->  contraction(x, y), op computes its result * k

  %0 = linalg.generic ins(%x, %y, %z) { (x * y + x * z) }
    ->
  %0 = linalg.generic ins(%x, %y, %z) { x * (y + z) }

In each body the pass applies the rule that lowers the cost most, until no rule lowers it. The
cost is FLOPs and bytes (``analysis/algebra/costs.py``). No rewrite adds a kernel: a function of
a result moves into the bodies of the operations that read it. The assumptions of a rule stand
beside its table.

Keeps, with a remark:
- arithmetic whose result is rounded to an integer or compared, such as indices;
- square roots of values that may be negative;
- functions of a result whose readers cannot take them in, or would compute more;
- bodies that are too large to be searched.

Leaves scales that weights can take to ``smartmem-fold-constants``. Runs behind the fusion of
elementwise operations, which brings expressions into one body, and before
``smartmem-eliminate-views``, while contractions are named operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

from torch_mlir import ir

from smartmem.passes.analysis.algebra.factor_planner import Plan, is_multiply_add
from smartmem.passes.analysis.algebra.simplification import simplify
from smartmem.passes.analysis.algebra.sinking import reduction_move, scale_move
from smartmem.passes.analysis.ir.def_use import Reader
from smartmem.passes.analysis.ir.loops import reduces
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.scalars.bodies import body_of
from smartmem.passes.analysis.scalars.rounding import rounded_values
from smartmem.passes.base import Pass, PassContext, erase_unused, operations, outer_operations
from smartmem.passes.rewrites.algebra.apply_plans import apply_plan
from smartmem.passes.rewrites.builders.rebuild_bodies import rebuild


@dataclass(frozen=True)
class RewriteAlgebra(Pass):
    """Applies rules of algebra where they lower FLOPs or bytes."""

    argument = "smartmem-rewrite-algebra"
    summary = "Rewrite arithmetic by its mathematical properties"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Simplifies bodies, then moves functions behind reductions and contractions."""
        for op, is_rounded in context.each(_generics(module, context), at=itemgetter(0)):
            self._simplify(op, is_rounded, context)
        refusals = None
        while refusals is None:  # ends: every move lowers the cost
            refusals = self._sweep(module, context)
        for op, refusal in refusals:
            context.remark(self.argument, op, False, refusal.reason)
        erase_unused(module)

    def _simplify(self, op: ir.Operation, is_rounded: bool, context: PassContext) -> None:
        body = body_of(op, context.parameters)
        if isinstance(body, Refusal):
            return
        found = simplify(body, is_rounded)
        if isinstance(found, Refusal):
            context.remark(self.argument, op, False, found.reason)
            return
        for rule in found.rules:
            context.remark(self.argument, op, True, f"{rule.property}: {rule.text}")
        for rule, refusal in found.refused.items():
            reason = f"{rule.property}: {rule.text}: {refusal}"
            context.remark(self.argument, op, False, reason)
        if found.root is not body.root:
            rebuild(body, found.root)

    def _sweep(
        self, module: ir.Operation, context: PassContext
    ) -> list[tuple[ir.Operation, Refusal]] | None:
        """Moves each function by one operation; if there is none, the reasons."""
        refusals: list[tuple[ir.Operation, Refusal]] = []
        found = _linalg(module)
        # By result: what an operation hashes with changes with its operands.
        places = {op.results[0]: place for place, op in enumerate(found)}
        erased: set[int] = set()  # places: an erased operation compares with nothing
        left = (item for item in enumerate(found) if item[0] not in erased)
        for _, op in context.each(left, itemgetter(1)):
            plan = _move(op, context)
            if isinstance(plan, Refusal):
                refusals.append((op, plan))
            elif plan is not None:
                changed = (new.body.op.results[0] for new in plan.roots)
                erased |= {places[old] for old in changed if old in places}
                context.remark(self.argument, op, True, plan.text)
                apply_plan(plan, context.parameters)
        return None if erased else refusals


def _generics(module: ir.Operation, context: PassContext) -> list[tuple[ir.Operation, bool]]:
    """The operations with a body, and whether what reads their results rounds it."""
    rounded = rounded_values(operations(module), context.parameters)
    generics = [op for op in _linalg(module) if op.name == "linalg.generic"]
    return [(op, op.results[0] in rounded) for op in generics]


def _linalg(module: ir.Operation) -> list[ir.Operation]:
    found = (
        op for op in outer_operations(module) if op.name.startswith("linalg.") and op.regions
    )
    return [op for op in found if op.results]


def _move(op: ir.Operation, context: PassContext) -> Plan | Refusal | None:
    """A function that can be moved behind ``op``, or why one cannot."""
    if is_multiply_add(op):
        plans = [scale_move(Reader(op, number), context.parameters) for number in range(2)]
        refused = next((p for p in plans if isinstance(p, Refusal)), None)
        return next((p for p in plans if isinstance(p, Plan)), refused)
    if not reduces(op):
        return None
    body = body_of(op, context.parameters)
    return None if isinstance(body, Refusal) else reduction_move(body)
