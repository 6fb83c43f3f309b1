"""How far the rows of a loop are followed: through which views, and what refuses more of them."""

from __future__ import annotations

import pytest
from torch_mlir import ir

from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.analysis.padding.dim_classes import DimClass, Search

pytestmark = pytest.mark.usefixtures("mlir_context")

OLD, NEW = 7, 8
ID = "affine_map<(i, j) -> (i, j)>"


def exp(result: str, operand: str, shape: str) -> str:
    return f"""
  %{result}e = tensor.empty() : tensor<{shape}xf32>
  %{result} = linalg.generic {{indexing_maps = [{ID}, {ID}],
      iterator_types = ["parallel", "parallel"]}} ins(%{operand} : tensor<{shape}xf32>)
      outs(%{result}e : tensor<{shape}xf32>) {{
  ^bb0(%f: f32, %o: f32):
    %r = math.exp %f : f32
    linalg.yield %r : f32
  }} -> tensor<{shape}xf32>"""


def summed(result: str, operand: str, shape: str, kept: int) -> str:
    """Sums of all dims of ``operand`` but one."""
    extent = shape.split("x")[kept]
    kinds = ["reduction", "reduction"]
    kinds[kept] = "parallel"
    return f"""
  %{result}e = tensor.empty() : tensor<{extent}xf32>
  %{result} = linalg.generic {{indexing_maps = [{ID}, affine_map<(i, j) -> ({"ij"[kept]})>],
      iterator_types = ["{kinds[0]}", "{kinds[1]}"]}} ins(%{operand} : tensor<{shape}xf32>)
      outs(%{result}e : tensor<{extent}xf32>) {{
  ^bb0(%f: f32, %o: f32):
    %r = arith.addf %f, %o : f32
    linalg.yield %r : f32
  }} -> tensor<{extent}xf32>"""


def view(result: str, operand: str, shape: str, map_: str, to: str, domain: str = "") -> str:
    padded = f", domain = affine_map<{domain}>" if domain else ""
    types = f"tensor<{shape}xf32>" + (", f32" if domain else "")
    operands = f"%{operand}" + (", %fill" if domain else "")
    return f"""
  %{result} = "smartmem.view"({operands}) {{map = affine_map<{map_}>{padded}}}
      : ({types}) -> tensor<{to}xf32>"""


def followed(body: str, start: str, **options: bool) -> tuple[ir.Module, DimClass | Refusal]:
    """The rows of the first loop of the operation that makes ``start``; also the module."""
    module = ir.Module.parse(f"""
func.func @main(%arg: tensor<7x5xf32>, %more: tensor<7x5xf32>) {{
  %k = arith.constant dense<1.0> : tensor<7x5xf32>
  %k3 = arith.constant dense<1.0> : tensor<3x5xf32>
  %fill = arith.constant 0.0 : f32
  {body}
  "test.end"(%{start}) : (tensor<7x5xf32>) -> ()
  return
}}""")
    block = module.body.operations[0].regions[0].blocks[0]
    (end,) = (op for op in block.operations if op.operation.name == "test.end")
    op = end.operands[0].owner
    end.operation.erase()
    return module, Search(DimClass(OLD, NEW), Parameters(), **options).run(op.operation, 0)


def padded(found: DimClass | Refusal) -> list[tuple[tuple[int, ...], int]]:
    """The shapes of what has more rows, with the dims of these."""
    assert isinstance(found, DimClass), found
    for value, d in found.places:
        assert found.shape(value)[d] == NEW and shape_of(value)[d] == OLD
    return sorted((shape_of(value), d) for value, d in found.places)


START = exp("z", "k", "7x5")
OWN = [((7, 5), 0), ((7, 5), 0)]
"""The constant, and what is computed of it."""


def test_rows_come_from_constants() -> None:
    _, found = followed(START, "z")
    assert padded(found) == OWN


@pytest.mark.parametrize(
    ("body", "operand", "reason"),
    [
        ("", "arg", "the dim is one of an argument"),
        (
            view("t", "k3", "3x5", "(i, j) -> (i - 4, j)", "7x5", "(i, j) -> (i - 4)"),
            "t",
            "a padding makes the dim",
        ),
        (
            view("t", "k3", "3x5", "(i, j) -> (i mod 3, j)", "7x5"),
            "t",
            "a view makes the dim of others",
        ),
        (
            view("t", "k3", "3x5", "(i, j) -> (0, j)", "7x5"),
            "t",
            "a view makes the dim of others",
        ),
    ],
)
def test_what_cannot_have_more_rows_refuses(body: str, operand: str, reason: str) -> None:
    _, found = followed(body + exp("z", operand, "7x5"), "z")
    assert isinstance(found, Refusal) and found.reason == reason


def test_a_padding_that_fills_all_new_rows_is_longer() -> None:
    behind = view("t", "k3", "3x5", "(i, j) -> (i, j)", "7x5", "(i, j) -> (2 - i)")
    _, found = followed(behind + exp("z", "t", "7x5"), "z")
    assert padded(found) == OWN
    # Without a fill nobody says what is in the new rows.
    _, found = followed(
        behind.replace(", %fill", "").replace(", f32)", ")") + exp("z", "t", "7x5"), "z"
    )
    assert isinstance(found, Refusal) and found.reason == "a padding makes the dim"


