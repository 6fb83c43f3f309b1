"""What the kernels of a compiled module do with their storage buffers.

Reads the IR of iree-compile's phase ``executable-targets``, in IREE's own build of MLIR:
each kernel is a ``spirv.module`` in a ``hal.executable``, and each of its storage buffers
one or, for accesses of several widths, several ``spirv.GlobalVariable`` of one number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from iree.compiler import ir

from smartmem.passes.base import group_of

_BUFFER = re.compile(
    r"!spirv\.ptr<!spirv\.struct<\(!spirv\.(?:rtarray<|array<\d+ x )(?P<element>.+), "
    r"stride=(?P<bytes>\d+)> \[0\]\)(?:, Block)?>, StorageBuffer>"
)


@dataclass(frozen=True)
class Access:
    """One load or store of an element.

    Attributes:
        op: the ``spirv.Load`` or ``spirv.Store``.
        chain: the ``spirv.AccessChain`` that addresses the element.
        index: the element's index.
    """

    op: ir.Operation
    chain: ir.Operation
    index: ir.Value


@dataclass(frozen=True)
class Variable:
    """One view of a storage buffer as an array of elements.

    Attributes:
        op: the ``spirv.GlobalVariable``.
        element: type of the elements; None for a buffer of another form.
        bytes: size of an element.
        addresses: the ``spirv.mlir.addressof`` of the variable.
        loads: its reads.
        stores: its writes.
        other: name of an operation that uses it in another way, or None.
    """

    op: ir.Operation
    element: ir.Type | None
    bytes: int
    addresses: tuple[ir.Operation, ...]
    loads: tuple[Access, ...]
    stores: tuple[Access, ...]
    other: str | None

    @property
    def name(self) -> str:
        """Its symbol."""
        return ir.StringAttr(self.op.attributes["sym_name"]).value


@dataclass(frozen=True)
class Binding:
    """One storage buffer of a kernel: all variables of one number."""

    number: int
    variables: tuple[Variable, ...]

    @property
    def reads(self) -> int:
        """How many load instructions it has."""
        return sum(len(variable.loads) for variable in self.variables)

    @property
    def writes(self) -> int:
        """How many store instructions it has."""
        return sum(len(variable.stores) for variable in self.variables)


@dataclass(frozen=True)
class Shader:
    """One kernel.

    Attributes:
        entry: its symbol, as dispatches name it.
        module: its ``spirv.module``.
        bindings: its storage buffers, by number.
        workgroup_size: threads of a workgroup in x, y and z.
        workgroups: workgroups in x, y and z; None where only the run tells.
        group: number of the group that it was made of; None if the module does not tell.
    """

    entry: str
    module: ir.Operation
    bindings: tuple[Binding, ...]
    workgroup_size: tuple[int, ...]
    workgroups: tuple[int, int, int] | None
    group: int | None


def shaders_of(module: ir.Operation) -> list[Shader]:
    """The kernels of a module, in its order."""
    executables = [op for op in children(module) if op.name == "hal.executable"]
    return [shader for op in executables for shader in _shaders_in(op)]


def children(op: ir.Operation) -> Iterator[ir.Operation]:
    """The operations directly in the regions of ``op``."""
    for region in op.regions:
        for block in region:
            for child in block.operations:
                yield child.operation


def nested(op: ir.Operation) -> Iterator[ir.Operation]:
    """All operations in ``op``, in order."""
    for child in children(op):
        yield child
        yield from nested(child)


def constant_of(value: ir.Value) -> int | None:
    """The whole number that ``value`` always is, or None."""
    if isinstance(value.owner, ir.Block):
        return None
    if value.owner.name not in ("arith.constant", "spirv.Constant"):
        return None
    attribute = value.owner.attributes["value"]
    return ir.IntegerAttr(attribute).value if isinstance(attribute, ir.IntegerAttr) else None


def _shaders_in(executable: ir.Operation) -> Iterator[Shader]:
    for variant in children(executable):
        inside = list(nested(variant))
        modules = [op for op in inside if op.name == "spirv.module"]
        exports = [op for op in inside if op.name == "hal.executable.export"]
        if len(modules) == 1 and len(exports) == 1:  # as IREE makes them before it links
            yield _shader(exports[0], modules[0])


def _shader(export: ir.Operation, module: ir.Operation) -> Shader:
    mode = next(op for op in children(module) if op.name == "spirv.ExecutionMode")
    sizes = [ir.IntegerAttr(size).value for size in ir.ArrayAttr(mode.attributes["values"])]
    return Shader(
        entry=ir.StringAttr(export.attributes["sym_name"]).value,
        module=module,
        bindings=tuple(_bindings(module)),
        workgroup_size=tuple(sizes),
        workgroups=_workgroups(export),
        group=group_of(str(export.location)),
    )


def _workgroups(export: ir.Operation) -> tuple[int, int, int] | None:
    ends = [op for op in nested(export) if op.name == "hal.return"]
    counts = [constant_of(value) for value in ends[0].operands] if len(ends) == 1 else []
    known = [count for count in counts if count is not None]
    return (known[0], known[1], known[2]) if len(known) == 3 else None


def _bindings(module: ir.Operation) -> Iterator[Binding]:
    found: dict[int, list[Variable]] = {}
    addresses = [op for op in nested(module) if op.name == "spirv.mlir.addressof"]
    for op in children(module):
        if op.name != "spirv.GlobalVariable":
            continue
        if str(op.attributes["type"]).endswith(", StorageBuffer>"):
            number = ir.IntegerAttr(op.attributes["binding"]).value
            found.setdefault(number, []).append(_variable(op, addresses))
    for number, variables in sorted(found.items()):
        yield Binding(number, tuple(variables))


def _variable(op: ir.Operation, addresses: list[ir.Operation]) -> Variable:
    name = ir.StringAttr(op.attributes["sym_name"]).value
    own = [
        address
        for address in addresses
        if ir.FlatSymbolRefAttr(address.attributes["variable"]).value == name
    ]
    match = _BUFFER.fullmatch(str(op.attributes["type"]))
    loads: list[Access] = []
    stores: list[Access] = []
    other = None
    for address in own:
        for use in address.results[0].uses:
            other = _sort_in(use.owner.operation, loads, stores) or other
    return Variable(
        op=op,
        element=ir.Type.parse(match["element"], op.context) if match else None,
        bytes=int(match["bytes"]) if match else 0,
        addresses=tuple(own),
        loads=tuple(loads),
        stores=tuple(stores),
        other=other,
    )


def _sort_in(chain: ir.Operation, loads: list[Access], stores: list[Access]) -> str | None:
    """Adds the accesses through ``chain``; the name of a use that is none."""
    if (
        chain.name != "spirv.AccessChain"
        or len(chain.operands) != 3
        or constant_of(chain.operands[1]) != 0
    ):
        return str(chain.name)
    other = None
    for use in chain.results[0].uses:
        op = use.owner.operation
        access = Access(op, chain, chain.operands[2])
        if "memory_access" in op.attributes:  # volatile, for instance
            other = str(op.name)
        elif op.name == "spirv.Load":
            loads.append(access)
        elif op.name == "spirv.Store" and use.operand_number == 0:
            stores.append(access)
        else:
            other = str(op.name)
    return other
