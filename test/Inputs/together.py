"""Small modules that are compiled as one: most of a small one's time is the same for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

import smartmem
from smartmem.compiler.compile import CompiledModel, module_at
from smartmem.interpreter import interpret


class Together(torch.nn.Module):
    """Independent modules, two at least, each with inputs and one result of its own.

    Args:
        modules: each with the number of its inputs.
    """

    def __init__(self, modules: Sequence[tuple[torch.nn.Module, int]]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(module for module, _ in modules)
        self.counts = [count for _, count in modules]

    def forward(self, *xs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        results, first = [], 0
        for module, count in zip(self.parts, self.counts, strict=True):
            results.append(module(*xs[first : first + count]))
            first += count
        return tuple(results)


def assert_each_same(
    cases: dict[Any, tuple[torch.nn.Module, Sequence[torch.Tensor]]],
    target: str,
    tolerance: float = 1e-5,
) -> CompiledModel:
    """Compiles modules as one and compares each with PyTorch.

    Args:
        cases: by their names, modules with their inputs.
        target: what they are compiled for.
        tolerance: of the largest element of a result.
    """
    module = Together([(module, len(inputs)) for module, inputs in cases.values()]).eval()
    inputs = [x for _, given in cases.values() for x in given]
    compiled = smartmem.compile(module, inputs=inputs, target=target)
    _assert_close(cases, compiled(*inputs), module, inputs, tolerance)
    return compiled


def assert_each_interpreted_same(
    cases: dict[Any, tuple[torch.nn.Module, Sequence[torch.Tensor]]],
    target: str,
    tolerance: float = 1e-5,
) -> None:
    """The same of what goes to iree-compile, in the reference interpreter."""
    module = Together([(module, len(inputs)) for module, inputs in cases.values()]).eval()
    inputs = [x for _, given in cases.values() for x in given]
    lowered = module_at(module, "lowered", inputs=inputs, target=target)
    results = map(torch.from_numpy, interpret(lowered, [x.numpy() for x in inputs]))
    _assert_close(cases, tuple(results), module, inputs, tolerance)


def _assert_close(
    names: Iterable[Any],
    results: Sequence[torch.Tensor],
    module: torch.nn.Module,
    inputs: Sequence[torch.Tensor],
    tolerance: float,
) -> None:
    with torch.no_grad():
        expected = module(*inputs)
    for name, ours, theirs in zip(names, results, expected, strict=True):
        assert relative_error(ours, theirs) <= tolerance, name


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference over the largest element."""
    return float((ours - theirs).abs().max() / theirs.abs().max())
