"""Give integers of fewer than 8 bits, which ONNX packs, a byte each.

    Constant of INT4            ->  the same of INT8; UINT4, INT2 and UINT2 likewise
    MatMulNBits(x, B, s, z)     ->  MatMul(x, Transpose(DequantizeLinear(B, s, z)))

``MatMulNBits`` is ONNX Runtime's (domain ``com.microsoft``): weights [N, blocks, bytes], of
which a block shares a scale and a zero point. Later passes pack weights again, as kernels read
them; no element is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from smartmem.errors import InvalidInputError, SmartMemError, UnsupportedError
from smartmem.frontend.onnx_checks import graphs_of
from smartmem.frontend.onnx_fold import constant_tensors
from smartmem.parameters import Array, Numbers

_DOMAIN, _OPERATOR = "com.microsoft", "MatMulNBits"

_WIDER = {
    getattr(TensorProto, name): np.dtype(f"{'u' * name.startswith('U')}int8")
    for name in ("INT4", "UINT4", "INT2", "UINT2")
    if hasattr(TensorProto, name)
}

_BITS = (2, 4, 8)


def unpack_bits(model: onnx.ModelProto) -> None:
    """Applies the rewrites in place, to subgraphs as well.

    Raises:
        InvalidInputError: the operands of a MatMulNBits do not fit each other.
        UnsupportedError: they are computed, or the form is another than that of blocks.
    """
    for graph in graphs_of(model.graph):
        for tensor in graph.initializer:
            _widen(tensor)
        for node in graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    _widen(attribute.t)
        if any(map(_is_packed_product, graph.node)):
            _replace(graph)


def _widen(tensor: TensorProto) -> None:
    dtype = _WIDER.get(tensor.data_type)
    if dtype is not None:
        array = numpy_helper.to_array(tensor).astype(dtype)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _is_packed_product(node: onnx.NodeProto) -> bool:
    return node.op_type == _OPERATOR and node.domain == _DOMAIN


def _replace(graph: onnx.GraphProto) -> None:
    known = constant_tensors(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        found = _is_packed_product(node)
        nodes.extend(_Product(graph, node, known).nodes() if found else [node])
    del graph.node[:]
    graph.node.extend(nodes)


class _Product:
    """One MatMulNBits, and the nodes that take its place."""

    def __init__(
        self, graph: onnx.GraphProto, node: onnx.NodeProto, known: Mapping[str, TensorProto]
    ) -> None:
        self._graph, self._node, self._known = graph, node, known
        self._nodes: list[onnx.NodeProto] = []
        self._numbers = count(1)
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self._k, self._n = (int(given.get(name, 0)) for name in "KN")
        self._bits = int(given.get("bits", 4))
        self._block = int(given.get("block_size", 0))
        if min(self._k, self._n, self._block) < 1 or self._bits not in _BITS:
            raise self._invalid(
                f"K = {self._k}, N = {self._n}, bits = {self._bits} and block_size = "
                f"{self._block} are no sizes of packed weights"
            )
        self._blocks = -(-self._k // self._block)

    def nodes(self) -> list[onnx.NodeProto]:
        """The product of the rows by the weights, in f32, in the type of the scales."""
        if self._operand(4):
            raise self._unsupported("g_idx puts the inputs in another order")
        scales = self._scales()
        rows = self._add("Cast", self._node.input[0], to=TensorProto.FLOAT)
        weights = self._weights(scales.astype(np.float32))
        result = self._add("MatMul", rows, weights)
        if self._operand(5):
            bias = self._add("Cast", self._node.input[5], to=TensorProto.FLOAT)
            result = self._add("Add", result, bias)
        element = helper.np_dtype_to_tensor_dtype(scales.dtype)
        last = helper.make_node("Cast", [result], self._node.output, to=element)
        return [*self._nodes, last]

    def _weights(self, scales: Numbers) -> str:
        """The weights [K, N] in f32: each block is a row with its scale and zero point."""
        middle = 1 << (self._bits - 1)
        integers = _unpacked(self._bytes(), self._bits).reshape(-1, self._block)
        operands = [self._constant((integers.astype(np.int16) - middle).astype(np.int8))]
        operands.append(self._constant(scales))
        zeros = self._zeros()
        if zeros is not None and zeros.dtype == np.uint8:
            operands.append(self._constant((zeros.astype(np.int16) - middle).astype(np.int8)))
        value = self._add("DequantizeLinear", *operands, axis=0)
        if zeros is not None and zeros.dtype != np.uint8:
            moved = (zeros.astype(np.float32) - np.float32(middle)) * scales
            value = self._add("Sub", value, self._constant(moved[:, None]))
        shape = np.array([self._n, self._blocks * self._block], np.int64)
        value = self._add("Reshape", value, self._constant(shape))
        if self._k < shape[1]:
            ends = [self._constant(np.array([n], np.int64)) for n in (0, self._k, 1)]
            value = self._add("Slice", value, *ends)
        return self._add("Transpose", value, perm=[1, 0])

    def _bytes(self) -> Numbers:
        size = -(-self._block * self._bits // 8)
        return self._sized(1, np.uint8, (self._n, self._blocks, size))

    def _scales(self) -> Numbers:
        scales = self._value(2)
        if scales.dtype not in (np.float32, np.float16):
            raise self._unsupported(f"its scales are of type {scales.dtype}")
        return self._sized(2, scales.dtype, (self._n * self._blocks,))

    def _zeros(self) -> Numbers | None:
        """Of each block: integers, or numbers of the type of the scales."""
        if not self._operand(3):
            return None
        zeros = self._value(3)
        if zeros.dtype != np.uint8:
            return self._sized(3, self._value(2).dtype, (self._n * self._blocks,))
        size = -(-self._blocks * self._bits // 8)
        packed = self._sized(3, np.uint8, (self._n, size))
        return _unpacked(packed, self._bits)[:, : self._blocks].reshape(-1)

    def _sized(self, place: int, dtype: Any, shape: tuple[int, ...]) -> Numbers:
        array = self._value(place)
        if array.dtype != dtype or array.size != np.prod(shape):
            raise self._invalid(
                f"its operand {self._node.input[place]!r} has {array.size} elements of type "
                f"{array.dtype}; K = {self._k}, N = {self._n} and block_size = {self._block} "
                f"take {int(np.prod(shape))} of type {np.dtype(dtype)}"
            )
        return array.reshape(shape)

    def _value(self, place: int) -> Numbers:
        name = self._operand(place)
        if name not in self._known:
            raise self._unsupported(f"its operand {name!r} is computed; make it a constant")
        return numpy_helper.to_array(self._known[name])

    def _operand(self, place: int) -> str:
        names = self._node.input
        return names[place] if place < len(names) else ""

    def _constant(self, array: Array) -> str:
        name = self._new_name("constant")
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def _add(self, kind: str, *operands: str, **attributes: Any) -> str:
        name = self._new_name(kind.lower())
        made = helper.make_node(kind, operands, [name], name=self._node.name, **attributes)
        self._nodes.append(made)
        return name

    def _new_name(self, what: str) -> str:
        return f"{self._node.output[0]}/{next(self._numbers)}/{what}"

    def _invalid(self, reason: str) -> SmartMemError:
        return InvalidInputError(f"operator {self._title()}: {reason}")

    def _unsupported(self, reason: str) -> SmartMemError:
        return UnsupportedError(f"operator {self._title()}: {reason}")

    def _title(self) -> str:
        return f"{_OPERATOR} (node {self._node.name or self._node.output[0]!r})"


def _unpacked(packed: Numbers, bits: int) -> Numbers:
    """The unsigned integers of ``bits`` in bytes, the lowest bits first, along the last dim."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return parts.reshape(*packed.shape[:-1], -1)
