"""Name, shape and dtype of one input or output of a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model or compiled module.

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
        return f"{self.name}: {self.dtype}{[*self.shape]}"
