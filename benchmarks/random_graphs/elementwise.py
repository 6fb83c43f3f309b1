"""Steps that compute each element on its own, or normalize along some axes."""

from __future__ import annotations

import numpy as np

from random_graphs.builder import GraphBuilder, Tensor, require

# By NumPy's kind of element.
_UNARY = {
    "f": """
        Relu Neg Abs Tanh Sigmoid Erf Gelu HardSwish Softplus LeakyRelu Exp Sqrt Log Reciprocal
        """.split(),  # noqa: SIM905 (one name a line would be longer)
    "i": ["Neg", "Abs"],
    "b": ["Not"],
}
_BINARY = {
    "f": ["Add", "Sub", "Mul", "Max", "Min", "Div"],
    "i": ["Add", "Sub", "Max", "Min"],
    "b": ["And", "Or", "Xor"],
}
_EPSILON = 1e-2
"""Of normalizations; smaller ones magnify the rounding of nearly constant rows."""


def unary(g: GraphBuilder, x: Tensor) -> None:
    """One elementwise function."""
    g.apply(g.choose(_UNARY[x.array.dtype.kind]), x)


def binary(g: GraphBuilder, x: Tensor) -> None:
    """x with a tensor of the graph that broadcasts with it: residuals and gates."""
    y = g.choose([t for t in g.tensors if t is not x and _broadcasts(x, t)])
    pair = (x, y) if g.choose([True, False]) else (y, x)
    g.apply(g.choose(_BINARY[x.array.dtype.kind]), *pair)


def _broadcasts(x: Tensor, y: Tensor) -> bool:
    if x.array.dtype != y.array.dtype:
        return False
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


def binary_constant(g: GraphBuilder, x: Tensor) -> None:
    """x with a constant along some axes: a bias, a scale."""
    shape = [g.choose([n, 1]) for n in x.shape[g.integer(0, x.rank) :]]
    constant = g.constant(g.random(shape, x.array.dtype.name))
    g.apply(g.choose(_BINARY[x.array.dtype.kind]), x, constant)


def select(g: GraphBuilder, x: Tensor) -> None:
    """x or another tensor of its shape, by a constant mask."""
    y = g.choose([t for t in g.tensors if t.shape == x.shape and _broadcasts(x, t)])
    g.apply("Where", g.constant(g.random(x.shape[-1:], "bool")), x, y)


def softmax(g: GraphBuilder, x: Tensor) -> None:
    """Along any axis."""
    require(x.is_float)
    g.apply(g.choose(["Softmax", "LogSoftmax"]), x, axis=g.axis(x))


def layer_norm(g: GraphBuilder, x: Tensor) -> None:
    """Over the last one or two axes, with weight and bias."""
    require(x.is_float)
    axis = -g.integer(1, min(2, x.rank))
    weights = [g.weight(x.shape[axis:]) for _ in range(2)]
    g.apply("LayerNormalization", x, *weights, axis=axis, epsilon=_EPSILON)


def rms_norm(g: GraphBuilder, x: Tensor) -> None:
    """x / sqrt(mean(x * x) + epsilon) along one axis."""
    require(x.is_float)
    mean = g.apply("ReduceMean", g.apply("Mul", x, x), g.constant([g.axis(x)]))
    shifted = g.apply("Add", mean, g.constant(np.array(_EPSILON, np.float32)))
    g.apply("Div", x, g.apply("Sqrt", shifted))


def instance_norm(g: GraphBuilder, x: Tensor) -> None:
    """Over all axes behind batch and channels."""
    require(x.is_float and x.rank in (3, 4))
    weights = [g.weight(x.shape[1:2]) for _ in range(2)]
    g.apply("InstanceNormalization", x, *weights, epsilon=_EPSILON)


def batch_norm(g: GraphBuilder, x: Tensor) -> None:
    """With known statistics."""
    require(x.is_float and 2 <= x.rank <= 4)
    weights = [g.weight(x.shape[1:2]) for _ in range(3)]
    variance = g.constant(np.float32(0.5) + np.abs(g.random(x.shape[1:2])))
    g.apply("BatchNormalization", x, *weights, variance, epsilon=_EPSILON)


STEPS = (
    unary,
    binary,
    binary_constant,
    select,
    softmax,
    layer_norm,
    rms_norm,
    instance_norm,
    batch_norm,
)
