"""Which operators are decomposed before a program is imported, and into what.

Most of the table is torch-mlir's choice of PyTorch's own decompositions. Added are
operators that torch-mlir has no lowering for, or a wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch_mlir.extras.fx_decomp_util import get_decomposition_table

from smartmem.frontend.torch_pooling import adaptive_avg_pool, adaptive_max_pool

Table = dict[torch._ops.OperatorBase, Callable[..., Any]]

_aten = torch.ops.aten


def decompositions() -> Table:
    """A table for ``ExportedProgram.run_decompositions``."""
    table = dict(get_decomposition_table())
    # ``simplify`` decides, when the masks are known; torch-mlir decomposes the rest.
    table.pop(_aten._safe_softmax.default, None)
    return {**table, **_OWN}


def _adaptive_max_pool(
    x: torch.Tensor, output_size: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    if _divides(x, output_size):
        return NotImplemented  # plain pooling, which lowers
    return adaptive_max_pool(x, output_size)


def _divides(x: torch.Tensor, output_size: Sequence[int]) -> bool:
    sizes = x.shape[-len(output_size) :]
    return all(size % count == 0 for size, count in zip(sizes, output_size, strict=True))


def _gelu(x: torch.Tensor, *, approximate: str = "none") -> torch.Tensor:
    """The tanh form; torch-mlir's has sqrt(2 / pi) to four digits only."""
    if approximate != "tanh":
        return NotImplemented  # erf, which lowers
    wide = x if x.dtype == torch.float64 else x.float()
    inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * (wide * wide * wide))
    return (0.5 * wide * (1 + torch.tanh(inner))).to(x.dtype)


_OWN: Table = {
    _aten.gelu.default: _gelu,
    _aten.adaptive_max_pool2d.default: _adaptive_max_pool,
    _aten.adaptive_max_pool3d.default: _adaptive_max_pool,
    _aten._adaptive_avg_pool3d.default: adaptive_avg_pool,
}
