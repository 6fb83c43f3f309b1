"""Which attention gets more keys, and why another does not: scores in views, other readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from torch_mlir import ir

from smartmem import dialect
from smartmem.backend.targets.processor import EVERY_GPU
from smartmem.interpreter import interpret
from smartmem.parameters import Parameters
from smartmem.passes import PassContext, pad_dims
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.analysis.padding.dim_classes import DimClass, Search
from smartmem.passes.analysis.padding.granularities import paddings
from smartmem.passes.pad_dims import PadDims

ID = "affine_map<(a, b, c) -> (a, b, c)>"
ROW = "affine_map<(a, b, c) -> (a, b)>"
SCORES = "tensor<2x49x49xf32>"
VALUES = "tensor<2x49x16xf32>"


def computed(result: str, operands: dict[str, str], shape: str, body: str) -> str:
    """An elementwise operation; ``operands`` are names with the maps of tensors of 49 keys."""
    extents = [
        "49" if name in ("%bias", "%unknown") else "2x49" if map_ == ROW else shape
        for name, map_ in operands.items()
    ]
    types = [f"tensor<{extent}xf32>" for extent in extents]
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


def found(module: ir.Module) -> DimClass | Refusal | None:
    """The class of the keys of the operation that makes scores."""
    block = module.body.operations[0].regions[0].blocks[0]
    (scores,) = (op.operation for op in block.operations if "scores" in op.attributes)
    return Search(DimClass(49, 52), Parameters()).narrow(scores, 2)


COLUMN = "affine_map<(a, b, c) -> (c)>"
BIASED = computed("sb", {"%s": ID, "%bias": COLUMN}, "2x49x49", "%r = arith.addf %i, %j : f32")
EXP = computed("e", {"%sb": ID}, "2x49x49", "%r = math.exp %i : f32")
PLAIN = BIASED + EXP


def test_contractions_that_change_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores, although a mask is added to them; the projection is asked once."""
    text = attention(computed("e", {"%s": ID}, "2x49x49", "%r = math.exp %i : f32"))
    module, context = ir.Module.parse(text), PassContext(Parameters(), processor=EVERY_GPU)
    asked: list[str] = []

    def asks(op: ir.Operation, *others: Any) -> Any:
        asked.append(op.name)
        return paddings(op, *others)

    monkeypatch.setattr(pad_dims, "paddings", asks)
    PadDims().run(module.operation, context)
    assert [r.applied for r in context.remarks] == [True]
    projection, scores, weighted = "linalg.matmul", "linalg.generic", "linalg.batch_matmul"
    assert asked[:2] == [projection, scores]
    assert sorted(asked[2:]) == sorted([scores, weighted])


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
    assert isinstance(padding, DimClass), padding
    ((bias, d),) = padding.masked.items()
    assert (shape_of(bias), d) == ((49,), 0)
    assert padding.zeros is not None and padding.zeros[1] == 1
    # The scores, what masks them and makes them weights, and their sum.
    assert [len(loops) for loops in padding.loops.values()] == [1] * 4
    for value, d in padding.places:
        assert ir.RankedTensorType(value.type).shape[d] == 49


def test_scores_keep_their_keys_in_views() -> None:
    module = ir.Module.parse(attention(TURNED))
    padding = found(module)
    assert isinstance(padding, DimClass), padding
    views = {
        tuple(ir.RankedTensorType(value.type).shape): d
        for value, d in padding.places
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


def reduced(result: str, operand: str, start: str, combiner: str) -> str:
    """A reduction over the keys."""
    return f"""
  %{result}s = arith.constant {start} : f32
  %{result}i = tensor.empty() : tensor<2x49xf32>
  %{result}z = linalg.fill ins(%{result}s : f32) outs(%{result}i : tensor<2x49xf32>) -> tensor<2x49xf32>
  %{result} = linalg.generic {{indexing_maps = [{ID}, {ROW}],
      iterator_types = ["parallel", "parallel", "reduction"]}}
      ins(%{operand} : {SCORES}) outs(%{result}z : tensor<2x49xf32>) {{
  ^bb0(%i: f32, %o: f32):
    %r = {combiner} %i, %o : f32
    linalg.yield %r : f32
  }} -> tensor<2x49xf32>"""


def by_row(result: str, operand: str, row: str, body: str) -> str:
    """An elementwise operation on scores and what all scores of a row share."""
    return computed(result, {f"%{operand}": ID, f"%{row}": ROW}, "2x49x49", body)


def softmax(scores: str) -> str:
    """``%e`` of scores, with the largest of each row subtracted."""
    return (
        reduced("l", scores, "0xFF800000", "arith.maximumf")
        + by_row("p", scores, "l", "%d = arith.subf %i, %j : f32\n %r = math.exp %d : f32")
        + reduced("n", "p", "0.0", "arith.addf")
        + by_row("e", "p", "n", "%r = arith.divf %i, %j : f32")
    )


def scaled(result: str, operand: str, factor: float) -> str:
    body = f"%h = arith.constant {factor} : f32\n %r = arith.mulf %h, %i : f32"
    return computed(result, {f"%{operand}": ID}, "2x49x49", body)


@pytest.mark.parametrize("bias", [None, -1.0, -3e38])
@pytest.mark.parametrize("factor", [1.0, 1e-4])
@pytest.mark.parametrize("type_", ["f32", "f16"])
def test_a_softmax_does_not_notice_more_keys(
    bias: float | None, factor: float, type_: str
) -> None:
    """A mask that is only low is a weight behind a small factor, or below a lower bias."""
    biased, scores = ("", "s") if bias is None else (BIASED, "sb")
    text = attention(biased + scaled("t", scores, factor) + softmax("t"))
    text = text.replace("dense_resource<unknown>", "dense<0.0>").replace("f32", type_)
    if bias is not None:
        text = text.replace("dense<-1.0>", f"dense<{bias if type_ == 'f32' else -6e4:.1e}>")
    if type_ == "f16":
        text = text.replace("0xFF800000", "0xFC00")
    module, parameters = ir.Module.parse(text), Parameters()
    rng = np.random.default_rng(0)
    dtype = np.dtype("float32" if type_ == "f32" else "float16")
    shapes = (98, 8), (8, 32), (2, 49, 49)
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    (expected,) = interpret(module, inputs, parameters)
    context = PassContext(parameters, processor=EVERY_GPU)
    PadDims().run(module.operation, context)
    assert [r.reason for r in context.remarks] == ["52 keys instead of 49: whole vectors"]
    (got,) = interpret(module, inputs, parameters)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(got, expected, rtol=1e-4 if type_ == "f32" else 2e-2, atol=1e-6)
