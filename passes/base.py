"""What every pass of SmartMem is, and what it is given to work with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar, cast, get_type_hints

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu, Gpu, Processor
from smartmem.backend.targets.vectors import Vectors
from smartmem.errors import PassError
from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.elimination.producer_consumer import TABLE, PairTable
from smartmem.weight_format import WeightFormat

if TYPE_CHECKING:
    from smartmem.passes.analysis.images.image_choices import Storage
    from smartmem.tuning.table import Table
    from smartmem.validation import Validator

REGION = "flow.dispatch.region"
"""IREE's operation around what becomes one kernel."""

RETURN = "flow.return"
"""The end of a region: what its kernel writes."""

KERNEL = "smartmem.kernel"
"""The attribute of a region that holds its number in the model, an i64."""

GROUP_FILE = "smartmem.group"
"""The file that does not exist and whose lines are the numbers of groups: of what is in one
region (see ``backend/iree_compile/regions.py``). iree-compile keeps it as the place of a kernel."""

Item = TypeVar("Item")

_PLACED = re.compile(rf'"{re.escape(GROUP_FILE)}":(\d+):')


@dataclass(frozen=True)
class Remark:
    """One decision of a pass, kept for the report.

    Attributes:
        argument: flag of the pass that decided.
        op: name of the operation the decision is about, e.g. ``tensor.pad``.
        location: the operation's location as MLIR prints it.
        applied: whether the pass changed the operation.
        reason: why, or why not.
    """

    argument: str
    op: str
    location: str
    applied: bool
    reason: str


@dataclass(frozen=True)
class BindingRecord:
    """How a kernel accesses one of its buffers, for the report.

    Attributes:
        kernel: the kernel's symbol.
        binding: the buffer's number.
        storage: ``buffer``, ``texel_buffer`` or ``image2d``.
        reads: load instructions in the kernel.
        writes: store instructions.
        texels: the most texels that are bound; 0 for a buffer.
        rows: the most rows of a 2D image; 0 for what is none.
        columns: the most texels in a row of it.
        reason: why it is stored so.
    """

    kernel: str
    binding: int
    storage: str
    reads: int
    writes: int
    texels: int
    rows: int
    columns: int
    reason: str


@dataclass
class Steps:
    """How far a pass has come, operation by operation.

    A pass does the same on the same IR, so that the number of a step names it again when
    the pass is run once more (see ``smartmem.compiler.faults``).

    Attributes:
        skipped: the numbers of steps that are left out.
        number: of the step that began last; -1 before the first.
        at: name and location of the operation it is about; None between steps.
    """

    skipped: frozenset[int] = frozenset()
    number: int = -1
    at: tuple[str, ir.Location] | None = None


@dataclass
class PassContext:
    """What passes share beside the module.

    Attributes:
        parameters: the model's weights.
        remarks: decisions, for the report.
        bindings: the buffers of all kernels, where a pass chose how to access them.
        processor: what the passes may know of the target.
        pairs: what happens to a producer and its consumer, by their groups.
        layout: how the formats of tensors are chosen: "rule", "model" or "search".
        weights: how the weights of linear layers are to be stored; None: as they are.
        tuning: choices that were measured; None: all are computed.
        storages: how the kernel of a group is to read what it only reads, by the group's
            number, where that was measured.
        precision: in which tensors are stored: "f32", "f16", "bf16", "model" for the model's, or
            "auto" for what ``max_error`` allows.
        max_error: the most that outputs may be off, as a part of the largest number of each.
        inputs: what "auto" runs the model on.
        steps: of the pass that runs.
        validator: compares what the module computes before and after each pass; None:
            nothing does.
    """

    parameters: Parameters = field(default_factory=Parameters)
    remarks: list[Remark] = field(default_factory=list)
    bindings: list[BindingRecord] = field(default_factory=list)
    processor: Processor = field(default_factory=Cpu)
    pairs: PairTable = TABLE
    layout: str = "rule"
    weights: WeightFormat | None = None
    tuning: Table | None = None
    storages: Mapping[int, Storage] = field(default_factory=dict)
    precision: str = "model"
    max_error: float = 5e-3
    inputs: Sequence[Array] = ()
    steps: Steps = field(default_factory=Steps)
    validator: Validator | None = None

    @property
    def gpu(self) -> Gpu | None:
        """The processor if it is a GPU."""
        return self.processor if isinstance(self.processor, Gpu) else None

    @property
    def vectors(self) -> Vectors:
        """The processor's vectors."""
        return self.processor.vectors

    @property
    def lanes(self) -> int:
        """Elements of 32 bits in the longest vector."""
        return self.vectors.lanes

    def apart(self) -> PassContext:
        """A context to try something in: what it adds and says is forgotten."""
        parameters = Parameters()
        for key, array in self.parameters.items():
            parameters.record(key, array)
        return PassContext(parameters, processor=self.processor, pairs=self.pairs)

    def remark(self, argument: str, op: ir.Operation, applied: bool, reason: str) -> None:
        """Adds a remark about ``op`` to the report."""
        self.remarks.append(Remark(argument, op.name, str(op.location), applied, reason))

    def each(
        self, found: Iterable[Item], at: Callable[[Item], ir.Operation] | None = None
    ) -> Iterator[Item]:
        """``found`` one by one, each a step of the pass.

        What a pass does at each of many operations goes through this: a fault at one of
        them then leaves the others their rewrite.

        Args:
            found: operations, or what is decided about them; the IR behind one step must
                be right without the next.
            at: the operation that an item is about, unless it is one.
        """
        for item in found:
            self.steps.number += 1
            if self.steps.number in self.steps.skipped:
                continue
            op = cast(ir.Operation, item) if at is None else at(item)
            outer, self.steps.at = self.steps.at, (op.name, op.location)
            yield item
            self.steps.at = outer


