"""Which operations become one kernel: DNNFusion's plan (section 4.3) over linalg.

Seeds are one-to-one operators, the smallest result first. From a seed the plan goes to
the readers, then to the producers, asks the tables for each pair (SmartMem's table 5, then
DNNFusion's table 3), then what the code generator can do with it. A pair of a yellow cell is decided by what was measured
(``fusion_profile``), if it was. At last one-to-many and many-to-many operators take in producers
that no seed has reached. What remains alone is a kernel of its own. The plan changes no IR; ``Plan``
can be printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch_mlir import ir

from smartmem.dialect import MANY_TO_MANY, ONE_TO_MANY, ONE_TO_ONE, REORGANIZE, SHUFFLE
from smartmem.dialect.attributes import ILD_VARIABLE, ILI_FIXED, ILI_VARIABLE
from smartmem.passes.analysis.elimination.producer_consumer import TABLE as PAIRS
from smartmem.passes.analysis.elimination.producer_consumer import PairTable
from smartmem.passes.analysis.fusion.profile import PairTimes, advice
from smartmem.passes.analysis.fusion.table import TABLE, Cell
from smartmem.passes.analysis.gathers.gathers import is_lookup
from smartmem.passes.analysis.ir.chains import origin, readers, root_of
from smartmem.passes.analysis.ir.loops import contracts
from smartmem.passes.analysis.ir.movement import Refusal, is_static, shape_of
from smartmem.passes.analysis.operators.classification import classify
from smartmem.passes.analysis.operators.row_reductions import is_made_by, row_operators
from smartmem.passes.analysis.tiling.kernel_keys import pair_key

# More tensors than this in one kernel are more bindings than every Vulkan device has
# (maxPerStageDescriptorStorageBuffers can be 4 by the specification, but is at least 16
# on all devices of the last ten years; one is needed for constants, one for results).
MAX_OPERANDS = 14

MAX_BODY = 512
"""Scalar operations in one kernel, but where one operation has more by itself: the time of
code generation grows faster than they do."""


@dataclass
class Group:
    """Operations that become one kernel.

    Attributes:
        operations: in program order; the last one makes the group's only result.
        mapping: mapping type of the whole group.
        reasons: why each operation after the first was fused.
    """

    operations: list[ir.Operation]
    mapping: str
    reasons: list[str] = field(default_factory=list)

    @property
    def result(self) -> ir.Value:
        """What other groups read."""
        return self.operations[-1].results[0]

    def __str__(self) -> str:
        names = ", ".join(op.name for op in self.operations)
        return f"{self.mapping}: {names}"


@dataclass(frozen=True)
class Refused:
    """A pair that the plan keeps apart."""

    producer: ir.Operation
    consumer: ir.Operation
    reason: str


@dataclass(frozen=True)
class YellowPair:
    """A pair of a yellow cell that the plan met: what there is to measure.

    Attributes:
        key: what a measurement of it is filed under.
        producer: as it was when the plan asked.
        consumer: likewise.
        by_rule: whether the rule makes one kernel of both.
        fused: the mapping type of that kernel.
    """

    key: str
    producer: Group
    consumer: Group
    by_rule: bool
    fused: str


@dataclass(frozen=True)
class Plan:
    """The groups in program order, and how the plan came about.

    Attributes:
        groups: what becomes a kernel each.
        refused: the pairs that were kept apart with the reason.
        yellow: the pairs that a measurement decides, in the order in which they were met.
    """

    groups: tuple[Group, ...]
    refused: tuple[Refused, ...]
    yellow: tuple[YellowPair, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self.groups))


Legality = Callable[[Group, Group], Refusal | None]
"""What a target's code generator cannot make one kernel of: producer, consumer."""

RedException = Callable[[Group, Group], str | None]
"""Why a producer and a consumer are one kernel in spite of a red cell, if they are."""


Times = Mapping[str, PairTimes]

GROUP_OF: Mapping[str, str] = {
    ONE_TO_ONE: ILI_VARIABLE,
    ONE_TO_MANY: ILI_VARIABLE,
    MANY_TO_MANY: ILD_VARIABLE,
    REORGANIZE: ILI_FIXED,
    SHUFFLE: ILI_FIXED,
}
"""SmartMem's group of operators in one kernel, by DNNFusion's mapping type of the whole."""


