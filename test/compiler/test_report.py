"""The report: what is counted, and the two forms in which it is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch_mlir import ir

import smartmem
from smartmem import dialect
from smartmem.compiler.compile import CompiledModel
from smartmem.index_map import IndexMap, broadcast, extract_slice, identity, reshape, transpose
from smartmem.index_map.index_map import from_affine
from smartmem.report.inventory import take_inventory, view_kind
from smartmem.report.report import Report
from smartmem.report.text import WIDTH, format_bytes, format_seconds

MOVEMENTS = """\
func.func @main(%a: tensor<4x8xf32>) -> (tensor<8x4xf32>, tensor<6x8xf32>, tensor<32xf32>) {
  %weight = arith.constant dense<1.5> : tensor<2x8xf32>
  %small = arith.constant dense<2.0> : tensor<8x2xf32>
  %e = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%a : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>)
       permutation = [1, 0]
  %f = tensor.empty() : tensor<2x8xf32>
  %w = linalg.transpose ins(%small : tensor<8x2xf32>) outs(%f : tensor<2x8xf32>)
       permutation = [1, 0]
  %s = arith.addf %weight, %w : tensor<2x8xf32>
  %c = tensor.concat dim(0) %a, %s : (tensor<4x8xf32>, tensor<2x8xf32>) -> tensor<6x8xf32>
  %r = tensor.collapse_shape %a [[0, 1]] : tensor<4x8xf32> into tensor<32xf32>
  return %t, %c, %r : tensor<8x4xf32>, tensor<6x8xf32>, tensor<32xf32>
}
"""


@pytest.fixture
def report(compiled_attention: CompiledModel) -> Report:
    return compiled_attention.report


def test_movements_are_counted_by_kind_and_bytes() -> None:
    with ir.Context() as context:
        dialect.load(context)
        inventory = take_inventory(ir.Module.parse(MOVEMENTS).operation)
    rows = {row.kind: row for row in inventory.data_movement}
    assert {kind: (row.count, row.constant_count) for kind, row in rows.items()} == {
        "concat": (1, 0),
        "reshape": (1, 0),
        "transpose": (1, 1),
    }
    assert rows["transpose"].bytes_moved == 2 * 32 * 4
    assert rows["concat"].bytes_moved == 2 * 48 * 4
    assert rows["reshape"].bytes_moved == 0
    assert inventory.movements == 3
    assert inventory.bytes_moved == 2 * (32 + 48) * 4
    assert not inventory.is_classified


def flip() -> IndexMap:
    return extract_slice([7], [8], [-1])


def gather() -> IndexMap:
    with ir.Context():
        roll = ir.AffineMap.get(1, 0, [ir.AffineExpr.get_mod(ir.AffineExpr.get_dim(0) + 3, 8)])
        return from_affine(roll, (8,))


@pytest.mark.parametrize(
    ("index_map", "source", "kind"),
    [
        (lambda: identity((4, 8)), (4, 8), "reshape"),
        (lambda: reshape((4, 8), (2, 2, 8)), (4, 8), "reshape"),
        (lambda: transpose((4, 8), (1, 0)), (4, 8), "transpose"),
        (lambda: transpose((1, 4, 8), (2, 0, 1)), (1, 4, 8), "transpose"),
        (lambda: transpose((1, 8), (1, 0)), (1, 8), "reshape"),
        (lambda: broadcast([1], (3, 8)), (8,), "broadcast"),
        (lambda: extract_slice([0, 2], [4, 3], [1, 1]), (4, 8), "slice"),
        (lambda: extract_slice([0, 0], [4, 3], [1, 1]), (4, 8), "slice"),
        (lambda: extract_slice([0], [4], [2]), (8,), "slice"),
        (flip, (8,), "flip"),
        (gather, (8,), "gather"),
    ],
)
def test_view_kinds(
    index_map: Callable[[], IndexMap], source: tuple[int, ...], kind: str
) -> None:
    assert view_kind(index_map(), source) == kind


def test_every_operation_is_classified(report: Report) -> None:
    groups = {count.group for count in report.inventory.ops}
    assert groups <= set(dialect.GROUPS)
    assert {count.mapping for count in report.inventory.ops} <= set(dialect.MAPPINGS)
    assert sum(count.count for count in report.inventory.ops) >= 5


def test_json_has_a_schema_and_the_numbers(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / "report.json")
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["schema_version"] == 4
    assert values["model"] == "attention.onnx" and values["target"] == "cpu"
    assert values["inputs"] == [{"name": "x", "shape": [2, 8, 16], "dtype": "float32"}]
    assert values["parameter_bytes"] >= 16 * 16 * 4
    assert values["kernels"]["kernels"] == report.kernels.kernels > 0
    assert 0 <= values["movement_kernels"] <= values["kernels"]["kernels"]
    seconds = values["seconds"]
    parts = seconds["import"] + seconds["smartmem"] + seconds["iree-compile"]
    assert seconds["total"] == pytest.approx(parts)
    assert seconds["iree-compile"] > seconds["smartmem"] > 0
    movement = values["data_movement"]
    assert movement["count"] == sum(kind["count"] for kind in movement["kinds"])
    kinds = {layout["kind"] for layout in values["layouts"]}
    assert kinds == {"intermediate", "weight"}
    assert all(layout["reason"] and layout["bytes"] > 0 for layout in values["layouts"])
    assert all(kernel["predicted_s"] > 0 for kernel in values["kernel_costs"])
    for size in ("own_peak_bytes", "module_bytes"):
        assert values[size] > 1000
    assert values["kernels"]["peak_rss_bytes"] > 1000


def test_stages_say_how_much_movement_is_left(report: Report) -> None:
    left = {stage.name: stage.data_movement for stage in report.stages}
    assert left["views"] == left["classified"] == report.inventory.movements
    assert left["vmfb"] is None


def test_text_holds_every_table_within_its_width(report: Report) -> None:
    text = str(report)
    assert text.startswith("attention.onnx (onnx) for target cpu at O3\n")
    titles = [
        "Summary",
        "Operations by group and mapping type",
        "Data movement",
        "Stages",
        "Layouts",
        "Kernels",
    ]
    lines = text.splitlines()
    places = [lines.index(title) for title in titles]
    assert places == sorted(places)
    assert max(map(len, lines)) <= WIDTH
    assert "\x1b" not in text
    assert any(line.split()[0] == "ild_variable" for line in lines if line.strip())


def test_refusals_are_counted_with_their_reason(tmp_path: Path) -> None:
    path = tmp_path / "wide.mlir"
    path.write_text(
        "func.func @main(%a: tensor<4xf64>) -> tensor<4xf64> {\n"
        "  %0 = arith.addf %a, %a : tensor<4xf64>\n  return %0 : tensor<4xf64>\n}"
    )
    compiled = smartmem.compile(path, target="cpu")
    assert compiled(np.ones(4))[0] == 2
    [((argument, applied, reason), count)] = compiled.report.remark_counts().items()
    assert (argument, applied, count) == ("smartmem-compute-in-f32", False, 1)
    assert reason in str(compiled.report) and "refused" in str(compiled.report)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (3 << 20, "3.0 MiB"),
        (5 << 40, "5120.0 GiB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(5e-5, "50 us"), (0.0123, "12.3 ms"), (75.25, "75.25 s")]
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
