"""What every frontend returns: a module in the form that the passes expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch_mlir import ir

from smartmem.parameters import Parameters

Array = npt.NDArray[np.generic]
Reference = Callable[[Sequence[Array]], list[Array]]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model.

    Attributes:
        name: as the model's source calls it; unique among the inputs (or outputs).
        shape: static.
        dtype: of the arrays that a caller passes or gets. MLIR integers carry no sign,
            so this can be unsigned where the module says ``i8``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    def __str__(self) -> str:
        return f"{self.name}: {'x'.join(map(str, self.shape)) or 'scalar'} {self.dtype.name}"


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
