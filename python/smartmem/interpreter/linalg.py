"""``linalg``: the body of an operation is evaluated for all iterations at once.

Sums of products go through matrix multiplication, other reductions through NumPy's
functions. What is neither is evaluated one iteration of the reduced loops after the other,
in order. A sum of ``f32`` is accumulated in ``f32``, in whatever order NumPy takes; one of
floats of 16 bits or fewer is accumulated in ``f32`` and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import linalg

from smartmem.errors import InterpreterError, UnsupportedError
from smartmem.interpreter.accesses import Access, Span, access_of, grid, places, window
from smartmem.interpreter.contraction import sum_of_products
from smartmem.interpreter.frame import Frame
from smartmem.interpreter.reductions import Reduction, reduce_terms, reduction_of
from smartmem.interpreter.registry import evaluates
from smartmem.interpreter.values import Array, conform, element_type

LARGEST_BOX = 1 << 23
"""Iterations that are evaluated at once, unless they only multiply matrices."""


@evaluates("linalg.generic")
def _structured(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    maps = linalg.get_indexing_maps(op)
    if maps is None or not op.regions:
        raise UnsupportedError(f"the interpreter has no {op.name}, at {op.location}")
    accesses = [access_of(ir.AffineMapAttr(a).value) for a in maps]
    inputs = len(operands) - _outputs(op)
    outputs = [np.array(array) for array in operands[inputs:]]
    nest = _Nest(op, accesses, [*operands[:inputs], *outputs], inputs)
    if 0 not in nest.domain:
        nest.run(frame)
    return outputs


def _outputs(op: ir.Operation) -> int:
    """The number of outputs; a buffer's result is no result of the operation."""
    segments = op.attributes.get("operandSegmentSizes")
    return len(op.results) if segments is None else ir.DenseI32ArrayAttr(segments)[1]


