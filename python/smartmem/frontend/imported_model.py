"""What every frontend returns: a module in the form that the passes expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.parameters import Array, Parameters
from smartmem.tensor_spec import TensorSpec

STAGE_ATTRIBUTE = "smartmem.stage"
"""Of a module: the stage behind which it is. A compilation continues there."""

Reference = Callable[[Sequence[Array]], list[Array]]


@dataclass
class ImportedModel:
    """A model as linalg on tensors.

    Attributes:
        module: one public function ``main``, static shapes, in a context of its own
            that has the ``smartmem`` dialect loaded.
        parameters: the value of every ``dense_resource`` in ``module``.
        inputs: what ``main`` takes, in order.
        outputs: what ``main`` returns, in order.
        source: "torch", "onnx", "mlir" or "stablehlo".
        reference: runs the original model on arrays that fit ``inputs``; None where
            there is no other way to run it (MLIR).
    """

    module: ir.Module
    parameters: Parameters
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    source: str
    reference: Reference | None


def unique_names(names: Sequence[str]) -> list[str]:
    """``names`` with ``_1``, ``_2``, ... after those that were there before."""
    seen: set[str] = set()
    result = []
    for name in names:
        candidate, count = name, 0
        while candidate in seen:
            count += 1
            candidate = f"{name}_{count}"
        seen.add(candidate)
        result.append(candidate)
    return result
