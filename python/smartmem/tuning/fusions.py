"""The yellow pairs that a model's fusion plan meets, each as one kernel and as two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch_mlir import ir

from smartmem.compiler.lowered import Job
from smartmem.compiler.stages import pass_context
from smartmem.mlir.pipelines import run_pipeline
from smartmem.passes import PIPELINE, PassContext
from smartmem.passes.analysis.fusion.plan import Group, YellowPair, is_kernel
from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.base import REGION, Pass
from smartmem.passes.form_regions import FormRegions
from smartmem.tuning.alone import (
    alone,
    captured,
    constants,
    indices,
    is_float,
    least_extent,
)
from smartmem.tuning.table import Table

_BROUGHT = ("tensor.empty", "linalg.fill", "tensor.extract_slice", *RESHAPES)
"""What names or initializes memory for a kernel, and is brought into it."""


@dataclass(frozen=True, eq=False)
class PairCase:
    """A pair to measure.

    Attributes:
        pair: as the plan met it.
        runs: how many pairs of the model have its key.
        context: what the passes are given.
    """

    pair: YellowPair
    runs: int
    context: PassContext

    @property
    def key(self) -> str:
        """What its times are filed under."""
        return self.pair.key

    @property
    def name(self) -> str:
        """A short name for people: the cell of the fusion table."""
        return f"fusion {self.key.partition(':')[0]}"

    @property
    def weights(self) -> tuple[int, ...]:
        """The arguments, of the module with the pair alone, that are constants here."""
        return constants(_members(self.pair))

    def write(self, path: Path, fused: bool) -> bool:
        """Writes a module with the pair alone, as one kernel or as two.

        What is apart may have no region, as in the plan: IREE makes its kernel.

        Returns:
            Whether that is what was written: no kernel is made of some pairs.
        """
        members = _members(self.pair)
        found = alone(members)
        clones = dict(zip(members, found.operations, strict=True))
        context = replace(self.context, remarks=[])
        # flow is IREE's dialect, which this build of MLIR does not have.
        found.module.context.allow_unregistered_dialects = True
        with found.module.context, ir.Location.unknown():
            FormRegions().wrap(list(self._groups(clones, fused)), context)
        run_pipeline(found.module, [p() for p in _BEHIND], context)
        with path.open("wb") as file:
            found.module.operation.write_bytecode(file)
        return not fused or _is_one_kernel(found.module)

    def _groups(
        self, clones: Mapping[ir.Operation, ir.Operation], fused: bool
    ) -> Iterator[Group]:
        producer, consumer = self.pair.producer, self.pair.consumer
        if fused:
            both = {*producer.operations, *consumer.operations}
            yield Group([c for op, c in clones.items() if op in both], self.pair.fused)
            return
        for group in (producer, consumer):
            yield Group([clones[op] for op in group.operations], group.mapping)


class ModelPairs:
    """A model on its way to regions, whose plan can be asked for with other measurements."""

    def __init__(self, job: Job, table: Table) -> None:
        """
        Args:
            table: decides the pairs that it knows; may be added to.

        Raises:
            SmartMemError: as for ``smartmem.compile``; a pass that fails is none of them.
        """
        imported = job.read()
        self._context = pass_context(imported.parameters, job.target, job.options)
        known = self._context.tuning
        self._shipped = Table(table.machine) if known is None else known
        self._table, self._module = table, imported.module
        for passes in (*(stage for _, stage in PIPELINE[:-1]), _BEFORE):
            elements = [p if isinstance(p, str) else p() for p in passes]
            run_pipeline(self._module, elements, self._context)

    def cases(self) -> list[PairCase]:
        """The distinct pairs that the plan meets, those that take longest first."""
        context = replace(self._context, tuning=self._table.over(self._shipped), remarks=[])
        found: dict[str, PairCase] = {}
        for pair in self._pairs(context):
            if _can_run(_members(pair)):
                runs = found[pair.key].runs + 1 if pair.key in found else 1
                found[pair.key] = PairCase(pair, runs, context)
        return sorted(found.values(), key=lambda case: (-case.runs * _work(case), case.key))

    def _pairs(self, context: PassContext) -> Iterator[YellowPair]:
        for view in self._module.body.operations:
            function = view.operation
            if function.name == "func.func" and function.regions[0].blocks:
                yield from FormRegions().plan(function, context).yellow


def _split() -> tuple[tuple[type[Pass] | str, ...], tuple[type[Pass], ...]]:
    """The passes of the last stage before and behind the one that forms regions."""
    passes = PIPELINE[-1][1]
    before = tuple(itertools.takewhile(lambda p: p is not FormRegions, passes))
    behind = passes[len(before) + 1 :]
    return before, tuple(p for p in behind if not isinstance(p, str))


_BEFORE, _BEHIND = _split()


def _members(pair: YellowPair) -> list[ir.Operation]:
    """The pair's operations, with what is brought into their kernels, in program order."""
    members = {*pair.producer.operations, *pair.consumer.operations}
    waiting = [value for op in members for value in op.operands]
    while waiting:
        value = waiting.pop()
        op = None if isinstance(value.owner, ir.Block) else value.owner.operation
        if op is not None and op not in members and op.name in _BROUGHT:
            members.add(op)
            waiting += op.operands
    block = pair.consumer.operations[-1].block
    return [op.operation for op in block.operations if op.operation in members]


def _can_run(part: Sequence[ir.Operation]) -> bool:
    """Whether what the part reads can be made up, and something is left to be given."""
    given = captured(part)
    looks_up = least_extent(part) is not None
    return bool(given) and all(map(is_float, given)) and (looks_up or not indices(part))


def _is_one_kernel(module: ir.Module) -> bool:
    """Whether all that computes is in one region."""
    (function,) = module.body.operations
    outside = [view.operation for view in function.regions[0].blocks[0].operations]
    regions = sum(op.name == REGION for op in outside)
    return regions == 1 and not any(map(is_kernel, outside))


def _work(case: PairCase) -> int:
    results = (case.pair.producer.result, case.pair.consumer.result)
    return sum(math.prod(shape_of(value)) for value in results)
