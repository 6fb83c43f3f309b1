"""Takes a lowered model apart: what each kernel reads and makes, and each kernel by itself.

``values_module`` computes all of that on the CPU, without regions and their tile sizes.
``kernels_module`` has the same kernels as the model, but each reads inputs of the module
instead of what other kernels made: an error of one does not spread to others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.iree_compile.regions import (
    dissolve,
    place_groups,
    use_default_configuration,
)
from smartmem.backend.module.metadata import REFLECTION_KEY, encode_metadata
from smartmem.backend.targets.targets import Target
from smartmem.frontend.finish import entry_function, function_specs
from smartmem.passes.base import GROUP_FILE, REGION, erase_unused

_QUOTED = re.compile(r'"([^"]+)"')
_NOT_COMPUTED = ("arith.constant", "tensor.empty")
_RESHAPES = ("tensor.expand_shape", "tensor.collapse_shape")
_VIEWS = (*_RESHAPES, "tensor.extract_slice", "tensor.cast")
_INSERT = "tensor.insert_slice"
_SMALL = {"flow.return", "linalg.fill", *_NOT_COMPUTED, *_VIEWS}


@dataclass(frozen=True)
class Part:
    """What is computed at once: a kernel, or an operation that IREE fuses as it likes.

    Attributes:
        number: of its group; None of an operation of no group.
        operations: what it computes with.
        places: names and files of what it was made from, as the model has them.
    """

    number: int | None
    operations: tuple[str, ...]
    places: tuple[str, ...]


def parts_of(module: ir.Module) -> list[Part]:
    """The parts of a lowered model, in program order."""
    parts: list[Part] = []
    groups = 0
    for op in _computing(module):
        number = groups if op.name == REGION else None
        groups += op.name == REGION
        parts.append(Part(number, _names(op), _places(op)))
    return parts


def _names(op: ir.Operation) -> tuple[str, ...]:
    """The operations that are ``op``, or that a region holds, without views."""
    if op.name != REGION:
        return (op.name,)
    inside = [inner.operation.name for inner in op.regions[0].blocks[0].operations]
    return tuple(name for name in inside if name not in _SMALL)


def _places(op: ir.Operation) -> tuple[str, ...]:
    """The names in the operation's location that are not of our own making."""
    names = _QUOTED.findall(str(op.location))
    return tuple(dict.fromkeys(n for n in names if not n.startswith(GROUP_FILE)))


def values_module(module: ir.Module, target: Target) -> None:
    """Makes a lowered module return what each part reads, then what each makes; in place."""
    values = _read(module) + [op.results[0] for op in _computing(module)]
    _return(module, values)
    for region in [op for op in _computing(module) if op.name == REGION]:
        use_default_configuration(region)
        dissolve(region)
    _describe(module, target)


def kernels_module(module: ir.Module, target: Target) -> None:
    """Makes what each part reads an input behind those of the model; in place."""
    read, parts = _read(module), _computing(module)
    block = entry_function(module).regions[0].blocks[0]
    with module.context, ir.Location.unknown():
        for value in read:
            argument = block.add_argument(value.type, ir.Location.unknown())
            _replace_in(parts, value, argument)
    _return(module, [op.results[0] for op in parts])
    erase_unused(module.operation)
    place_groups(module.operation)
    _describe(module, target)


def _computing(module: ir.Module) -> list[ir.Operation]:
    """The operations that compute a tensor, outside of regions: the heads of parts."""
    block = entry_function(module).regions[0].blocks[0]
    found = []
    for view in block.operations:
        op = view.operation
        is_tensor = len(op.results) == 1 and isinstance(op.results[0].type, ir.RankedTensorType)
        if is_tensor and op.name not in (*_NOT_COMPUTED, *_VIEWS) and not _is_filled_on(op):
            found.append(op)
    return found


def _is_filled_on(op: ir.Operation) -> bool:
    """Whether all that reads ``op`` inserts more: until then some elements may be of no value."""
    uses = list(op.results[0].uses)
    if op.name not in (_INSERT, *_RESHAPES) or len(uses) != 1:
        return False
    reader = uses[0].owner.operation
    if reader.name in _RESHAPES:
        return _is_filled_on(reader)
    return bool(reader.name == _INSERT and uses[0].operand_number == 1)


def _inside(op: ir.Operation) -> list[ir.Operation]:
    """``op`` and all below it, what regions hold and what it inserts into included."""
    found: list[ir.Operation] = []
    number = 1 if op.name == _INSERT else 0 if op.name in _RESHAPES else None
    into = None if number is None else op.operands[number].owner
    if into is not None and not isinstance(into, ir.Block) and _is_filled_on(into.operation):
        found += _inside(into.operation)

    def visit(inner: ir.Operation) -> ir.WalkResult:
        found.append(inner)
        return ir.WalkResult.ADVANCE

    op.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found


def _read(module: ir.Module) -> list[ir.Value]:
    """The tensors that the parts read of others, each once."""
    found: dict[ir.Value, None] = {}
    for op in _computing(module):
        inside = _inside(op)
        own = {result for inner in inside for result in inner.results}
        values = (v for inner in inside for v in inner.operands if v not in own)
        found.update((v, None) for v in values if _is_computed(v))
    return list(found)


def _is_computed(value: ir.Value) -> bool:
    """Whether a value is a tensor that an operation outside of all parts' bodies makes."""
    if not isinstance(value.type, ir.RankedTensorType) or isinstance(value.owner, ir.Block):
        return False
    return value.owner.name not in _NOT_COMPUTED


def _replace_in(parts: Sequence[ir.Operation], value: ir.Value, by: ir.Value) -> None:
    for op in parts:
        for inner in _inside(op):
            for number, operand in enumerate(inner.operands):
                if operand == value:
                    inner.operands[number] = by


def _return(module: ir.Module, values: Sequence[ir.Value]) -> None:
    function = entry_function(module)
    block = function.regions[0].blocks[0]
    *_, end = block.operations
    with ir.InsertionPoint(end.operation), ir.Location.unknown(module.context):
        ir.Operation.create("func.return", [], list(values))
        end.operation.erase()
        type_ = ir.FunctionType.get([a.type for a in block.arguments], [v.type for v in values])
        function.attributes["function_type"] = ir.TypeAttr.get(type_)
    for name in ("arg_attrs", "res_attrs"):
        if name in function.attributes:
            del function.attributes[name]


def _describe(module: ir.Module, target: Target) -> None:
    text = encode_metadata(target, *function_specs(module))
    with module.context:
        entry_function(module).attributes["iree.reflection"] = ir.DictAttr.get(
            {REFLECTION_KEY: ir.StringAttr.get(text)}
        )
