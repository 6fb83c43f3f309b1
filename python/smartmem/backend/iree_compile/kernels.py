"""Counts the kernels of a compiled module, what they move, and those that only move.

The counts come from IREE's own IR after scheduling (phase ``executable-sources``), where
every dispatch, copy and fill of one inference stands in order and every kernel's body is
still linalg on tensors. What runs once, at load time, is not counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iree.compiler import ir

from smartmem.backend.iree_compile.compile import dump_phase
from smartmem.backend.iree_compile.tool import DEFAULTS, IreeOptions
from smartmem.backend.targets.targets import Target
from smartmem.passes.base import group_of

PHASE = "executable-sources"

WITHOUT_EVALUATION = "--iree-opt-const-eval=false"
"""The flag that leaves to load time what depends on constants alone: else iree-compile runs
it, as far as it can, on the machine that compiles."""

# Operations that carry, address or rearrange values. An operation that is not listed
# counts as arithmetic, so a kernel is called movement only if all of it is understood.
_MOVEMENT = frozenset(
    """
    affine.apply affine.delinearize_index affine.linearize_index affine.max affine.min
    arith.constant builtin.module func.func func.return
    hal.interface.binding.subspan hal.interface.constant.load
    hal.interface.workgroup.count hal.interface.workgroup.id hal.interface.workgroup.size
    iree_encoding.set_encoding iree_encoding.unset_encoding
    iree_linalg_ext.gather iree_linalg_ext.map_gather iree_linalg_ext.map_load
    iree_linalg_ext.map_scatter iree_linalg_ext.map_store iree_linalg_ext.yield
    iree_tensor_ext.dispatch.tensor.load iree_tensor_ext.dispatch.tensor.store
    iree_tensor_ext.dispatch.workload.ordinal
    linalg.broadcast linalg.copy linalg.fill linalg.generic linalg.index linalg.pack
    linalg.transpose linalg.unpack linalg.yield
    scf.for scf.forall scf.forall.in_parallel scf.if scf.yield
    tensor.cast tensor.collapse_shape tensor.concat tensor.dim tensor.empty
    tensor.expand_shape tensor.extract tensor.extract_slice tensor.from_elements
    tensor.generate tensor.insert tensor.insert_slice tensor.pack tensor.pad
    tensor.parallel_insert_slice tensor.splat tensor.unpack tensor.yield
    util.assume.int
    """.split()  # noqa: SIM905 (one name a line would be 50 lines)
)
_FLOAT_PRODUCERS = ("arith.sitofp", "arith.uitofp", "arith.bitcast")
_YIELDS = ("linalg.yield", "tensor.yield", "iree_linalg_ext.yield")


@dataclass(frozen=True)
class Kernel:
    """One compiled kernel.

    Attributes:
        name: its name in the compiled module.
        dispatches: how often one inference runs it.
        moves_only: it copies, rearranges or fills, and computes nothing but indices.
        bytes_moved: the tensors that one run reads and writes, weights included, each
            once: caches that are too small, and what a tile reads twice, are not in it.
    """

    name: str
    dispatches: int
    moves_only: bool
    bytes_moved: int


@dataclass(frozen=True)
class Dispatch:
    """One run of a kernel in an inference.

    Attributes:
        kernel: the kernel's name.
        group: the number of the group of operations that it computes; None: IREE grouped them.
        place: the location of what it computes, as MLIR prints it.
    """

    kernel: str
    group: int | None
    place: str


@dataclass(frozen=True)
class KernelCounts:
    """The kernels of a module and the copies and fills between them.

    Attributes:
        kernels: each kernel of the module that an inference runs.
        copies: buffer copies of one inference.
        fills: its buffer fills.
        copied_bytes: what the copies read and write.
        runs: of kernels in one inference, in order.
    """

    kernels: tuple[Kernel, ...]
    copies: int
    fills: int
    copied_bytes: int
    runs: tuple[Dispatch, ...] = ()

    @property
    def dispatches(self) -> int:
        """Kernel runs of one inference."""
        return sum(kernel.dispatches for kernel in self.kernels)

    @property
    def movement_dispatches(self) -> int:
        """Kernel runs of one inference that only move data."""
        return sum(kernel.dispatches for kernel in self.kernels if kernel.moves_only)

    @property
    def bytes_moved(self) -> int:
        """What all kernel runs and copies of one inference read and write."""
        return self.copied_bytes + sum(k.dispatches * k.bytes_moved for k in self.kernels)

    @property
    def movement_bytes(self) -> int:
        """The part of it by kernels that only move data, and by copies."""
        runs = (k.dispatches * k.bytes_moved for k in self.kernels if k.moves_only)
        return self.copied_bytes + sum(runs)


def count_kernels(
    bytecode: bytes | Path, target: Target, options: IreeOptions = DEFAULTS
) -> KernelCounts:
    """Counts the kernels that IREE makes of a module; generates no machine code.

    Raises:
        CompileError: iree-compile failed, crashed or ran past the limit.
        InvalidInputError: ``bytecode`` cannot be read.
    """
    flags = (*options.extra_flags, "--mlir-print-debuginfo")
    return kernels_of(dump_phase(bytecode, target, PHASE, replace(options, extra_flags=flags)))


def kernels_of(text: str) -> KernelCounts:
    """Counts the kernels in IR that ``dump_phase`` returned for ``PHASE``."""
    with ir.Context() as context, ir.Location.unknown():
        context.allow_unregistered_dialects = True  # SmartMem's attributes can be left
        module = ir.Module.parse(text)
        top = [op.operation for op in module.body.operations]
        commands = [
            command
            for function in top
            if function.name == "util.func"
            for command in _nested(function)
            if command.name.startswith("stream.cmd.")
        ]
        names = Counter(command.name for command in commands)
        dispatches = tuple(_run(c) for c in commands if c.name == "stream.cmd.dispatch")
        runs = Counter(dispatch.kernel for dispatch in dispatches)
        copied = sum(_copied_bytes(c) for c in commands if c.name == "stream.cmd.copy")
        kernels = _kernels([op for op in top if op.name == "hal.executable"], runs)
    copies, fills = names["stream.cmd.copy"], names["stream.cmd.fill"]
    return KernelCounts(kernels, copies, fills, copied, dispatches)


def load_time_dispatches(text: str) -> int:
    """Kernel runs when a module is loaded, in IR that ``dump_phase`` returned for ``PHASE``.

    What depends on constants alone is computed there, once: weights that are transposed or
    packed, for instance. iree-compile does it itself unless ``WITHOUT_EVALUATION``.
    """
    with ir.Context() as context, ir.Location.unknown():
        context.allow_unregistered_dialects = True
        module = ir.Module.parse(text)
        top = [op.operation for op in module.body.operations]
        return sum(
            command.name == "stream.cmd.dispatch"
            for initializer in top
            if initializer.name == "util.initializer"
            for command in _nested(initializer)
        )


def _run(dispatch: ir.Operation) -> Dispatch:
    place = str(dispatch.location)
    return Dispatch(_entry_point(dispatch), group_of(place), place)


def _entry_point(dispatch: ir.Operation) -> str:
    # One symbol per target; every target has the same kernel.
    symbol = str(ir.ArrayAttr(dispatch.attributes["entry_points"])[0])
    return symbol.replace('"', "").rpartition("@")[2]


def _copied_bytes(copy: ir.Operation) -> int:
    """Bytes that a copy reads and writes; its last operand is the length."""
    length = copy.operands[-1].owner
    if isinstance(length, ir.Block) or length.name != "arith.constant":
        return 0  # known at run time only; SmartMem's modules have static shapes
    return 2 * int(ir.IntegerAttr(length.attributes["value"]).value)


def _bytes_moved(kernel: ir.Operation) -> int:
    loaded = [op.results[0] for op in _nested(kernel) if op.name.endswith(".tensor.load")]
    stored = [op.operands[0] for op in _nested(kernel) if op.name.endswith(".tensor.store")]
    return sum(_size(value.type) for value in (*loaded, *stored))


def _size(type_: ir.Type) -> int:
    """Bytes of a tensor of static shape."""
    tensor = ir.RankedTensorType(type_)
    bits = tensor.element_type.width if hasattr(tensor.element_type, "width") else 64
    return math.prod(tensor.shape) * -(-bits // 8) if tensor.has_static_shape else 0


def _kernels(executables: list[ir.Operation], runs: Counter[str]) -> tuple[Kernel, ...]:
    kernels: dict[str, Kernel] = {}
    for executable in executables:
        for function in (op for op in _nested(executable) if op.name == "func.func"):
            name = ir.StringAttr(function.attributes["sym_name"]).value
            if runs[name]:
                moved = _bytes_moved(function)
                kernels[name] = Kernel(name, runs[name], _moves_only(function), moved)
    return tuple(kernels.values())


def _nested(operation: ir.Operation) -> Iterator[ir.Operation]:
    for region in operation.regions:
        for block in region:
            for op in block.operations:
                yield op.operation
                yield from _nested(op.operation)


def _moves_only(function: ir.Operation) -> bool:
    operations = list(_nested(function))
    return all(_is_movement(op) for op in operations) and all(
        _is_carried(value) for op in operations if op.name in _YIELDS for value in op.operands
    )


def _is_movement(operation: ir.Operation) -> bool:
    # Whole-number arithmetic may compute indices; _is_carried refuses it as a result.
    return operation.name in _MOVEMENT or (
        operation.name.startswith("arith.")
        and (operation.name == "arith.select" or _has_whole_numbers(operation.operands))
        and operation.name not in _FLOAT_PRODUCERS
    )


def _is_carried(value: ir.Value) -> bool:
    """Whether an element's value is one that was read or a constant, not computed."""
    if isinstance(value.owner, ir.Block):
        return True
    operation = value.owner
    if operation.name == "arith.select":  # between a value and a pad, or between two reads
        condition, *values = operation.operands
        return _is_positional(condition) and all(_is_carried(value) for value in values)
    return operation.name in ("arith.constant", "tensor.extract")


def _is_positional(value: ir.Value) -> bool:
    """Whether a value depends on where an element is only, not on what elements hold."""
    if isinstance(value.owner, ir.Block):
        return isinstance(value.type, ir.IndexType)
    operation = value.owner
    if operation.name in ("linalg.index", "arith.constant"):
        return True
    return operation.name.startswith(("arith.", "affine.")) and all(
        _is_positional(operand) for operand in operation.operands
    )


def _has_whole_numbers(values: Sequence[ir.Value]) -> bool:
    return all(isinstance(value.type, (ir.IndexType, ir.IntegerType)) for value in values)