@dataclass
class _Nest:
    """The loops of an operation.

    Attributes:
        op: the operation.
        accesses: how the loops access each operand.
        operands: inputs, and the outputs, which are written.
        inputs: how many are inputs.
    """

    op: ir.Operation
    accesses: list[Access]
    operands: list[Array]
    inputs: int

    @cached_property
    def domain(self) -> list[int]:
        """The number of iterations of each loop."""
        extents: dict[int, int] = {}
        for access, array in zip(self.accesses, self.operands, strict=True):
            for expr, extent in zip(access.exprs, array.shape, strict=False):
                if isinstance(expr, tuple) and expr[0] == "dim":
                    extents.setdefault(expr[1], extent)
        missing = set(range(self.accesses[0].n_dims)) - set(extents)
        if missing:
            raise InterpreterError(f"no operand of {self.op.name} bounds loop {min(missing)}")
        return [extents[d] for d in range(self.accesses[0].n_dims)]

    @cached_property
    def block(self) -> ir.Block:
        """The body."""
        return self.op.regions[0].blocks[0]

    @cached_property
    def yielded(self) -> list[ir.Value]:
        """What the body yields, one value for each output."""
        terminator = self.block.operations[len(self.block.operations) - 1]
        return [*terminator.operands]

    @cached_property
    def outputs(self) -> range:
        """The numbers of the outputs among the operands."""
        return range(self.inputs, len(self.operands))

    def reduced(self, output: int) -> list[int]:
        """The loops that do not index an output."""
        used = self.accesses[output].used
        return [d for d, n in enumerate(self.domain) if n > 1 and d not in used]

    @cached_property
    def reductions(self) -> dict[int, Reduction | None]:
        """The reduction of each output that not all loops index; None: it is another one."""
        arguments = [*self.block.arguments]
        return {
            number: reduction_of(self.block, value, arguments[number])
            for number, value in zip(self.outputs, self.yielded, strict=True)
            if self.reduced(number)
        }

    def run(self, frame: Frame) -> None:
        """Evaluates all iterations."""
        whole = [(0, n) for n in self.domain]
        if None in self.reductions.values():
            dims = sorted({d for n in self.reductions for d in self.reduced(n)})
            boxes = _one_by_one(whole, dims)
        else:
            boxes = self._parts(whole)
        for box in boxes:
            self._evaluate(box, frame)

    def _parts(self, box: list[Span]) -> Iterator[list[Span]]:
        """Boxes of not too many iterations, halved along loops that index all outputs."""
        matrices = [r is not None and r.is_product for r in self.reductions.values()]
        shared = frozenset.intersection(*(self.accesses[n].used for n in self.outputs))
        dim = max(shared, key=lambda d: box[d][1], default=0)
        size = math.prod(n for _, n in box)
        only_multiplies = len(matrices) == len(self.outputs) and all(matrices)
        if size <= LARGEST_BOX or only_multiplies or not shared or box[dim][1] == 1:
            yield box
            return
        start, count = box[dim]
        for part in ((start, count // 2), (start + count // 2, count - count // 2)):
            yield from self._parts([part if d == dim else s for d, s in enumerate(box)])

    def _evaluate(self, box: list[Span], frame: Frame) -> None:
        windows = [window(a, m, box) for a, m in zip(self.operands, self.accesses, strict=True)]
        reductions = {n: r for n, r in self.reductions.items() if r is not None}
        skipped = {n for r in reductions.values() for n in r.operations}
        if reductions:
            skipped.add(len(self.block.operations) - 1)
        inner = frame.inner(grid(box))
        inner.run(self.block, windows, skipped=skipped)
        results = [
            self._reduced_value(number, reductions[number], windows[number], box, inner)
            if number in reductions
            else inner[value]
            for number, value in zip(self.outputs, self.yielded, strict=True)
        ]
        for number, result in zip(self.outputs, results, strict=True):
            self._write(number, result, windows[number], box)

    def _reduced_value(
        self, output: int, reduction: Reduction, init: Array, box: list[Span], frame: Frame
    ) -> Array:
        dims, sizes = self.reduced(output), [n for _, n in box]
        terms = []
        for term in reduction.terms:
            factors = [_of_rank(frame[value], len(box)) for value in term.factors]
            if reduction.combiner in ("arith.addf", "arith.addi"):
                terms.append(sum_of_products(factors, sizes, dims))
                continue
            shape = [sizes[d] if d in dims else n for d, n in enumerate(factors[0].shape)]
            terms.append(np.broadcast_to(factors[0], shape))
        kind = element_type(self.op.operands[output].type)
        return conform(reduce_terms(reduction, terms, init, dims, kind), kind)

    def _write(self, output: int, result: Array, target: Array, box: list[Span]) -> None:
        access, array = self.accesses[output], self.operands[output]
        if access.linear is not None:
            target[...] = result
        else:
            indices = places(array, access, box)
            array[indices] = np.broadcast_to(result, indices[0].shape)


def _of_rank(array: Array, rank: int) -> Array:
    """With a dim for each loop; what is captured from outside of the body has none."""
    return array if array.ndim == rank else array.reshape([1] * rank)


def _one_by_one(box: list[Span], dims: Sequence[int]) -> Iterator[list[Span]]:
    """One box for each iteration of the loops ``dims``, in order."""
    for index in np.ndindex(*(box[d][1] for d in dims)):
        at = dict(zip(dims, index, strict=True))
        yield [(at[d], 1) if d in at else span for d, span in enumerate(box)]


@evaluates("linalg.index")
def _index(op: ir.Operation, _: Sequence[Array], frame: Frame) -> list[Array]:
    return [frame.loops[ir.IntegerAttr(op.attributes["dim"]).value]]


@evaluates("linalg.softmax")
def _softmax(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    axis = ir.IntegerAttr(op.attributes["dimension"]).value
    kind = element_type(op.results[0].type)
    array = operands[0].astype(np.float32) if kind.is_half else operands[0]
    powers = np.exp(array - array.max(axis=axis, keepdims=True))
    return [conform(powers / powers.sum(axis=axis, keepdims=True), kind)]
