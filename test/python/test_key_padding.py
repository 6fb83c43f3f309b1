"""Which attention gets more keys, and why another does not: scores in views, other readers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch_mlir import ir

from smartmem import dialect
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.padding.key_padding import KeyPadding, key_padding

ID = "affine_map<(a, b, c) -> (a, b, c)>"
SCORES = "tensor<2x49x49xf32>"
VALUES = "tensor<2x49x16xf32>"


def computed(result: str, operands: dict[str, str], shape: str, body: str) -> str:
    """An elementwise operation; ``operands`` are names with the maps of tensors of 49 keys."""
    types = [
        "tensor<49xf32>" if name in ("%bias", "%unknown") else f"tensor<{shape}xf32>"
        for name in operands
    ]
    arguments = ", ".join(f"%{k}: f32" for k in "ij"[: len(operands)])
    return f"""
  %{result}e = tensor.empty() : tensor<{shape}xf32>
  %{result} = linalg.generic {{indexing_maps = [{", ".join(operands.values())}, {ID}],
      iterator_types = ["parallel", "parallel", "parallel"]}}
      ins({", ".join(operands)} : {", ".join(types)}) outs(%{result}e : tensor<{shape}xf32>) {{
  ^bb0({arguments}, %o: f32):
    {body}
    linalg.yield %r : f32
  }} -> tensor<{shape}xf32>"""


def attention(weights: str, behind: str = "") -> str:
    """Scores %s, ``weights``, which makes %e of them, its weighted sum, and ``behind``."""
    return f"""
