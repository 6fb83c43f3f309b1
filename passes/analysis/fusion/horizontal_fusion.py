"""Sibling layers: linear layers that read the same operand and can be one.

Souffle's horizontal transform (ASPLOS 2024): independent operations of one shape are
joined into one. Here they are the projections to queries, keys and values.

The cost is counted in kernels and in bytes. n layers as one are n - 1 kernels fewer, and
where the kernel of one reads the common operand, the others find it in the cache. Nothing
else may become dearer, so a layer stays apart

- if its own kernel computes an elementwise end that is no scale and shift: behind a slice
  that would be a kernel again, which takes back what was saved, and stores the sums;
- if a reader needs a tensor of its own: the slice would be copied.

``siblings`` decides and changes nothing; its result can be printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.parameters import NUMPY_DTYPES, Parameters, numpy_dtype
from smartmem.passes.analysis.ir.chains import is_whole_view, users
from smartmem.passes.analysis.ir.linear_layers import (
    LinearLayer,
    difference,
    linear_layer,
    stored_constant,
)
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.analysis.operators.affine_epilogues import AffineEnd, affine_end
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.base import operations


@dataclass(frozen=True, eq=False)
class Sibling:
    """A layer and the scale and shift behind it, which the joint layer computes."""

    layer: LinearLayer
    end: AffineEnd

    @property
    def result(self) -> ir.Value:
        """What a part of the joint layer stands for."""
        steps = self.end.steps
        return steps[-1].op.results[0] if steps else self.layer.op.results[0]


@dataclass(frozen=True)
class Merge:
    """Siblings, in program order, that become one layer."""

    siblings: tuple[Sibling, ...]

    @property
    def saved_kernels(self) -> int:
        """How many kernels fewer there are."""
        return len(self.siblings) - 1

    @property
    def saved_bytes(self) -> int:
        """How many bytes of the common operand other kernels do not read again."""
        read = self.siblings[0].layer.reads
        return self.saved_kernels * math.prod(shape_of(read)) * _element_size(read)

    def __str__(self) -> str:
        first = self.siblings[0].layer
        return (
            f"one of {len(self.siblings)} layers of {first.width} channels: "
            f"{self.saved_kernels} kernels and {self.saved_bytes} bytes read fewer"
        )


@dataclass(frozen=True)
class Siblings:
    """What is merged, and which layers with a common operand stay apart, and why."""

    merges: tuple[Merge, ...]
    refused: tuple[tuple[ir.Operation, Refusal], ...]

    def __str__(self) -> str:
        lines = [*map(str, self.merges), *(f"{op.name}: {r.reason}" for op, r in self.refused)]
        return "\n".join(lines)


_Refused = list[tuple[ir.Operation, Refusal]]


def siblings(module: ir.Operation, parameters: Parameters) -> Siblings:
    """Which linear layers of ``module`` become one, and which stay apart."""
    merges: list[Merge] = []
    refused: _Refused = []
    for layers, others in _families(module):
        if len(layers) + len(others) < 2:
            continue
        found = [Sibling(layer, affine_end(layer, parameters)) for layer in layers]
        reasons = [(s.layer.op, _refuse(s, parameters)) for s in found]
        refused += [*others, *((op, reason) for op, reason in reasons if reason)]
        candidates = [s for s, (_, reason) in zip(found, reasons, strict=True) if not reason]
        for alike in _classes(candidates):
            if len(alike) > 1:
                merges.append(Merge(tuple(alike)))
            else:
                refused.append((alike[0].layer.op, _alone(alike[0], candidates)))
    return Siblings(tuple(merges), tuple(refused))


def _families(module: ir.Operation) -> list[tuple[list[LinearLayer], _Refused]]:
    """For each value: the layers that read it, and the contractions of it that are none."""
    found: dict[ir.Value, tuple[list[LinearLayer], _Refused]] = {}
    for op in operations(module):
        layer = linear_layer(op)
        if isinstance(layer, LinearLayer):
            found.setdefault(layer.reads, ([], []))[0].append(layer)
        elif layer is not None:
            known_later = (v for v in list(op.operands)[:2] if stored_constant(v) is None)
            for value in dict.fromkeys(known_later):
                found.setdefault(value, ([], []))[1].append((op, layer))
    return list(found.values())


def _refuse(sibling: Sibling, parameters: Parameters) -> Refusal | None:
    """Why a layer stays apart whatever the others on its operand are."""
    types = [str(v.type.element_type) for v in sibling.layer.op.operands]
    weights = constant_value(sibling.layer.stored.source, parameters)
    if weights is None or not NUMPY_DTYPES.keys() >= set(types):
        return Refusal("the values of its weights cannot be read")
    if not _starts_at_zero(sibling.layer.op):
        return Refusal("it adds to another value than 0")
    if sibling.end.rest is not None:
        return Refusal("its elementwise end would be a kernel of its own behind a slice")
    copied = next(_copies(sibling.result, math.prod(shape_of(sibling.result))), None)
    return Refusal(f"a slice of it would be copied: {copied}") if copied else None


def _starts_at_zero(op: ir.Operation) -> bool:
    fill = op.operands[2].owner
    if isinstance(fill, ir.Block) or fill.name != "linalg.fill":
        return False
    scalar = fill.operands[0].owner
    if isinstance(scalar, ir.Block) or scalar.name != "arith.constant":
        return False
    return bool(scalar.attributes["value"].maybe_downcast().value == 0)


def _copies(value: ir.Value, size: int) -> Iterator[str]:
    """The readers of all ``size`` elements of ``value`` that need a tensor of its own."""
    for op in users(value):
        if is_whole_view(op):
            if math.prod(shape_of(op.results[0])) >= size:
                yield from _copies(op.results[0], size)
        elif op.name.startswith("smartmem."):
            yield "it is padded or joined with others"
        elif not op.name.startswith("linalg."):
            yield f"{op.name} reads it"


def _classes(candidates: Sequence[Sibling]) -> list[list[Sibling]]:
    """The candidates, those together that can be one layer."""
    classes: list[list[Sibling]] = []
    for candidate in candidates:
        same = (c for c in classes if difference(c[0].layer, candidate.layer) is None)
        if (found := next(same, None)) is not None:
            found.append(candidate)
        else:
            classes.append([candidate])
    return classes


def _alone(sibling: Sibling, candidates: Sequence[Sibling]) -> Refusal:
    """Why a layer has nothing to be merged with."""
    others = (s.layer for s in candidates if s is not sibling)
    if (other := next(others, None)) is not None:
        return Refusal(
            f"other layers on its operand differ in {difference(other, sibling.layer)}"
        )
    return Refusal("the other layers on its operand stay apart")


def _element_size(value: ir.Value) -> int:
    return numpy_dtype(value.type.element_type).itemsize
