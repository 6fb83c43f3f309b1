"""Parameters that are added twice."""

from __future__ import annotations

import numpy as np
from torch_mlir import ir

from smartmem.parameters import Array, Parameters, resource_key


def test_the_same_bits_are_one_parameter() -> None:
    """Whatever else is nearly the same, or has the bits of another type or shape, is not."""
    parameters = Parameters()
    weights = np.linspace(0.0, 1.0, 1000, dtype=np.float32).reshape(10, 100)
    weights[3, 3] = np.nan
    with ir.Context(), ir.Location.unknown():

        def key(array: Array, element: str = "f32") -> str | None:
            type_ = ir.RankedTensorType.get(array.shape, ir.Type.parse(element))
            return resource_key(parameters.add_once("packed", array, type_))

        first = key(weights)
        assert key(weights.copy()) == first
        assert key(np.asfortranarray(weights)) == first
        places = range(0, weights.size, 7)
        others = [weights.copy() for _ in places]
        for other, place in zip(others, places, strict=True):
            other.flat[place] += 1.0 if place != 303 else 0.0
            other.view(np.uint32).flat[place] ^= 1
        keys = [key(other) for other in others]
        keys += [key(weights.view(np.int32), "i32"), key(weights.reshape(100, 10))]
    assert len({first, *keys}) == len(keys) + 1
    for other, given in zip(others, keys, strict=False):
        assert given is not None
        np.testing.assert_array_equal(parameters[given], other)


def test_scalars_and_empty_tensors() -> None:
    """They have few bytes to compare, or none."""
    parameters = Parameters()
    with ir.Context(), ir.Location.unknown():
        for shape in ((), (0,), (1,)):
            array = np.zeros(shape, np.float32)
            type_ = ir.RankedTensorType.get(shape, ir.F32Type.get())
            attributes = [parameters.add_once("x", array, type_) for _ in range(2)]
            assert attributes[0] == attributes[1]
        flags = ir.RankedTensorType.get((2,), ir.IntegerType.get_signless(1))
        assert parameters.add_once("x", np.array([True, False]), flags) is not None