func.func @main(%x: tensor<98x8xf32>, %w: tensor<8x32xf32>, %a: {SCORES}) -> {VALUES} {{
  %bias = arith.constant dense<-1.0> : tensor<49xf32>
  %unknown = arith.constant dense_resource<unknown> : tensor<49xf32>
  %c = arith.constant 0.0 : f32
  %ex = tensor.empty() : tensor<98x32xf32>
  %zx = linalg.fill ins(%c : f32) outs(%ex : tensor<98x32xf32>) -> tensor<98x32xf32>
  %es = tensor.empty() : {SCORES}
  %zs = linalg.fill ins(%c : f32) outs(%es : {SCORES}) -> {SCORES}
  %ey = tensor.empty() : {VALUES}
  %zy = linalg.fill ins(%c : f32) outs(%ey : {VALUES}) -> {VALUES}
  %y = linalg.matmul ins(%x, %w : tensor<98x8xf32>, tensor<8x32xf32>)
      outs(%zx : tensor<98x32xf32>) -> tensor<98x32xf32>
  %q = "smartmem.view"(%y) {{map = affine_map<(b, n, d) -> (b * 49 + n, d)>}}
      : (tensor<98x32xf32>) -> {VALUES}
  %v = "smartmem.view"(%y) {{map = affine_map<(b, n, d) -> (b * 49 + n, d + 16)>}}
      : (tensor<98x32xf32>) -> {VALUES}
  %s = linalg.generic {{indexing_maps = [affine_map<(b, m, n, k) -> (b, m, k)>,
      affine_map<(b, m, n, k) -> (b, n, k)>, affine_map<(b, m, n, k) -> (b, m, n)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}}
      ins(%q, %v : {VALUES}, {VALUES}) outs(%zs : {SCORES}) attrs = {{scores}} {{
  ^bb0(%f: f32, %g: f32, %o: f32):
    %p = arith.mulf %f, %g : f32
    %t = arith.addf %o, %p : f32
    linalg.yield %t : f32
  }} -> {SCORES}
  {weights}
  %z = linalg.batch_matmul ins(%e, %v : {SCORES}, {VALUES}) outs(%zy : {VALUES}) -> {VALUES}
  {behind}
  return %z : {VALUES}
}}"""


@pytest.fixture(autouse=True)
def context() -> Iterator[ir.Context]:
    with ir.Context() as context, ir.Location.unknown():
        dialect.load(context)
        yield context


def found(module: ir.Module) -> KeyPadding | Refusal | None:
    """For the operation that makes scores."""
    block = module.body.operations[0].regions[0].blocks[0]
    (scores,) = (op.operation for op in block.operations if "scores" in op.attributes)
    return key_padding(scores, 4, Parameters())


COLUMN = "affine_map<(a, b, c) -> (c)>"
BIASED = computed("sb", {"%s": ID, "%bias": COLUMN}, "2x49x49", "%r = arith.addf %i, %j : f32")
EXP = computed("e", {"%sb": ID}, "2x49x49", "%r = math.exp %i : f32")
PLAIN = BIASED + EXP


def viewed(to: str, source: str, map_: str, result: str, more: str = "") -> str:
    first, _, shape = source.partition(":")
    return f"""
  %{to} = "smartmem.view"({first}) {{map = affine_map<{map_}>{more}}} : (tensor<{shape}xf32>) -> tensor<{result}xf32>"""


# Keys lie first, and behind a view again last, where the weighted sum reads them.
TURNED = (
    viewed("t", "%s:2x49x49", "(n, b, m) -> (b, m, n)", "49x2x49")
    + computed(
        "sb",
        {"%t": ID, "%bias": "affine_map<(a, b, c) -> (a)>"},
        "49x2x49",
        "%r = arith.addf %i, %j : f32",
    )
    + computed("et", {"%sb": ID}, "49x2x49", "%r = math.exp %i : f32")
    + viewed("e", "%et:49x2x49", "(b, m, n) -> (n, b, m)", "2x49x49")
)
HALF = BIASED + computed(
    "e",
    {"%sb": ID},
    "2x49x49",
    "%x1 = math.exp %i : f32\n %h = arith.constant 0.5 : f32\n %r = arith.mulf %h, %x1 : f32",
)


@pytest.mark.parametrize("weights", [PLAIN, TURNED, HALF], ids=["plain", "turned", "half"])
def test_keys_become_whole_vectors(weights: str) -> None:
    module = ir.Module.parse(attention(weights))
    padding = found(module)
    assert isinstance(padding, KeyPadding), padding
    assert (padding.padding.old, padding.padding.new) == (49, 52)
    assert padding.bias is not None and padding.bias[1] == 0
    # The scores, what masks them and makes them weights, and their sum.
    assert [len(loops) for loops in padding.padding.loops.values()] == [1] * 4
    for value, d in padding.padding.places:
        assert ir.RankedTensorType(value.type).shape[d] == 49


def test_scores_keep_their_keys_in_views() -> None:
    module = ir.Module.parse(attention(TURNED))
    padding = found(module)
    assert isinstance(padding, KeyPadding), padding
    views = {
        tuple(ir.RankedTensorType(value.type).shape): d
        for value, d in padding.padding.places
        if value.owner.name == "smartmem.view"
    }
    assert views == {(49, 2, 49): 0, (2, 49, 49): 2, (2, 49, 16): 1}


GATHERED = """
  %ez = tensor.empty() : tensor<2x49x16xf32>
  %k = linalg.generic {indexing_maps = [affine_map<(b, n, d, m) -> (b, m, n)>,
      affine_map<(b, n, d, m) -> (b, m, d)>, affine_map<(b, n, d, m) -> (b, n, d)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%e, %v : tensor<2x49x49xf32>, tensor<2x49x16xf32>) outs(%zy : tensor<2x49x16xf32>) {
  ^bb0(%f: f32, %g: f32, %o: f32):
    %p = arith.mulf %f, %g : f32
    %t = arith.addf %o, %p : f32
    linalg.yield %t : f32
  } -> tensor<2x49x16xf32>"""
UNMASKED = """
  %k = linalg.batch_matmul ins(%sb, %v : tensor<2x49x49xf32>, tensor<2x49x16xf32>)
      outs(%zy : tensor<2x49x16xf32>) -> tensor<2x49x16xf32>"""
SWAPPED = "affine_map<(a, b, c) -> (a, c, b)>"
IN_PART = "its scores are reshaped or read in part"
PADDED = ", domain = affine_map<(b, m, n) -> (-b + 1)>"


@pytest.mark.parametrize(
    ("behind", "reason"),
    [
        (viewed("k", "%e:2x49x49", "(b, m, n) -> (b, m, n)", "2x49x48"), IN_PART),
        (viewed("k", "%e:2x49x49", "(b, n) -> (b, n, n)", "2x49"), IN_PART),
        (viewed("k", "%e:2x49x49", "(m, j) -> (j floordiv 49, m, j mod 49)", "49x98"), IN_PART),
        (viewed("k", "%e:2x49x49", "(b, m, n) -> (b, m, n)", "3x49x49", PADDED), IN_PART),
        (GATHERED, "what reads its scores is no weighted sum"),
        (UNMASKED, "what reads its scores is no weighted sum"),
        (
            computed("k", {"%e": ID, "%s": SWAPPED}, "2x49x49", "%r = arith.mulf %i, %j : f32"),
            "its scores are read in other dims",
        ),
        (
            computed("k", {"%e": ID, "%a": ID}, "2x49x49", "%r = arith.mulf %i, %j : f32"),
            "its scores are combined with what is computed",
        ),
        (
            computed(
                "k", {"%e": ID, "%unknown": COLUMN}, "2x49x49", "%r = arith.mulf %i, %j : f32"
            ),
            "its scores are combined with what is computed",
        ),
        (
            computed("k", {"%e": ID}, "2x49x49", "%r = math.cos %i : f32"),
            "nobody knows what it makes of the scores of no key",
        ),
    ],
)
def test_another_reader_keeps_the_keys(behind: str, reason: str) -> None:
    refusal = found(ir.Module.parse(attention(PLAIN, behind)))
    assert isinstance(refusal, Refusal) and refusal.reason == reason
