"""Write recurrent layers as loops over time.

    LSTM(X, W, R, B, lengths, h, c, P)  ->  Loop(X W^T + B, h, c), for each direction

A loop multiplies by the recurrent weights only; the input's part is one product for all
times. A reverse direction reads its input backwards. Behind a sequence's length states stay
as they are and outputs are zero. torch-mlir ignores lengths, clips and peepholes, and lowers
one direction of most layers only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from smartmem.frontend.onnx_cells import (
    Activation,
    Cell,
    Step,
    activations,
    columns,
    gru_step,
    lstm_step,
    rnn_step,
)
from smartmem.frontend.onnx_expansion import Expansion, Rewrite

Shape = tuple[int, ...]

_DIRECTIONS = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
"""By attribute: for each direction, whether it runs backwards."""
_HALVES = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


@dataclass(frozen=True)
class _Kind:
    """One operator.

    Attributes:
        step: the nodes of its cell.
        gates: how many times the hidden size its weights have in rows.
        states: the operands that its states begin with.
        activations: the defaults, for one direction.
    """

    step: Step
    gates: int
    states: tuple[int, ...]
    activations: tuple[str, ...]


class _Layer:
    """The nodes that replace one layer."""

    def __init__(self, expansion: Expansion, kind: _Kind) -> None:
        self._e, self._kind = expansion, kind
        self._batch_first = bool(expansion.attribute("layout", 0))
        given = expansion.element(expansion.node.input[0])
        self._element = onnx.TensorProto.FLOAT if given in _HALVES else given
        self._dtype = onnx.helper.tensor_dtype_to_np_dtype(self._element)
        self._backwards = self._directions()
        self._hidden = expansion.shape(expansion.node.input[2])[-1]
        self._time, self._batch, self._inputs = self._checked()

    def nodes(self) -> list[onnx.NodeProto]:
        """The loops, and what joins the results of directions."""
        kind, count = self._kind, len(self._backwards)
        chosen = activations(self._e, kind.activations * count, self._dtype)
        each = len(kind.activations)
        found = [self._direction(d, chosen[d * each :][:each]) for d in range(count)]
        sequences, *states = zip(*found, strict=True)
        whole, last = (self._time, 1, self._batch, self._hidden), (1, self._batch, self._hidden)
        results = [self._joined(0, sequences, 1, whole, (2, 0, 1, 3))]
        for place, parts in enumerate(states, start=1):
            results.append(self._joined(place, parts, 0, last, (1, 0, 2)))
        return self._e.finish(*results)

    def _directions(self) -> list[bool]:
        direction = self._e.attribute("direction", "forward")
        if direction not in _DIRECTIONS:
            raise self._e.invalid(f"direction is {direction!r}")
        return _DIRECTIONS[direction]

    def _checked(self) -> Shape:
        """Times, batch and size of the input, once all operands fit them."""
        e, count, hidden = self._e, len(self._backwards), self._hidden
        time, batch, size = e.shape(e.node.input[0])
        if self._batch_first:
            time, batch = batch, time
        rows = self._kind.gates * hidden
        state = (batch, count, hidden) if self._batch_first else (count, batch, hidden)
        expected = {1: (count, rows, size), 2: (count, rows, hidden), 3: (count, 2 * rows)}
        expected |= {4: (batch,), 7: (count, 3 * hidden)}
        expected |= dict.fromkeys(self._kind.states, state)
        for place, sizes in expected.items():
            name = e.operand(place)
            if name is not None and e.shape(name) != sizes:
                found = _spelled(e.shape(name))
                raise e.invalid(f"{name} is of {found}, and should be of {_spelled(sizes)}")
        if e.attribute("hidden_size", hidden) != hidden:
            raise e.invalid(f"hidden_size is not {hidden}, that of its weights")
        return time, batch, size

    def _direction(self, d: int, chosen: Sequence[Activation]) -> list[str]:
        """One direction: all its hidden states, or nothing, and the last states."""
        bias, late = self._biases(d)
        recurrence = self._e.op("Transpose", self._part(2, d), perm=[1, 0])
        peepholes = self._part(7, d) if self._e.operand(7) else ""
        cell = Cell(
            self._hidden, self._dtype, recurrence, late, peepholes, chosen, self._e.attributes
        )
        begin = [self._begin(place, d) for place in self._kind.states]
        return self._loop(cell, self._contributions(d, bias), begin, self._backwards[d])

    def _biases(self, d: int) -> tuple[str, str]:
        """What is added once for all times, and what a GRU adds before its reset."""
        e, rows = self._e, self._kind.gates * self._hidden
        if not e.operand(3):
            return "", ""
        both = self._part(3, d)
        inner, outer = (columns(e, both, begin, begin + rows) for begin in (0, rows))
        if not e.attribute("linear_before_reset"):
            return e.op("Add", inner, outer), ""
        late = columns(e, outer, 2 * self._hidden, rows)
        early = columns(e, outer, 0, 2 * self._hidden)
        zeros = e.constant(np.zeros(self._hidden), self._dtype)
        return e.op("Add", inner, e.op("Concat", early, zeros, axis=0)), late

    def _contributions(self, d: int, bias: str) -> str:
        """The input's part for all times, [time, batch, gates * hidden], as they are read."""
        e, rows = self._e, self._kind.gates * self._hidden
        x = self._wide(e.node.input[0])
        if self._batch_first:
            x = e.op("Transpose", x, perm=[1, 0, 2])
        if self._backwards[d]:
            x = self._reversed(x)
        stacked = self._reshaped(x, (self._time * self._batch, self._inputs))
        product = e.op("MatMul", stacked, e.op("Transpose", self._part(1, d), perm=[1, 0]))
        if bias:
            product = e.op("Add", product, bias)
        return self._reshaped(product, (self._time, self._batch, rows))

    def _begin(self, place: int, d: int) -> str:
        if self._e.operand(place):
            return self._part(place, d, axis=1 if self._batch_first else 0)
        return self._e.constant(np.zeros((self._batch, self._hidden)), self._dtype)

    def _loop(
        self, cell: Cell, contributions: str, begin: list[str], backwards: bool
    ) -> list[str]:
        e, whole = self._e, (self._time, self._batch, self._hidden)
        lengths, times = self._lengths(), self._times(backwards)
        is_shown = bool(e.node.output[0])

        def step(body: Expansion, iteration: str, states: list[str]) -> list[str]:
            before = states[: len(begin)]
            x = body.op("Gather", contributions, iteration, axis=0)
            behind = self._kind.step(body, cell, x, before)
            shown = behind[0]
            if lengths:
                moment = body.op("Gather", times, iteration, axis=0)
                within = body.op("Less", moment, lengths)
                shown = body.op("Where", within, shown, body.constant(0, self._dtype))
                pairs = zip(behind, before, strict=True)
                behind = [body.op("Where", within, *pair) for pair in pairs]
            if is_shown:
                row = body.op("Reshape", shown, body.constant((1, *whole[1:])))
                place = body.op("Reshape", iteration, body.constant((1, 1)))
                behind.append(body.op("ScatterND", states[-1], place, row))
            return behind

        outputs = [e.constant(np.zeros(whole), self._dtype)] if is_shown else []
        results = e.loop(self._time, [*begin, *outputs], step)
        last = results.pop() if is_shown else ""
        return [self._reversed(last) if last and backwards else last, *results]

    def _lengths(self) -> str:
        """The lengths of the sequences, [batch, 1]; nothing if all are whole."""
        name = self._e.operand(4)
        known = self._e.array(name) if name else None
        if name is None or (known is not None and (known == self._time).all()):
            return ""
        return self._reshaped(name, (self._batch, 1))

    def _times(self, backwards: bool) -> str:
        """The time of each iteration, [time, 1, 1]: a loop counts forwards."""
        times = np.arange(self._time).reshape(-1, 1, 1)
        return self._e.constant(times[::-1] if backwards else times, np.int32)

    def _joined(
        self, place: int, parts: Sequence[str], axis: int, shape: Shape, order: Sequence[int]
    ) -> str:
        """What the directions make, laid out as the node has it."""
        e = self._e
        if place >= len(e.node.output) or not e.node.output[place]:
            return ""
        value = e.op("Concat", *(self._reshaped(part, shape) for part in parts), axis=axis)
        if self._batch_first:
            value = e.op("Transpose", value, perm=list(order))
        element = e.element(e.node.output[place])
        return value if element == self._element else e.op("Cast", value, to=element)

    def _part(self, place: int, d: int, axis: int = 0) -> str:
        """What an operand holds for one direction, without the axis of directions."""
        e, value = self._e, self._wide(self._e.node.input[place])
        shape = e.shape(value)
        if shape[axis] > 1:
            value = e.op("Slice", value, *map(e.constant, ([d], [d + 1], [axis])))
        return self._reshaped(value, shape[:axis] + shape[axis + 1 :])

    def _reshaped(self, value: str, shape: Shape) -> str:
        return self._e.op("Reshape", value, self._e.constant(shape))

    def _wide(self, name: str) -> str:
        if self._e.element(name) == self._element:
            return name
        return self._e.op("Cast", name, to=self._element)

    def _reversed(self, value: str) -> str:
        places = self._e.constant(range(self._time)[::-1])
        return self._e.op("Gather", value, places, axis=0)


def _spelled(shape: Shape) -> str:
    return "x".join(map(str, shape))


_KINDS = {
    "GRU": _Kind(gru_step, 3, (5,), ("Sigmoid", "Tanh")),
    "LSTM": _Kind(lstm_step, 4, (5, 6), ("Sigmoid", "Tanh", "Tanh")),
    "RNN": _Kind(rnn_step, 1, (5,), ("Tanh",)),
}


def _recurrent(expansion: Expansion) -> list[onnx.NodeProto]:
    return _Layer(expansion, _KINDS[expansion.node.op_type]).nodes()


RECURRENT_REWRITES: Mapping[str, Rewrite] = dict.fromkeys(_KINDS, _recurrent)
