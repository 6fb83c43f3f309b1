"""What running a model tells of narrow types: overflows and errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch_mlir import ir

from smartmem.checking.compare import compare
from smartmem.interpreter import trace
from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.precision.narrow_constants import LARGEST
from smartmem.passes.base import REGION

Result = tuple[int, int]
"""The number of a region in its function, and that of its result."""


def large_results(
    module: ir.Operation, inputs: Sequence[Array], parameters: Parameters, precision: str
) -> dict[Result, str]:
    """What overflows, when the model runs on ``inputs``, and by how much."""
    values, most = trace(module, inputs, parameters), LARGEST[precision]
    ops = enumerate(_entry(module).operations)
    regions = [number for number, op in ops if op.operation.name == REGION]
    found = {}
    for (number, result), value in values.items():
        if number in regions and value.dtype == np.float32 and value.size:
            reached = float(np.nanmax(np.abs(value)))
            if not reached <= most:
                reason = f"it reaches {reached:.3g}, and {precision} ends at {most:.5g}"
                found[regions.index(number), result] = reason
    return found


def _entry(module: ir.Operation) -> ir.Block:
    ops = (op.operation for op in module.regions[0].blocks[0].operations)
    block: ir.Block = next(op for op in ops if op.name == "func.func").regions[0].blocks[0]
    return block


def entry_arguments(module: ir.Operation) -> int:
    """How many arrays the model takes."""
    return len(_entry(module).arguments)


def largest_error(expected: Sequence[Array], actual: Sequence[Array]) -> float:
    """Of all outputs, as ``smartmem.checking.compare`` defines it."""
    errors = compare([""] * len(expected), expected, actual)
    return max((output.error for output in errors), default=0.0)
