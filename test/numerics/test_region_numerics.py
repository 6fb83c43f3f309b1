"""Kernels of several operations give PyTorch's numbers, on the CPU and on a Vulkan device.

SPIR-V code generation is where a wrong region shows: in wrong numbers, not in an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import smartmem
from smartmem.backend.iree_compile.compile import CompileStatistics
from smartmem.backend.iree_compile.compile_errors import CompileError
from smartmem.backend.iree_compile.regions import groups_in
from smartmem.compiler import attempts

torch = pytest.importorskip("torch")

from region_modules import MODULES, EmbeddedBlock, IndexedBlock
from together import Together, assert_each_same

# Modules that are compiled as one: most of a small one's time is the same for each.
TOGETHER = [tuple(MODULES)[first::5] for first in range(5)]


# Of these, what reduces each in another way.
REDUCING = (
    "masked keys without an epsilon",
    "excitation",
    "running sums",
    "padded residuals",
    "rotary",
    "linear attention of odd heads",
    "over two flipped dims",
    "turned group norm",
    "softmax of vectors",
    "rolled windows",
)


@pytest.mark.parametrize("names", TOGETHER, ids=", ".join)
def test_kernels_give_the_numbers_of_pytorch(names: tuple[str, ...], target: str) -> None:
    compiled = assert_each_same({name: example(name) for name in names}, target)
    assert not compiled.report.fallbacks


@pytest.mark.fallback
def test_so_do_kernels_of_groups_given_up(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What IREE groups itself is wrong SPIR-V where it fuses reductions."""
    compile_bytecode = attempts.compile_bytecode

    def refuse_groups(source: Path, *args: Any, **options: Any) -> CompileStatistics:
        if source.name == "lowered.mlirbc" and groups_in(source):
            raise CompileError("groups are refused", log="")
        return compile_bytecode(source, *args, **options)

    monkeypatch.setattr(attempts, "compile_bytecode", refuse_groups)
    compiled = assert_each_same({name: example(name) for name in REDUCING}, target)
    assert {step.action for step in compiled.report.fallbacks} <= {
        "change_level",
        "ungroup_all",
    }


def example(name: str) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    """A module with seeded parameters, and its input."""
    module, shape = MODULES[name]
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module, [torch.randn(shape)]


def lookups() -> dict[str, tuple[torch.nn.Module, list[torch.Tensor]]]:
    """Blocks behind an embedding; some indices count from the end."""
    torch.manual_seed(0)
    plain = [torch.tensor([[0, 49, 7, 7, 31, 1]])]
    from_the_end = [torch.tensor([[0, 49, -1, 7, -50, 31, 1, -7]])]
    return {
        "layer norm": (EmbeddedBlock(torch.nn.LayerNorm(24)), plain),
        "RMS norm": (EmbeddedBlock(torch.nn.RMSNorm(24)), plain),
        "from the end": (IndexedBlock(torch.nn.LayerNorm(24)), from_the_end),
    }


def test_lookups_and_rotary_embeddings_are_in_kernels(target: str) -> None:
    compiled = assert_each_same({**lookups(), "rotary": example("rotary")}, target)
    # An embedding is no kernel of its own. Of rotary embeddings: the projection, one each for
    # queries and keys, and the scores.
    assert compiled.statistics.kernels == 3 * 2 + 4
    assert compiled.statistics.copies == 0


def test_gpus_without_integers_of_64_bits_look_up() -> None:
    cases = lookups()
    module = Together([(module, 1) for module, _ in cases.values()]).eval()
    ids = [x for _, (x,) in cases.values()]
    compiled = smartmem.compile(module, inputs=ids, target="adreno")
    assert not compiled.report.fallbacks and compiled.statistics.kernels == 3 * 2


class Scores(torch.nn.Module):
    """Products of queries and keys, of which both lie along the sum."""

    def forward(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return torch.einsum("mhk,nhk->hmn", q, k)


def test_scores_of_whole_and_of_ragged_columns() -> None:
    """No block divides 77 columns, or 17."""
    torch.manual_seed(0)
    sizes = [(26, 26, 32), (33, 77, 64), (7, 17, 16)]
    cases = {
        (rows, keys, width): (
            Scores(),
            (torch.randn(rows, 3, width), torch.randn(keys, 3, width)),
        )
        for rows, keys, width in sizes
    }
    compiled = assert_each_same(cases, "cpu", tolerance=1e-4)
    tiled = [r for r in compiled.report.remarks if r.applied and "tiles: " in r.reason]
    assert len(tiled) >= len(sizes)
