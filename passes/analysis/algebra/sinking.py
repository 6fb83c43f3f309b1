"""Functions that move out of a reduction or contraction, to what reads its result.

    ReduceSum(BitShift(A)) -> BitShift(ReduceSum(A))
    ReduceProd(Exp(A))     -> Exp(ReduceSum(A))

and their like (DNNFusion, section 4.2, table 4): over m x n elements, m x n applications
of the function become m. What remains of it goes into the bodies of the readers, so that
no kernel is added. In attention, Q * k is one kernel of its own, while the softmax that
reads Q * K^T multiplies at little cost.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.parameters import Parameters
from smartmem.passes.analysis.algebra.costs import Cost, body_cost
from smartmem.passes.analysis.algebra.factor_planner import NewRoot, Plan, is_multiply_add
from smartmem.passes.analysis.algebra.factor_plans import plan_for
from smartmem.passes.analysis.algebra.patterns import (
    Apply,
    Binding,
    Pattern,
    build,
    join,
    match_root,
    parse,
)
from smartmem.passes.analysis.algebra.simplification import simplify
from smartmem.passes.analysis.ir.def_use import Reader, readers_of, reading
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.scalars.bodies import Body, body_of
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.analysis.scalars.expressions import ARGUMENT, CONSTANT, Node

# Reductions: the operations that combine, and the neutral element.
COMBINERS: Mapping[str, tuple[str, ...]] = {
    "sum": ("arith.addf", "arith.addi"),
    "prod": ("arith.mulf",),
    "max": ("arith.maximumf",),
    "min": ("arith.minimumf",),
}
NEUTRAL: Mapping[str, float] = {"sum": 0.0, "prod": 1.0, "max": -math.inf, "min": math.inf}


@dataclass(frozen=True)
class ReductionRule:
    """reduction(inner) -> outer, where r in ``outer`` is new_reduction(a).

    Attributes:
        reduction: a key of ``COMBINERS``.
        inner: what is reduced; k stands for one constant.
        new_reduction: how ``a`` is reduced instead.
        outer: what is computed of that.
        positive: whether k must be positive.
    """

    reduction: str
    inner: str
    new_reduction: str
    outer: str
    positive: bool = False

    @property
    def text(self) -> str:
        """The rule for people."""
        right = self.outer.replace("r", f"{self.new_reduction}(a)", 1)
        return f"{self.reduction}({self.inner}) -> {right}"


REDUCTION_RULES: tuple[ReductionRule, ...] = (
    ReductionRule("sum", "a * k", "sum", "r * k"),
    ReductionRule("sum", "-a", "sum", "-r"),
    ReductionRule("sum", "a << k", "sum", "r << k"),
    ReductionRule("prod", "exp(a)", "sum", "exp(r)"),
    ReductionRule("max", "a * k", "max", "r * k", positive=True),
    ReductionRule("min", "a * k", "min", "r * k", positive=True),
    ReductionRule("max", "a + k", "max", "r + k"),
    ReductionRule("min", "a + k", "min", "r + k"),
    ReductionRule("max", "a - k", "max", "r - k"),
    ReductionRule("min", "a - k", "min", "r - k"),
    ReductionRule("max", "-a", "min", "-r"),
    ReductionRule("min", "-a", "max", "-r"),
    ReductionRule("max", "exp(a)", "max", "exp(r)"),
    ReductionRule("min", "exp(a)", "min", "exp(r)"),
)
_PATTERNS: Mapping[ReductionRule, tuple[Pattern, Pattern]] = {
    rule: (parse(rule.inner), parse(rule.outer)) for rule in REDUCTION_RULES
}
_SCALED_RESULT = parse("r * k")
CONTRACTION_RULE = "contraction(a * k, b) -> contraction(a, b) * k"


def reduction_move(body: Body) -> Plan | Refusal | None:
    """The first rule that lowers the cost of a reduction and its readers together.

    Returns:
        A refusal if a rule matches but cannot be applied; None if none matches.
    """
    refusal = None
    for rule in REDUCTION_RULES:
        if body.combiner is None or body.combiner.name not in COMBINERS[rule.reduction]:
            continue
        inner, outer = _PATTERNS[rule]
        assert isinstance(inner, Apply)
        for binding, rest in match_root(inner, body.root, body):
            found = _reduction_move(rule, body, outer, binding, rest)
            if isinstance(found, Plan):
                return found
            refusal = refusal or Refusal(f"{rule.text}: {found.reason}")
    return refusal


def _reduction_move(
    rule: ReductionRule, body: Body, outer: Pattern, binding: Binding, rest: list[Node]
) -> Plan | Refusal:
    constants = {"k": binding["k"]} if "k" in binding else {}
    for k in constants.values():
        if k.kind != CONSTANT:
            return Refusal("k varies")
        if rule.positive and not (isinstance(k.payload, float) and k.payload > 0):
            return Refusal("k is not positive")
    if not _starts_neutral(body, NEUTRAL[rule.reduction]):
        return Refusal("it starts from a value that is not neutral")
    root = join(body.root.kind, [binding["a"], *rest], body)
    changed = rule.new_reduction if rule.new_reduction != rule.reduction else None
    return _move(rule.text, NewRoot(body, root, changed), body.op.results[0], outer, constants)


def _starts_neutral(body: Body, neutral: float) -> bool:
    init = body.op.operands[-1]
    value = constant_value(init, body.parameters)
    return value is not None and bool(np.all(value == neutral))


def scale_move(reader: Reader, parameters: Parameters) -> Plan | Refusal | None:
    """How a constant scale on an operand of a contraction moves to its result.

    Returns:
        None if the operand is not scaled, or where weights can take the scale, which is
        better.
    """
    body = _scaling_body(reader, parameters)
    if body is None or isinstance(plan_for(body, body.root, {}), Plan):
        return None
    if readers_of(body.op.results[0]) != [reader]:
        return Refusal("the scaled operand has other readers")
    value, scale = sorted(body.root.args, key=lambda n: n.kind == CONSTANT)
    source = NewRoot(body, value)
    return _move(CONTRACTION_RULE, source, reader.op.results[0], _SCALED_RESULT, {"k": scale})


def _scaling_body(reader: Reader, parameters: Parameters) -> Body | None:
    """The body of the operation that scales the operand by a constant, as its last step."""
    seen = reading(reader.value)
    if seen.fill is not None or len({p.source for p in seen.pieces}) > 1:
        return None
    source = seen.pieces[0].source
    if not is_multiply_add(reader.op) or isinstance(source.owner, ir.Block):
        return None
    body = body_of(source.owner.operation, parameters)
    if isinstance(body, Refusal) or body.combiner is not None:
        return None
    constants = [a for a in body.root.args if a.kind == CONSTANT]
    return body if body.root.kind == "arith.mulf" and len(constants) == 1 else None


def _move(
    text: str, source: NewRoot, result: ir.Value, function: Pattern, constants: Binding
) -> Plan | Refusal:
    """The plan by which all readers of ``result`` compute ``function`` of it themselves.

    Args:
        source: the operation without the function.
        function: a pattern of the letter ``r``, which stands for the result, and of
            ``constants``.
    """
    body = source.body
    operands: dict[ir.Operation, list[Reader]] = {}
    for reader in readers_of(result):
        operands.setdefault(reader.op, []).append(reader)
    before = body_cost(body, body.root)
    after = body_cost(body, source.root)
    if source.root.kind == ARGUMENT and body.combiner is None:
        after = Cost()  # only names its operand, or moves it
    roots = [source]
    for op, readers in operands.items():
        reading_body = _reading_body(op, readers, result, body.parameters)
        if isinstance(reading_body, Refusal):
            return reading_body
        root = _applied(reading_body, readers, function, constants)
        if root is None:
            return Refusal("its reader would compute with an infinite or denormal constant")
        roots.append(NewRoot(reading_body, root))
        before += body_cost(reading_body, reading_body.root)
        after += body_cost(reading_body, root)
    if not operands or not after.is_worth(before):
        return Refusal("its readers would compute more")
    return Plan(text, tuple(roots))


def _reading_body(
    op: ir.Operation, readers: list[Reader], value: ir.Value, parameters: Parameters
) -> Body | Refusal:
    body = body_of(op, parameters)
    # Named operations and contractions are more to code generators than their bodies.
    if isinstance(body, Refusal) or op.name != "linalg.generic" or is_multiply_add(op):
        return Refusal(f"{op.name} reads it, which cannot take in a function")
    for reader in readers:
        if reader.number >= len(body.operands):
            return Refusal("it is the initial value of another operation")
        seen = reading(reader.value)
        if len(seen.pieces) > 1 or seen.fill is not None:
            return Refusal("it is padded or joined with other values")
        if seen.pieces[0].source != value:
            return Refusal("it is read behind a movement that stays")
    return body


def _applied(
    body: Body, readers: list[Reader], function: Pattern, constants: Binding
) -> Node | None:
    """The simplified expression of ``body`` with ``function`` of what it reads."""
    new: dict[Node, Node] = {}
    pool = body.pool
    own = {k: pool.node(CONSTANT, n.type, payload=n.payload) for k, n in constants.items()}
    for reader in readers:
        type_ = reader.value.type.element_type
        argument = pool.node(ARGUMENT, type_, payload=reader.number)
        result = build(function, {**own, "r": argument}, argument, body)
        if result is None:
            return None
        new[argument] = result
    root = pool.replaced(body.root, new)
    simplified = simplify(dataclasses.replace(body, root=root))
    return root if isinstance(simplified, Refusal) else simplified.root
