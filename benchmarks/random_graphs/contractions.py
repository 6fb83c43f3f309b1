"""Steps that sum: reductions, matrix products, convolutions, pooling."""

from __future__ import annotations

import math

from random_graphs.builder import GraphBuilder, Tensor, require
from random_graphs.movements import divisors

_WIDTHS = (1, 4, 7, 8, 16)
# x and a weight, by the rank of x.
_EINSUMS = {
    2: ("ab,bc->ac", "ab,cb->ca", "ab,bc->ca", "ab,ca->cb"),
    3: ("abc,cd->abd", "abc,dc->adb", "abc,bd->acd", "abc,db->adc", "abc,abd->acd"),
    4: ("abcd,de->abce", "abcd,be->aecd", "abcd,ebcd->ae", "abcd,abed->abce"),
}
_NEW_AXIS = 3
# By NumPy's kind of element.
_REDUCTIONS = {
    "f": ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1"),
    "i": ("ReduceSum", "ReduceMax", "ReduceMin"),
    "b": (),
}


def reduce(g: GraphBuilder, x: Tensor) -> None:
    """Along one or several axes."""
    axes = sorted({g.axis(x) for _ in range(g.integer(1, 2))})
    operator = g.choose(_REDUCTIONS[x.array.dtype.kind])
    g.apply(operator, x, g.constant(axes), keepdims=g.integer(0, 1))


def linear(g: GraphBuilder, x: Tensor) -> None:
    """x W, and mostly a bias."""
    require(x.is_float and x.rank > 1)
    k, n = x.shape[-1], g.choose(_WIDTHS)
    y = g.apply("MatMul", x, g.weight([k, n], k))
    if g.choose([True, False]):
        g.apply("Add", y, g.weight([n]))


def matmul(g: GraphBuilder, x: Tensor) -> None:
    """x with another tensor of the graph, or with its own transpose."""
    require(x.is_float and x.rank > 1)
    perm = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    fitting = [t for t in g.tensors if t.rank == x.rank and _multiplies(x, t)]
    y = g.choose([None, *fitting]) or g.apply("Transpose", x, perm=perm)
    g.apply("Mul", g.apply("MatMul", x, y), g.weight((), x.shape[-1]))


def _multiplies(x: Tensor, y: Tensor) -> bool:
    batch = zip(x.shape[:-2], y.shape[:-2], strict=True)
    return (
        y.is_float
        and x.shape[-1] == y.shape[-2]
        and all(a == b or 1 in (a, b) for a, b in batch)
    )


def einsum(g: GraphBuilder, x: Tensor) -> None:
    """A contraction with a weight in some unusual order of dims."""
    require(x.is_float)
    equation = g.choose(_EINSUMS.get(x.rank, ()))
    operands, result = equation.split("->")
    left, right = operands.split(",")
    sizes = dict(zip(left, x.shape, strict=True))
    terms = math.prod(n for letter, n in sizes.items() if letter not in result)
    weight = g.weight([sizes.get(letter, _NEW_AXIS) for letter in right], terms)
    g.apply("Einsum", x, weight, equation=equation)


def attention(g: GraphBuilder, x: Tensor) -> None:
    """softmax(Q K') V of a batch of tokens, with heads split off and merged again."""
    require(x.is_float and x.rank == 3)
    batch, tokens, width = x.shape
    heads = g.choose([h for h in (1, 2, 3, 4) if width % h == 0])
    shape = g.constant([batch, tokens, heads, width // heads])

    def projected(perm: list[int]) -> Tensor:
        y = g.apply("MatMul", x, g.weight([width, width], width))
        return g.apply("Transpose", g.apply("Reshape", y, shape), perm=perm)

    q, k, v = map(projected, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    weights = g.apply("Softmax", g.apply("MatMul", q, k), axis=-1)
    merged = g.apply("Transpose", g.apply("MatMul", weights, v), perm=[0, 2, 1, 3])
    g.apply("Reshape", merged, g.constant([batch, tokens, width]))


def convolution(g: GraphBuilder, x: Tensor) -> None:
    """Dense, grouped or depthwise, with stride, padding and dilation; 1, 2 or 3 axes.

    torch-mlir lowers no grouped convolution over 3 axes.
    """
    require(x.is_float and 3 <= x.rank <= 5)
    channels, axes = x.shape[1], x.rank - 2
    groups = g.choose(divisors(channels) if axes < 3 else [1])
    kernel = [g.integer(1, min(3, n)) for n in x.shape[2:]]
    pads = [g.integer(0, k // 2) for k in kernel]
    shape = [groups * g.integer(1, 4), channels // groups, *kernel]
    weight = g.weight(shape, math.prod(shape[1:]))
    g.apply(
        "Conv",
        x,
        weight,
        g.weight(shape[:1]),
        group=groups,
        strides=_strides(g, axes),
        pads=[*pads, *pads],
        dilations=[g.integer(1, 2) if min(x.shape[2:]) > 4 else 1] * axes,
    )


def _strides(g: GraphBuilder, axes: int) -> list[int]:
    """One stride for all axes. iree-compile 3.13 fails on strided windows over one axis."""
    return [g.integer(1, 2) if axes > 1 else 1] * axes


def patchify(g: GraphBuilder, x: Tensor) -> None:
    """A convolution whose stride is its kernel: the stem of vision transformers."""
    require(x.is_float and x.rank in (3, 4))
    size = g.choose([d for d in (2, 3, 4, 7) if not any(n % d for n in x.shape[2:])])
    shape = [g.choose(_WIDTHS), x.shape[1], *[size] * (x.rank - 2)]
    g.apply("Conv", x, g.weight(shape, math.prod(shape[1:])), strides=shape[2:])


def pool(g: GraphBuilder, x: Tensor) -> None:
    """Maximum or average of windows, padded or not, or of everything."""
    require(x.is_float and x.rank in (3, 4))
    if g.choose([False, False, True]):
        g.apply("GlobalAveragePool", x)
        return
    kernel = [g.integer(2, min(3, n)) for n in x.shape[2:]]
    pads = [g.integer(0, k // 2) for k in kernel]
    operator = g.choose(["MaxPool", "AveragePool"])
    counted = {"count_include_pad": g.integer(0, 1)} if operator == "AveragePool" else {}
    strides = _strides(g, len(kernel))
    windows = zip(x.shape[2:], kernel, pads, strides, strict=True)
    sizes = [(n + 2 * pad - k) // stride + 1 for n, k, pad, stride in windows]
    pooled = g.apply(
        operator, x, kernel_shape=kernel, strides=strides, pads=[*pads, *pads], **counted
    )
    # onnx 1.23's evaluator makes too many of some windows that are padded in one dim only.
    require(list(pooled.shape[2:]) == sizes)


STEPS = (reduce, linear, matmul, einsum, attention, convolution, patchify, pool)
