"""PyTorch's lookups at indices outside of their tensor: never foreign memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from smartmem.errors import InvalidInputError
from smartmem.frontend import import_model

BAD = torch.tensor([10**6, 2**62, -(10**9)])


class _Lookups(torch.nn.Module):
    def forward(self, x: Any, at: Any, updates: Any) -> Any:
        column = at[:, None]
        return (
            torch.nn.functional.embedding(at, x),
            torch.index_select(x, 0, at),
            torch.gather(x, 0, column),
            x[at],
            x[at, at],
        )


class _Writes(torch.nn.Module):
    def forward(self, x: Any, at: Any, updates: Any) -> Any:
        return (
            torch.index_put(x, (at,), updates),
            torch.scatter(x, 0, at[:, None], updates),
        )


def _inputs() -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(5, 4, generator=generator), torch.randn(3, 4, generator=generator)]
    return draw[0], torch.tensor([0, 1, 2]), draw[1]


def test_reads(run: Callable[..., list[Any]]) -> None:
    x, at, updates = _inputs()
    imported = import_model(_Lookups(), inputs=(x, at, updates))
    names = [spec.name for spec in imported.inputs]
    given = [array for array in (x, BAD, updates) if array is not updates or len(names) > 2]
    for result in run(imported, [array.numpy() for array in given]):
        assert np.isin(result, x.numpy()).all()


def test_writes(run: Callable[..., list[Any]]) -> None:
    x, at, updates = _inputs()
    imported = import_model(_Writes(), inputs=(x, at, updates))
    for result in run(imported, [x.numpy(), BAD.numpy(), updates.numpy()]):
        np.testing.assert_array_equal(result[1:4], x[1:4].numpy())
        assert np.isin(result, torch.cat([x, updates]).numpy()).all()


def test_constant_index_outside_is_an_error() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("at", torch.tensor([[0], [5]]))

        def forward(self, x: Any) -> Any:
            return torch.gather(x, 0, self.at)

    with pytest.raises(InvalidInputError, match=r"constant index 5 .* 5 elements"):
        import_model(Model(), inputs=torch.zeros(5, 1))
