"""Dispatch regions of a lowered module: named in iree-compile's messages, and undone.

A ``flow.dispatch.region`` holds a group of operations that is to become one kernel, and
the operations can carry a configuration (tile sizes) for code generation. Where IREE
cannot compile a group so, it can be given up: first its configuration, then the region.

Groups have numbers, as an attribute of their region. iree-compile drops the attribute, but
prints the source place of what fails, so the place of everything in group 7 is made line 7
of a file that does not exist, ``smartmem.group``::

    smartmem.group:7:0: error: 'func.func' op exceeded stack allocation limit ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch_mlir import ir

from smartmem.files import write_file
from smartmem.mlir.torch_dialects import load_torch_dialects
from smartmem.passes.analysis.fusion.kernel_limits import sums_several_dims
from smartmem.passes.analysis.tiling.tiles_attribute import TILES
from smartmem.passes.base import (
    GROUP_FILE,
    KERNEL,
    REGION,
    PassContext,
    kernel_number,
    number_kernel,
    operations,
)
from smartmem.passes.form_regions import FormRegions

CONFIGURATION = ("compilation_info", "lowering_config", "translation_info", TILES)
"""The attributes that configure code generation of an operation."""

_CONSTANT_ELEMENTS = 64  # the values of larger constants make no other kernel
_VALUE = re.compile(r"%[\w$.-]+")
_ERROR = re.compile(r"^smartmem\.group:(\d+):\d+: error: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Group:
    """What deciding about a group needs to know.

    Attributes:
        number: the group's number.
        configured: whether its operations carry a configuration that they can do without.
        signature: equal for groups that compile to the same kernel.
    """

    number: int
    configured: bool
    signature: str


def place_groups(module: ir.Operation) -> None:
    """Gives every region and all in it the source place that tells its number.

    A region without a number gets a free one. The original place is kept behind the new.
    """
    regions = list(_regions(module))
    taken = {kernel_number(region) for region in regions}
    free = (n for n in range(2 * len(regions)) if n not in taken)
    for region in regions:
        number = kernel_number(region)
        if number is None:
            number = next(free)
            number_kernel(region, number)
        place = ir.Location.file(GROUP_FILE, number, 0, context=module.context)
        for op in operations(region):
            op.location = ir.Location.fused([place, op.location], context=module.context)


def failed_groups(log: str) -> dict[int, str]:
    """The groups of which iree-compile printed an error, each with its first one."""
    found: dict[int, str] = {}
    for match in _ERROR.finditer(log):
        found.setdefault(int(match[1]), match[2])
    return found


def read_module(bytecode: Path) -> ir.Module:
    """The lowered module in a file, in a context of its own."""
    context = ir.Context()
    context.allow_unregistered_dialects = True  # flow and iree_codegen are IREE's
    load_torch_dialects(context)  # unregistered ones would be written in another form
    return ir.Module.parseFile(str(bytecode), context)


def groups_in(bytecode: Path, *, spirv: bool = False) -> dict[int, Group]:
    """The groups of a module whose groups are placed, by number.

    Args:
        spirv: for SPIR-V, where a sum over several dims is wrong without configuration.
    """
    module = read_module(bytecode)
    found: dict[int, Group] = {}
    for region in _regions(module.operation):
        number = kernel_number(region)
        if number is not None:
            inside = operations(region)
            configured = any(map(_configuration, inside))
            needed = spirv and any(map(sums_several_dims, inside))
            found[number] = Group(number, configured and not needed, _signature(region))
    return found


def give_up(
    bytecode: Path,
    output: Path,
    *,
    configuration: Collection[int],
    region: Collection[int],
    spirv: bool = False,
) -> None:
    """Writes the module of ``bytecode`` to ``output`` with some groups given up.

    Args:
        configuration: the groups that lose their configuration.
        region: those that also lose their region: IREE groups their operations itself.
        spirv: their reductions stay kernels of their own: what IREE fuses with them is
            wrong SPIR-V.

    Raises:
        InvalidInputError: ``output`` cannot be written.
    """
    module = read_module(bytecode)
    _for_groups(module, {*configuration, *region}, use_default_configuration)
    _for_groups(module, region, dissolve)
    if spirv:
        FormRegions(reductions_alone=True).run(module.operation, PassContext())
    write_file(output, module.operation.write_bytecode)


def use_default_configuration(region: ir.Operation) -> None:
    """Removes the configuration of all operations in ``region``."""
    for op in operations(region):
        for name in _configuration(op):
            del op.attributes[name]


def dissolve(region: ir.Operation) -> None:
    """Moves the operations of ``region`` out of it, in its place."""
    *inside, end = list(region.regions[0].blocks[0].operations)
    for op in inside:
        op.operation.move_before(region)
    for result, value in zip(region.results, end.operands, strict=True):
        result.replace_all_uses_with(value)
    region.erase()


def _for_groups(
    module: ir.Module, groups: Collection[int], change: Callable[[ir.Operation], None]
) -> None:
    for region in list(_regions(module.operation)):
        if kernel_number(region) in groups:
            change(region)


def _regions(module: ir.Operation) -> Iterator[ir.Operation]:
    return (op for op in operations(module) if op.name == REGION)


def _configuration(op: ir.Operation) -> list[str]:
    return [name for name in CONFIGURATION if name in op.attributes]


def _signature(region: ir.Operation) -> str:
    """The region's text without places and number, its values renamed by their occurrence.

    IREE compiles regions that are equal in this way once, and names one of them only.
    """
    alone = region.clone()
    if KERNEL in alone.attributes:
        del alone.attributes[KERNEL]
    text = alone.get_asm(
        use_local_scope=True,
        assume_verified=True,
        large_elements_limit=_CONSTANT_ELEMENTS,
        large_resource_limit=_CONSTANT_ELEMENTS,
    )
    names: dict[str, str] = {}
    return _VALUE.sub(lambda match: names.setdefault(match[0], f"%{len(names)}"), text)
