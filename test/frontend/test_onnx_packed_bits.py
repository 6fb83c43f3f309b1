"""Weights of fewer than 8 bits, as ONNX and ONNX Runtime pack them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx_models import GENERATOR, floats, model, value

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend import import_model

Check = Callable[..., None]


def product(
    k: int, n: int, bits: int, block: int, *, rows: tuple[int, ...] = (3,), **changed: Any
) -> ModelProto:
    """A MatMulNBits; ``changed`` replaces constants, and None leaves them out."""
    blocks = -(-k // block)
    constants = {
        "B": GENERATOR.integers(0, 256, (n, blocks, -(-block * bits // 8)), dtype=np.uint8),
        "scales": abs(floats(n * blocks)) * 0.1,
        "zeros": None,
        "order": None,
        "bias": None,
        **changed,
    }
    names = ["x", *(name if constants[name] is not None else "" for name in constants)]
    while not names[-1]:
        names.pop()
    sizes = {"K": k, "N": n, "bits": bits, "block_size": block}
    node = helper.make_node("MatMulNBits", names, ["y"], domain="com.microsoft", **sizes)
    element = helper.np_dtype_to_tensor_dtype(constants["scales"].dtype)
    return model(
        [node],
        [value("x", *rows, k, element=element)],
        [value("y", *rows, n, element=element)],
        {name: array for name, array in constants.items() if array is not None},
        domain="com.microsoft",
    )


def packed_zeros(k: int, n: int, bits: int, block: int) -> Any:
    count = -(-k // block) * bits
    return GENERATOR.integers(0, 256, n * -(-count // 8), dtype=np.uint8)


@pytest.mark.parametrize(
    ("k", "n", "bits", "block"),
    [(64, 8, 4, 32), (72, 5, 4, 16), (33, 3, 4, 32), (96, 4, 4, 64), (40, 6, 8, 16)],
)
@pytest.mark.parametrize("zeros", [False, True])
def test_products_by_packed_weights(
    check: Check, k: int, n: int, bits: int, block: int, zeros: bool
) -> None:
    points = packed_zeros(k, n, bits, block) if zeros else None
    proto = product(k, n, bits, block, rows=(2, 3), zeros=points)
    check(import_model(proto), floats(2, 3, k))


def test_a_bias_and_zero_points_that_are_numbers(check: Check) -> None:
    proto = product(64, 6, 4, 32, zeros=abs(floats(12)) * 8, bias=floats(6))
    check(import_model(proto), floats(3, 64))


def test_half_precision(check: Check) -> None:
    proto = product(64, 6, 4, 32, scales=(abs(floats(12)) * 0.1).astype(np.float16))
    check(import_model(proto), floats(3, 64).astype(np.float16), tolerance=2e-3)


def dequantized(
    element: int, shape: tuple[int, ...], scales: Any, zeros: bool, **how: int
) -> ModelProto:
    """A DequantizeLinear of constants of 4 bits, added to the input."""
    low = 0 if element == TensorProto.UINT4 else -8

    def tensor(name: str, *sizes: int) -> TensorProto:
        numbers = GENERATOR.integers(low, low + 16, sizes)
        return helper.make_tensor(name, element, sizes, numbers.flatten().tolist())

    operands = [tensor("q", *shape), numpy_helper.from_array(scales, "s")]
    if zeros:
        operands.append(tensor("z", *scales.shape))
    nodes = [
        helper.make_node("DequantizeLinear", [t.name for t in operands], ["w"], **how),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    proto = model(nodes, [value("x", *shape)], [value("y", *shape)], opset=21)
    proto.graph.initializer.extend(operands)
    proto.ir_version = 10
    return proto


@pytest.mark.parametrize("element", [TensorProto.INT4, TensorProto.UINT4])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(
    ("shape", "scale", "how"),
    [
        ((5, 7), (), {}),
        ((5, 7), (7,), {"axis": 1}),
        ((12, 5), (3, 5), {"axis": 0, "block_size": 4}),
        ((3, 10), (3, 3), {"axis": 1, "block_size": 4}),  # the last block has two
        ((2, 8, 3), (2, 2, 3), {"axis": -2, "block_size": 4}),
    ],
)
def test_integers_of_four_bits(
    check: Check,
    element: int,
    zeros: bool,
    shape: tuple[int, ...],
    scale: tuple[int, ...],
    how: dict[str, int],
) -> None:
    scales = np.asarray(abs(floats(*scale)), np.float32)
    check(import_model(dequantized(element, shape, scales, zeros, **how)), floats(*shape))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"'scales' has 11 elements .* take 12"):
        import_model(product(64, 6, 4, 32, scales=floats(11)))
    with pytest.raises(InvalidInputError, match="'B' has 3 elements"):
        import_model(product(64, 6, 4, 32, B=np.zeros(3, np.uint8)))
    with pytest.raises(InvalidInputError, match="bits = 5 and block_size = 32 are no sizes"):
        import_model(product(64, 6, 5, 32))
    with pytest.raises(UnsupportedError, match="g_idx"):
        import_model(product(64, 6, 4, 32, order=np.zeros(64, np.int32)))
    with pytest.raises(UnsupportedError, match="scales are of type float64"):
        import_model(product(64, 6, 4, 32, scales=np.ones(12)))


def test_computed_weights_are_refused() -> None:
    proto = product(64, 6, 4, 32)
    weights = next(tensor for tensor in proto.graph.initializer if tensor.name == "B")
    proto.graph.initializer.remove(weights)
    proto.graph.input.append(value("B", *weights.dims, element=TensorProto.UINT8))
    with pytest.raises(UnsupportedError, match="'B' is computed"):
        import_model(proto)


def test_integers_of_four_bits_as_inputs_are_refused() -> None:
    node: NodeProto = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    proto = model([node], [value("x", 4, element=TensorProto.INT4)], [value("y", 4)], opset=21)
    with pytest.raises(UnsupportedError, match="INT4"):
        import_model(proto)
