"""Tensor constants of elements that are known now."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.parameters import Array, Parameters


def constant_tensor(
    name: str, array: Array, type_: ir.RankedTensorType, parameters: Parameters
) -> ir.Value:
    """A constant of ``type_`` at the current insertion point, recorded as a parameter.

    Equal ones are one parameter: weights that several layers share, as the steps of a
    recurrent layer do, stay one array after all of them are packed, and so in the cache.
    """
    attribute = parameters.add_once(name, array, type_)
    return ir.Operation.create("arith.constant", [type_], [], {"value": attribute}).results[0]