@pytest.mark.parametrize(
    ("reader", "added"),
    [
        (view("t", "z", "7x5", "(j, i) -> (i, j)", "5x7"), [((5, 7), 1)]),
        (view("t", "z", "7x5", "(a, i, j) -> (i, j)", "1x7x5"), [((1, 7, 5), 1)]),
        (view("t", "z", "7x5", "(i, j) -> (i, j)", "6x5"), []),
        (view("t", "z", "7x5", "(i, j) -> (i, j)", "5x5"), []),
        (view("t", "z", "7x5", "(i) -> (i, i floordiv 2)", "7"), []),
        (view("t", "z", "7x5", "(i, j) -> ((i + 1) mod 7, j)", "7x5"), []),
        (exp("t", "z", "7x5"), [((7, 5), 0)]),
        (summed("t", "z", "7x5", 0), [((7,), 0)]),
        (summed("t", "z", "7x5", 1), []),
    ],
)
def test_readers_that_have_the_rows_as_they_are(
    reader: str, added: list[tuple[tuple[int, ...], int]]
) -> None:
    _, found = followed(START + reader, "z")
    assert padded(found) == sorted(OWN + added)


@pytest.mark.parametrize(
    ("behind", "is_taken"),
    [
        (summed("s", "t", "7x5", 1), False),
        (summed("s", "t", "7x5", 0), True),
        (view("v", "t", "7x5", "(j, i) -> (i, j)", "5x7") + summed("s", "v", "5x7", 0), False),
        (view("v", "t", "7x5", "(j, i) -> (i, j)", "5x7") + summed("s", "v", "5x7", 1), True),
        (
            view("v", "t", "7x5", "(i, j) -> (i, j)", "9x5", "(i, j) -> (6 - i)")
            + summed("s", "v", "9x5", 1),
            True,
        ),
    ],
)
def test_rows_that_something_sums_up_stay(behind: str, is_taken: bool) -> None:
    module, found = followed(START + exp("t", "z", "7x5") + behind, "z")
    assert isinstance(found, DimClass), found
    block = module.body.operations[0].regions[0].blocks[0]
    exps = [op.operation for op in block.operations if "math.exp" in str(op)]
    assert [op in found.loops for op in exps] == [True, is_taken]


def test_readers_have_all_rows_or_the_first_ones() -> None:
    turned = view("t", "z", "7x5", "(j, i) -> (i, j)", "5x7")
    module, found = followed(
        START + turned + view("p", "z", "7x5", "(i, j) -> (i, j)", "6x5"), "z"
    )
    assert isinstance(found, DimClass), found
    block = module.body.operations[0].regions[0].blocks[0]
    first, longer, part = (
        op.operation
        for op in block.operations
        if op.operation.name in ("linalg.generic", "smartmem.view")
    )
    assert [found.read_shape(op, 0) for op in (first, longer, part)] == [(8, 5), (8, 5), (7, 5)]


def test_what_repeats_the_last_row_has_its_fill_there() -> None:
    """Where zeros of a softmax meet the rows, a fill behind real ones may become an infinity."""
    for last, refused in ((6, True), (5, False)):
        source = f"""
  %k{last} = arith.constant dense<1.0> : tensor<{last + 1}x5xf32>""" + view(
            "t",
            f"k{last}",
            f"{last + 1}x5",
            "(i, j) -> (i, j)",
            "7x5",
            f"(i, j) -> ({last} - i)",
        )
        _, found = followed(source + exp("z", "t", "7x5"), "z", masks=True)
        assert isinstance(found, Refusal) == refused, found
        _, found = followed(source + exp("z", "t", "7x5"), "z")
        assert isinstance(found, DimClass), found


def test_what_adds_to_a_tensor_has_no_more_rows() -> None:
    added = exp("z", "k", "7x5").replace("outs(%ze", "outs(%more")
    _, found = followed(added, "z")
    assert isinstance(found, Refusal) and found.reason == "it adds to a tensor"
    behind = exp("t", "z", "7x5").replace("outs(%te", "outs(%more")
    _, found = followed(START + behind, "z")
    assert padded(found) == OWN


def test_a_class_ends_at_the_loop_around_it() -> None:
    """A loop's body reads rows from outside: they, and rows that it reads, stay as they are."""
    module = ir.Module.parse(f"""
func.func @main(%n: index) {{
  %k = arith.constant dense<1.0> : tensor<7x5xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  {START}
  scf.for %i = %c0 to %n step %c1 {{
    {exp("y", "z", "7x5")}
  }}
  return
}}""")
    outer = module.body.operations[0].regions[0].blocks[0]
    (loop,) = (op.operation for op in outer.operations if op.operation.name == "scf.for")
    outside, inside = (
        next(op.operation for op in block.operations if op.operation.name == "linalg.generic")
        for block in (outer, loop.regions[0].blocks[0])
    )
    found = Search(DimClass(OLD, NEW), Parameters()).run(inside, 0)
    assert isinstance(found, Refusal)
    assert found.reason == "the dim is made outside of the loop around it"
    assert padded(Search(DimClass(OLD, NEW), Parameters()).run(outside, 0)) == OWN
