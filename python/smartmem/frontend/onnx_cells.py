"""The cells of recurrent layers: one step from the states before to those behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smartmem.frontend.onnx_expansion import Expansion

Activation = Callable[[Expansion, str], str]


@dataclass(frozen=True)
class Cell:
    """One direction of a recurrent layer, as its cell sees it.

    Attributes:
        hidden: the number of hidden units.
        dtype: that is computed in.
        recurrence: the recurrent weights, [hidden, gates * hidden], transposed.
        recurrent_bias: of the candidate of a GRU behind its reset, [hidden], or nothing.
        peepholes: [3 * hidden] of an LSTM, or nothing.
        activations: in the standard's order.
        attributes: of the node.
    """

    hidden: int
    dtype: np.dtype[Any]
    recurrence: str
    recurrent_bias: str
    peepholes: str
    activations: Sequence[Activation]
    attributes: Mapping[str, Any]

    def gate(self, b: Expansion, value: str, number: int, count: int = 1) -> str:
        """The columns of some gates."""
        begin, end = number * self.hidden, (number + count) * self.hidden
        return columns(b, value, begin, end)

    def activate(self, b: Expansion, number: int, value: str) -> str:
        """An activation, behind the clip if there is one."""
        if limit := self.attributes.get("clip", 0.0):
            low, high = (b.constant(number, self.dtype) for number in (-limit, limit))
            value = b.op("Clip", value, low, high)
        return self.activations[number](b, value)


def columns(b: Expansion, value: str, begin: int, end: int) -> str:
    """A part of a vector, or of all rows of a matrix."""
    return b.op("Slice", value, *map(b.constant, ([begin], [end], [-1])))


Step = Callable[[Expansion, Cell, str, Sequence[str]], list[str]]
"""From what the input contributes, [batch, gates * hidden], and the states; new states."""


def rnn_step(b: Expansion, cell: Cell, x: str, states: Sequence[str]) -> list[str]:
    """``h = f(x + h R)``."""
    total = b.op("Add", x, b.op("MatMul", states[0], cell.recurrence))
    return [cell.activate(b, 0, total)]


def lstm_step(b: Expansion, cell: Cell, x: str, states: Sequence[str]) -> list[str]:
    """Gates in the order input, output, forget, candidate; states h and c."""
    hidden, memory = states
    total = b.op("Add", x, b.op("MatMul", hidden, cell.recurrence))

    def gate(number: int, seen: str) -> str:
        value = cell.gate(b, total, number)
        if cell.peepholes:
            weights = cell.gate(b, cell.peepholes, number)
            value = b.op("Add", value, b.op("Mul", weights, seen))
        return cell.activate(b, 0, value)

    entering = gate(0, memory)
    if cell.attributes.get("input_forget"):
        kept = b.op("Sub", b.constant(1, cell.dtype), entering)
    else:
        kept = gate(2, memory)
    candidate = cell.activate(b, 1, cell.gate(b, total, 3))
    memory = b.op("Add", b.op("Mul", kept, memory), b.op("Mul", entering, candidate))
    shown = cell.activations[2](b, memory)
    return [b.op("Mul", gate(1, memory), shown), memory]


def gru_step(b: Expansion, cell: Cell, x: str, states: Sequence[str]) -> list[str]:
    """Gates in the order update, reset, candidate; ``h = (1 - update) candidate + update h``."""
    hidden = states[0]
    if cell.attributes.get("linear_before_reset"):
        product = b.op("MatMul", hidden, cell.recurrence)
        update, reset = _update_and_reset(b, cell, x, cell.gate(b, product, 0, 2))
        inner = cell.gate(b, product, 2)
        if cell.recurrent_bias:
            inner = b.op("Add", inner, cell.recurrent_bias)
        inner = b.op("Mul", reset, inner)
    else:
        product = b.op("MatMul", hidden, cell.gate(b, cell.recurrence, 0, 2))
        update, reset = _update_and_reset(b, cell, x, product)
        weights = cell.gate(b, cell.recurrence, 2)
        inner = b.op("MatMul", b.op("Mul", reset, hidden), weights)
    candidate = cell.activate(b, 1, b.op("Add", cell.gate(b, x, 2), inner))
    fresh = b.op("Sub", b.constant(1, cell.dtype), update)
    return [b.op("Add", b.op("Mul", fresh, candidate), b.op("Mul", update, hidden))]


def _update_and_reset(b: Expansion, cell: Cell, x: str, product: str) -> tuple[str, str]:
    total = b.op("Add", cell.gate(b, x, 0, 2), product)
    update, reset = (cell.activate(b, 0, cell.gate(b, total, number)) for number in (0, 1))
    return update, reset


def activations(
    b: Expansion, defaults: Sequence[str], dtype: np.dtype[Any]
) -> list[Activation]:
    """The activations of all directions, one after the other.

    Args:
        b: of the layer.
        defaults: names for all directions.
        dtype: that is computed in.

    Raises:
        InvalidInputError: their number is wrong, or one is not in the standard.
    """
    names = b.attribute("activations") or list(defaults)
    if len(names) != len(defaults):
        raise b.invalid(f"{len(names)} activations; its directions take {len(defaults)}")
    alphas = iter(b.attribute("activation_alpha", ()))
    betas = iter(b.attribute("activation_beta", ()))
    return [_activation(b, name, alphas, betas, dtype) for name in names]


def _activation(
    b: Expansion,
    name: str,
    alphas: Iterator[float],
    betas: Iterator[float],
    dtype: np.dtype[Any],
) -> Activation:
    """One activation, which takes its parameters from the lists, or else the defaults."""
    known = {key.lower(): key for key in _PARAMETERS}
    operator = known.get(name.lower())
    if operator is None:
        raise b.invalid(f"activation {name!r} is not in the standard")
    alpha, beta = _PARAMETERS[operator]
    alpha = None if alpha is None else next(alphas, alpha)
    beta = None if beta is None else next(betas, beta)
    if _REQUIRED in (alpha, beta):
        raise b.invalid(
            f"activation {operator} has no defaults; give its activation_alpha and "
            "activation_beta"
        )

    def activate(b: Expansion, value: str) -> str:
        if operator == "Softsign":  # a function, which the importer has no body for in a loop
            size = b.op("Add", b.constant(1, dtype), b.op("Abs", value))
            return b.op("Div", value, size)
        if operator not in ("Affine", "ScaledTanh"):
            named = (("alpha", alpha), ("beta", beta))
            given: dict[str, Any] = {key: number for key, number in named if number is not None}
            return b.op(operator, value, **given)
        first, second = (b.constant(number, dtype) for number in (alpha, beta))
        if operator == "Affine":
            return b.op("Add", b.op("Mul", first, value), second)
        return b.op("Mul", first, b.op("Tanh", b.op("Mul", second, value)))

    return activate


_REQUIRED = math.inf

_PARAMETERS: Mapping[str, tuple[float | None, float | None]] = {
    "Affine": (_REQUIRED, _REQUIRED),
    "Elu": (1.0, None),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01, None),
    "Relu": (None, None),
    "ScaledTanh": (_REQUIRED, _REQUIRED),
    "Sigmoid": (None, None),
    "Softplus": (None, None),
    "Softsign": (None, None),
    "Tanh": (None, None),
    "ThresholdedRelu": (1.0, None),
}
"""Defaults of alpha and beta; None for what an activation does not have."""
