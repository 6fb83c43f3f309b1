"""Graphs deeper than Python's stack: every walk ends, and kernels stay bounded."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from torch_mlir import ir

from smartmem.compiler.compile import module_at
from smartmem.passes.analysis.fusion.plan import MAX_BODY
from smartmem.passes.analysis.ir import def_use as reading
from smartmem.passes.analysis.operators import row_reductions as rows
from smartmem.passes.base import REGION

LENGTH = 1100
"""More calls in each other than Python allows."""

TYPE = "tensor<4x4xf32>"


def chain(line: Callable[[str, str], str], name: str, length: int = LENGTH) -> str:
    """Lines that begin with %x and end with %``name``."""
    values = ["%x", *(f"%{name}{step}" for step in range(1, length)), f"%{name}"]
    return "\n".join(line(read, made) for read, made in pairwise(values))


def generic(read: str, made: str, body: str) -> str:
    identity = "affine_map<(a, b) -> (a, b)>"
    return (
        f"{made} = linalg.generic {{indexing_maps = [{identity}, {identity}],"
        ' iterator_types = ["parallel", "parallel"]}'
        f" ins({read} : {TYPE}) outs(%e : {TYPE}) {{\n^bb0(%in: f32, %out: f32):\n"
        f"{body}\nlinalg.yield %s : f32 }} -> {TYPE}"
    )


def sine(read: str, made: str) -> str:
    return generic(read, made, "%s = math.sin %in : f32")


def transpose(read: str, made: str) -> str:
    return (
        f"{made} = linalg.transpose ins({read} : {TYPE}) outs(%e : {TYPE}) permutation = [1, 0]"
    )


def scalar(read: str, made: str) -> str:
    return f"{made} = math.sin {read.replace('%x', '%in')} : f32"


def model(body: str, result: str, before: str = "") -> str:
    return f"""
func.func @main(%x: {TYPE}) -> {TYPE} {{
  %e = tensor.empty() : {TYPE}
  {before}{body}
  return {result} : {TYPE}
}}
"""


def lowered(text: str, folder: Path) -> ir.Module:
    (path := folder / "chain.mlir").write_text(text)
    return module_at(path, "lowered", target="cpu")


def kernel_sizes(module: ir.Module) -> list[int]:
    """Scalar operations in each kernel."""
    found = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name == REGION:
            inside = [o.operation for o in op.regions[0].blocks[0].operations]
            found.append(
                sum(len(o.regions[0].blocks[0].operations) for o in inside if o.regions)
            )
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    return found


def test_elementwise_operations_become_several_kernels(tmp_path: Path) -> None:
    sizes = kernel_sizes(lowered(model(chain(sine, "y"), "%y"), tmp_path))
    assert sum(sizes) >= LENGTH and max(sizes) <= MAX_BODY and len(sizes) < 10


def named(read: str, made: str) -> str:
    return f"{made} = linalg.exp ins({read} : {TYPE}) outs(%e : {TYPE}) -> {TYPE}"


def concatenated(read: str, made: str) -> str:
    """Concatenates and cuts off again, so that all have one shape."""
    long = TYPE.replace("4x4", "8x4")
    return (
        f"{made}long = tensor.concat dim(0) {read}, %e : ({TYPE}, {TYPE}) -> {long}\n"
        f"{made} = tensor.extract_slice {made}long[2, 0] [4, 4] [1, 1] : {long} to {TYPE}"
    )


@pytest.mark.parametrize(
    ("line", "module", "function"),
    [(named, rows, "_ends_reduction"), (concatenated, reading, "_reading")],
    ids=["elementwise", "concats"],
)
def test_each_operation_is_looked_at_a_few_times(
    line: Callable[[str, str], str],
    module: ModuleType,
    function: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not once for each of those behind it: the time grows with the length."""
    asked, calls = getattr(module, function), []

    def counting(value: Any, known: Any) -> Any:
        calls.append(value)
        return asked(value, known)

    monkeypatch.setattr(module, function, counting)
    counts = []
    for length in (20, 40):
        calls.clear()
        lowered(model(chain(line, "y", length), "%y"), tmp_path)
        counts.append(len(calls))
    assert 0 < counts[0] and counts[1] <= 2.2 * counts[0]


def test_movements_become_one_or_none(tmp_path: Path) -> None:
    text = model(chain(transpose, "t") + "\n" + sine("%t", "%y"), "%y")
    operations = str(lowered(text, tmp_path))
    assert operations.count("linalg.") == len(["generic", "yield"])


def test_one_body_of_many_operations(tmp_path: Path) -> None:
    body = generic("%x", "%y", chain(scalar, "s"))
    module = lowered(model(body, "%y"), tmp_path)
    assert str(module).count("math.sin") == LENGTH
