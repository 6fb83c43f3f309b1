"""Networks that are one chain of equal blocks, of any length, for ``time_passes.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 16
ROWS = 8
SIZE = 8

Value = str


class Chain:
    """An ONNX graph that grows behind its last value, with seeded weights."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._random = np.random.default_rng(0)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._input = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        self.value: Value = "x"

    def __len__(self) -> int:
        return len(self._nodes)

    def weight(self, *shape: int, at: float = 0.0) -> Value:
        """A weight of its own, around ``at``."""
        array = (at + 0.1 * self._random.standard_normal(shape)).astype(np.float32)
        return self.constant(array)

    def constant(self, array: np.ndarray) -> Value:
        """A constant of these elements."""
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def append(self, kind: str, *operands: Value, **attributes: Any) -> Value:
        """An operator; it reads the last value where no operand is given."""
        result = f"v{len(self._nodes)}"
        inputs = list(operands) or [self.value]
        self._nodes.append(helper.make_node(kind, inputs, [result], result, **attributes))
        self.value = result
        return result

    def model(self) -> onnx.ModelProto:
        """The chain as a model."""
        output = helper.make_tensor_value_info(self.value, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "chain", [self._input], [output], self._weights)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)


def _elementwise(chain: Chain) -> None:
    for kind in ("Sigmoid", "Tanh"):
        chain.append(kind)
        chain.append("Add", chain.value, chain.weight(CHANNELS))


def _linear(chain: Chain) -> None:
    """A linear layer with a normalization before it and a residual behind it."""
    before = chain.value
    chain.append(
        "LayerNormalization", before, chain.weight(CHANNELS, at=1.0), chain.weight(CHANNELS)
    )
    chain.append("MatMul", chain.value, chain.weight(CHANNELS, CHANNELS))
    chain.append("Add", chain.value, chain.weight(CHANNELS))
    chain.append("Add", before, chain.value)


def _convolution(chain: Chain) -> None:
    chain.append("Conv", chain.value, chain.weight(CHANNELS, CHANNELS, 3, 3), pads=[1] * 4)
    statistics = [chain.weight(CHANNELS, at=at) for at in (1.0, 0.0, 0.0, 1.0)]
    chain.append("BatchNormalization", chain.value, *statistics)
    chain.append("Relu")


def _movement(chain: Chain) -> None:
    """Reshapes and transposes between two computations."""
    shape = chain.constant(np.array([ROWS, 4, CHANNELS // 4]))
    chain.append("Reshape", chain.value, shape)
    chain.append("Transpose", perm=[1, 0, 2])
    chain.append("Softmax", axis=2)
    chain.append("Transpose", perm=[1, 0, 2])
    chain.append("Reshape", chain.value, chain.constant(np.array([ROWS, CHANNELS])))
    chain.append("MatMul", chain.value, chain.weight(CHANNELS, CHANNELS))


_BLOCKS: dict[str, tuple[tuple[int, ...], Callable[[Chain], None]]] = {
    "elementwise": ((ROWS, CHANNELS), _elementwise),
    "linear": ((ROWS, CHANNELS), _linear),
    "convolution": ((1, CHANNELS, SIZE, SIZE), _convolution),
    "movement": ((ROWS, CHANNELS), _movement),
}

CHAINS = tuple(_BLOCKS)
"""The names of the kinds of chain."""


def chain(name: str, operators: int) -> onnx.ModelProto:
    """The chain of this name with at least so many ONNX operators."""
    shape, block = _BLOCKS[name]
    found = Chain(shape)
    while len(found) < operators:
        block(found)
    return found.model()