@dataclass(frozen=True)
class Pass:
    """A transformation or analysis of one ``builtin.module``.

    A subclass is a frozen dataclass; its fields (bool, int or str, each with a
    default) are the pass's options, spelled with dashes on the command line:
    ``max_pieces`` is ``--smartmem-raise-views='max-pieces=4'``. The IR must verify
    before and after ``run``, not in between.
    """

    argument: ClassVar[str]
    summary: ClassVar[str]
    works_on: ClassVar[Literal["model", "kernels"]] = "model"
    """What the pass takes: a model on its way to iree-compile, or the kernels that
    iree-compile has made (phase ``executable-targets``), in IREE's own build of MLIR."""
    is_needed: ClassVar[bool] = False
    """Whether iree-compile does not take a model without the pass's work."""
    rounds: ClassVar[bool] = False
    """Whether it changes results by as much as half precision does."""
    runs_on: ClassVar[tuple[type[Processor], ...]] = (Cpu, Gpu)
    """The kinds of processor that the pass is for; for others a pipeline leaves it out."""

    keeps_numbers: ClassVar[bool] = True
    """Whether the module computes the same behind the pass, but for rounding of sums."""

    def is_for(self, processor: Processor) -> bool:
        """Whether a pipeline that compiles for ``processor`` holds the pass."""
        return isinstance(processor, self.runs_on)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Changes ``module`` in place.

        Raises:
            PassError: the pass cannot do its work on this module.
        """
        raise NotImplementedError

    @classmethod
    def parse(cls, options: str = "") -> Pass:
        """The pass with the options of ``options``, e.g. ``"max-pieces=4 strict=true"``.

        Raises:
            PassError: an unknown option, or a value of the wrong type.
        """
        hints = get_type_hints(cls)
        names = {f.name.replace("_", "-"): f.name for f in fields(cls)}
        values: dict[str, bool | int | str] = {}
        for item in options.split():
            name, _, text = item.partition("=")
            if name not in names:
                known = ", ".join(sorted(names)) or "none"
                raise PassError(cls.argument, f"unknown option '{name}'; options: {known}")
            values[names[name]] = _parse_value(cls.argument, name, text, hints[names[name]])
        return cls(**values)


def kernel_number(region: ir.Operation) -> int | None:
    """The number of a region; None if it has none."""
    if KERNEL not in region.attributes:
        return None
    return int(ir.IntegerAttr(region.attributes[KERNEL]).value)


def number_kernel(region: ir.Operation, number: int) -> None:
    """Gives a region its number."""
    i64 = ir.IntegerType.get_signless(64, region.context)
    region.attributes[KERNEL] = ir.IntegerAttr.get(i64, number)


def group_of(text: str) -> int | None:
    """The number of the region that a location names which iree-compile printed, if any.

    Attributes do not get through iree-compile; places do (see ``backend/iree_compile/regions.py``).
    """
    match = _PLACED.search(text)
    return int(match[1]) if match else None


def operations(root: ir.Operation) -> list[ir.Operation]:
    """Every operation in ``root``, itself first, in program order.

    A list, so that a pass can change the IR while it goes through it. As a key of a table
    an operation serves while nothing changes: it hashes with its operands and attributes. Its
    results hash as what they are. What a dispatch region below ``root`` holds is left out: it
    is one kernel, in a form made for it.
    """
    return _walk(root, (REGION,))


def outer_operations(root: ir.Operation) -> list[ir.Operation]:
    """``operations`` but for those in the bodies of linalg operations, which compute scalars.

    They are most of a network's operations.
    """
    return _walk(root, _CLOSED)


_CLOSED = ("linalg.", REGION)


def _walk(root: ir.Operation, closed: tuple[str, ...]) -> list[ir.Operation]:
    """Args: closed: how the names of operations begin whose bodies are left out."""
    found: list[ir.Operation] = []
    skip, advance = ir.WalkResult.SKIP, ir.WalkResult.ADVANCE

    def visit(op: ir.Operation) -> ir.WalkResult:
        found.append(op)
        return skip if op.name.startswith(closed) and op != root else advance

    root.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found


def erase_unused(root: ir.Operation) -> None:
    """Erases tensor computations in ``root`` without readers: use counts tell the truth."""
    for op in reversed(outer_operations(root)):
        erase_if_unused(op)


def erase_if_unused(op: ir.Operation) -> bool:
    """Erases ``op`` if it computes tensors that nothing reads; whether it did."""
    if not op.name.startswith(("linalg.", "tensor.", "smartmem.", "arith.")):
        return False
    results = list(op.results)
    if not results or any(True for result in results for _ in result.uses):
        return False
    if not isinstance(results[0].type, ir.RankedTensorType):
        return False
    op.erase()
    return True


def _parse_value(argument: str, name: str, text: str, type_: type) -> bool | int | str:
    if type_ is str:
        return text
    if type_ is bool and text in ("", "true", "1", "false", "0"):
        return text in ("", "true", "1")
    if type_ is int and text.lstrip("-").isdigit():
        return int(text)
    raise PassError(argument, f"option '{name}={text}' needs a value of type {type_.__name__}")
