"""Find and name the operation because of which a model cannot be lowered.

MLIR names the operation that it failed on, but that can be a constant: then the fault is
with a reader of it, and all that were not reached yet are left over as well. So each of
those is lowered alone, and the first that fails is the one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from torch_mlir import ir
from torch_mlir.dialects import func
from torch_mlir.passmanager import PassManager

from smartmem.frontend.operations import walk, where
from smartmem.mlir.diagnostics import Diagnostic, collect_diagnostics

_QUOTED_OP = re.compile(r"operation '([^']+)'")
_OPERATOR_NAME = re.compile(r'name = "((?:torch|onnx)\.[^"]+)"')
# Ops that only carry values to another op.
_CARRIERS = ("torch.constant.", "torch.prim.List", "torch_c.", "torch.vtensor.literal")


def explain(module: ir.Module, errors: Sequence[Diagnostic], pipelines: Sequence[str]) -> str:
    """One line about why ``pipelines`` failed on ``module``.

    Args:
        module: as the failed pass left it.
        errors: MLIR's messages, at least one.
    """
    message = "\n".join(part.message for part in errors[0].flat())
    name = _blamed_op(message)
    culprit = _culprit(module, name, errors[0], pipelines)
    if culprit is not None:
        name, place = operator_name(culprit), where(culprit.location)
    else:
        point = errors[0].point
        place = f" at {point.file}:{point.line}" if point is not None else ""
    if name is None:
        return f"the model cannot be lowered to linalg{place}: {errors[0].message}"
    return (
        f"operation {name}{place} cannot be lowered to linalg with these operand types "
        "and shapes; replace it in the model"
    )


def operator_name(operation: ir.Operation) -> str:
    """The name of ``operation``, its own one if it came as a ``torch.operator``."""
    if operation.name == "torch.operator":
        return str(ir.StringAttr(operation.attributes["name"]).value)
    return str(operation.name)


def _blamed_op(message: str) -> str | None:
    """The op that ``message`` is about; None for one that only carries values."""
    match = _QUOTED_OP.search(message)
    if match is not None and match.group(1) == "torch.operator":
        match = _OPERATOR_NAME.search(message)
    name = match.group(1) if match else None
    return None if name is None or name.startswith(_CARRIERS) else name


def _culprit(
    module: ir.Module, name: str | None, error: Diagnostic, pipelines: Sequence[str]
) -> ir.Operation | None:
    """The operation of that name, or any that is left over, that cannot be lowered alone."""
    left = [op for op in walk(module) if _is_left_over(op)]
    candidates = [op for op in left if name in (None, operator_name(op))]
    place = f"{error.point.file}:{error.point.line}" if error.point else None
    # The sort is stable: those at the place of the message first, each group in order.
    candidates.sort(key=lambda op: place is not None and place not in where(op.location))
    failing = (op for op in _different(candidates) if not _lowers_alone(op, pipelines))
    return next(failing, candidates[0] if candidates else None)


def _is_left_over(operation: ir.Operation) -> bool:
    name = operator_name(operation)
    return name.startswith(("torch.", "onnx.")) and not name.startswith(_CARRIERS)


def _different(candidates: Iterable[ir.Operation]) -> list[ir.Operation]:
    """One of those with the same name, attributes, types and constant operands."""
    found: dict[object, ir.Operation] = {}
    for op in candidates:
        types = tuple(str(v.type) for v in (*op.operands, *op.results))
        constants = tuple(
            str(v.owner) for v in op.operands if _is_carried(v) and not _is_tensor(v)
        )
        attributes = tuple(str(a) for a in op.attributes.values())
        found.setdefault((operator_name(op), types, constants, attributes), op)
    return list(found.values())


def _is_carried(value: ir.Value) -> bool:
    return not isinstance(value.owner, ir.Block) and value.owner.operation.name.startswith(
        _CARRIERS
    )


def _is_tensor(value: ir.Value) -> bool:
    return "tensor<" in str(value.type)


def _lowers_alone(operation: ir.Operation, pipelines: Sequence[str]) -> bool:
    """Whether the pipelines lower a function of ``operation`` alone."""
    context = operation.context
    with context, operation.location, collect_diagnostics(context, lambda _: None):
        module = ir.Module.create()
        try:
            _wrap(operation, module)
            for pipeline in pipelines:
                PassManager.parse(f"builtin.module({pipeline})").run(module.operation)
        except (ir.MLIRError, ValueError):
            return False
    return True


def _wrap(operation: ir.Operation, module: ir.Module) -> None:
    """A function in ``module`` of what ``operation`` reads that returns what it makes."""
    given = _given(operation)
    results = [value.type for value in operation.results]
    with ir.InsertionPoint(module.body):
        function = func.FuncOp("main", ([value.type for value in given], results))
    block = function.add_entry_block()
    known = dict(zip(given, block.arguments, strict=True))
    with ir.InsertionPoint(block):
        copy = _copied(operation, known)
        func.ReturnOp(copy.results)


def _given(operation: ir.Operation) -> list[ir.Value]:
    """The values that ``operation`` reads, directly or through carriers; each once."""
    found: dict[ir.Value, None] = {}
    for value in operation.operands:
        inner = _given(value.owner.operation) if _is_carried(value) else [value]
        found.update(dict.fromkeys(inner))
    return list(found)


def _copied(operation: ir.Operation, known: dict[ir.Value, ir.Value]) -> ir.Operation:
    """A copy of ``operation``, and of the carriers it reads, at the insertion point."""
    operands = []
    for value in operation.operands:
        if value not in known:
            number = ir.OpResult(value).result_number
            known[value] = _copied(value.owner.operation, known).results[number]
        operands.append(known[value])
    copy = operation.clone()
    for number, value in enumerate(operands):
        copy.operands[number] = value
    return copy.operation