def fusion_plan(
    block: ir.Block,
    legality: Legality,
    exception: RedException | None = None,
    times: Times | None = None,
    pairs: PairTable = PAIRS,
) -> Plan:
    """The plan for the operations of ``block``.

    Args:
        legality: asked for every pair that the table would fuse.
        exception: asked for the pairs that a table keeps apart; by default they stay apart.
        times: what was measured of pairs of yellow cells; ``legality`` decides the others.
        pairs: SmartMem's table: a pair that it keeps apart is as one of a red cell.
    """
    return _Planner(block, legality, exception, times or {}, pairs).plan()


@dataclass(frozen=True)
class _Verdict:
    """Whether a pair becomes one kernel, and why."""

    fuse: bool
    reason: str


class _Planner:
    def __init__(
        self,
        block: ir.Block,
        legality: Legality,
        exception: RedException | None,
        times: Times,
        pairs: PairTable,
    ) -> None:
        self._pairs = pairs
        self._legality = legality
        self._exception = exception
        self._times = times
        self._yellow: dict[tuple[ir.Operation, ir.Operation, str], YellowPair] = {}
        operations = [op.operation for op in block.operations]
        self._position = {op: number for number, op in enumerate(operations)}
        self._group: dict[ir.Operation, Group] = {}
        for members in row_operators(block):
            group = Group(members, MANY_TO_MANY, ["one row-wise operator"])
            self._group |= dict.fromkeys(members, group)
        for op in operations:
            if op not in self._group and is_kernel(op):
                self._group[op] = Group([op], _mapping(op))
        self._refused: dict[tuple[ir.Operation, ir.Operation], str] = {}

    def plan(self) -> Plan:
        seeds = [g for g in self._groups() if g.mapping == ONE_TO_ONE]
        for seed in sorted(seeds, key=lambda g: math.prod(shape_of(g.result))):
            # A contraction first: its elementwise end runs on its registers.
            self._fuse_producers(self._group[seed.operations[0]], MANY_TO_MANY)
            self._fuse_readers(self._group[seed.operations[0]])
            self._fuse_producers(self._group[seed.operations[0]])
        for group in self._groups():
            # What no seed has reached: the scale by one row that ends a contraction.
            if group.mapping == ONE_TO_MANY:
                self._fuse_producers(self._group[group.operations[-1]], MANY_TO_MANY)
        for group in self._groups():
            # A gather before a normalization.
            if group.mapping == MANY_TO_MANY:
                self._fuse_producers(self._group[group.operations[-1]])
        refused = (Refused(p, c, reason) for (p, c), reason in self._refused.items())
        return Plan(tuple(self._groups()), tuple(refused), tuple(self._yellow.values()))

    def _groups(self) -> list[Group]:
        unique = {id(group): group for group in self._group.values()}
        return sorted(unique.values(), key=lambda g: self._position[g.operations[-1]])

    def _fuse_readers(self, group: Group) -> None:
        while True:
            consumers = {id(g): g for g in self._readers(group)}
            if len(consumers) != 1:
                return  # its result has to be stored for the other readers
            (consumer,) = consumers.values()
            if not self._try(group, consumer):
                return
            group = self._group[group.operations[0]]

    def _readers(self, group: Group) -> list[Group]:
        found = []
        for op in readers(group.result):
            if op not in self._group:
                return []  # a return, or an operation that is no kernel of ours
            found.append(self._group[op])
        return found

    def _fuse_producers(self, group: Group, mapping: str | None = None) -> None:
        changed = True
        while changed:
            changed = False
            for producer in self._producers(group):
                if mapping not in (None, producer.mapping):
                    continue
                alone = all(reader in group.operations for reader in readers(producer.result))
                if alone and self._try(producer, group):
                    group = self._group[group.operations[-1]]
                    changed = True
                    break

    def _producers(self, group: Group) -> list[Group]:
        found: dict[int, Group] = {}
        for op in group.operations:
            for value in op.operands:
                producer = origin(value)
                if producer is None or producer not in self._group:
                    continue
                if self._group[producer] is not group:
                    found[id(self._group[producer])] = self._group[producer]
        return list(found.values())

    def _try(self, producer: Group, consumer: Group) -> bool:
        """Fuses two groups if the table and the target allow it."""
        cell = self._cell(producer.mapping, consumer.mapping)
        if cell.color == "red" and self._exception is not None:
            reason = self._exception(producer, consumer)
            cell = cell if reason is None else Cell(MANY_TO_MANY, "green", reason)
        verdict = self._verdict(producer, consumer, cell)
        if not verdict.fuse:
            pair = (producer.operations[-1], consumer.operations[0])
            self._refused[pair] = verdict.reason
            return False
        operations = sorted(
            [*producer.operations, *consumer.operations], key=self._position.__getitem__
        )
        reasons = [*producer.reasons, *consumer.reasons, verdict.reason]
        fused = Group(operations, cell.fused, reasons)
        self._group |= dict.fromkeys(operations, fused)
        return True

    def _cell(self, producer: str, consumer: str) -> Cell:
        """What both tables say of two mapping types."""
        cell = TABLE[producer, consumer]
        pair = self._pairs[GROUP_OF[producer], GROUP_OF[consumer]]
        if pair.act != "keep both" or cell.color == "red":
            return cell
        return Cell(cell.fused, "red", pair.reason)

    def _verdict(self, producer: Group, consumer: Group, cell: Cell) -> _Verdict:
        if cell.color == "red":
            return _Verdict(False, cell.reason)
        if len(_inputs([*producer.operations, *consumer.operations])) > MAX_OPERANDS:
            return _Verdict(False, f"the kernel would read more than {MAX_OPERANDS} tensors")
        if _body_size(producer) + _body_size(consumer) > MAX_BODY:
            return _Verdict(False, f"the kernel would have more than {MAX_BODY} operations")
        refusal = self._legality(producer, consumer)
        rule = _Verdict(refusal is None, cell.reason if refusal is None else refusal.reason)
        return self._measured(producer, consumer, rule) if cell.color == "yellow" else rule

    def _measured(self, producer: Group, consumer: Group, rule: _Verdict) -> _Verdict:
        """What the measurements say of a yellow pair, or else the rule."""
        cell = (producer.mapping, consumer.mapping)
        key = pair_key(producer.operations, consumer.operations, cell)
        by_rule = _Verdict(rule.fuse, f"{rule.reason} (by rule)")
        # What a contraction reads may yet be taken into its kernel: apart is no kernel then.
        taken_in = not rule.fuse and any(map(contracts, readers(consumer.result)))
        if key is None or taken_in:
            return by_rule
        asked = (producer.operations[-1], consumer.operations[0], key)
        self._yellow[asked] = YellowPair(key, producer, consumer, rule.fuse, TABLE[cell].fused)
        found = advice(self._times, key)
        if found is None or (found.fuse and not rule.fuse and not found.is_exact):
            return by_rule
        return _Verdict(found.fuse, found.reason)


def _body_size(group: Group) -> int:
    return sum(len(op.regions[0].blocks[0].operations) for op in group.operations if op.regions)


def _mapping(op: ir.Operation) -> str:
    """The mapping type; of a lookup that of a movement, since nothing is computed twice."""
    return SHUFFLE if is_lookup(op) else classify(op).mapping


def is_kernel(op: ir.Operation) -> bool:
    """Whether ``op`` computes one tensor; a fill only says how another one starts."""
    computes = op.name.startswith("linalg.") and op.name != "linalg.fill"
    return computes and len(op.results) == 1 and is_static(op.results[0])


def _inputs(operations: Sequence[ir.Operation]) -> set[ir.Value]:
    """Tensors that the operations read from outside, in part or whole."""
    made = {result for op in operations for result in op.results}
    return {
        _whole(value)
        for op in operations
        for value in list(op.operands)[:-1]
        if isinstance(value.type, ir.RankedTensorType) and not is_made_by(value, made)
    }


def _whole(value: ir.Value) -> ir.Value:
    """What ``value`` is a slice of: a slice is an offset into one binding."""
    return root_of(value, lambda op: op.name == "tensor.extract_slice")
