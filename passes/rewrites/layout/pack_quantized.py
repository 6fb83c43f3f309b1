"""Rebuild a linear layer of quantized weights over words, each of which holds several weights.

A word holds successive steps of the reduction, the first one in its lowest bits. Words lie as
[block of channels, group of steps, word, channel of the block]: a vector of words has a step of
as many channels, once it is shifted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.index_map import IndexMap, Shape, constant, digits_of, dim
from smartmem.index_map.affine import projection
from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.layout.packing import QuantizedPacking
from smartmem.passes.analysis.layout.quantized_weights import WORD, QuantizedLayer
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.layout.pack_layer import split_end
from smartmem.passes.rewrites.loops.split_loops import (
    new_init,
    rebuild,
    reshaped,
    split_operand,
    view_as,
)


def pack_quantized(found: QuantizedPacking, parameters: Parameters) -> None:
    """Replaces the layer; its elementwise end runs over the same blocks afterwards."""
    op = found.layer.op
    with ir.InsertionPoint(op), op.location:
        stored = _Stored(found, parameters)
        new = _few_rows(stored) if found.layer.has_few_rows else _rows(stored)
        op.results[0].replace_all_uses_with(reshaped(new, shape_of(op.results[0])))
    op.erase()
    split_end(new)


class _Stored:
    """The constants of a layer.

    Attributes:
        words: i32 [blocks, groups, words, channels of a block].
        scales: f32 [blocks, groups, channels of a block], or [blocks, channels].
        zeros: as the scales, or None.
    """

    def __init__(self, found: QuantizedPacking, parameters: Parameters) -> None:
        layer, self.layer, self.width = found.layer, found.layer, found.width
        self._parameters = parameters
        self.words = self._constant("words", _words(layer, found.width), "i32")
        self.scales = self._constant("scales", _blocked(layer.scales, found.width), "f32")
        zeros = None if layer.zeros is None else _blocked(layer.zeros, found.width)
        self.zeros = None if zeros is None else self._constant("zeros", zeros, "f32")

    @property
    def factors(self) -> list[ir.Value]:
        """The scales and, where there are some, the zero points."""
        return [self.scales] if self.zeros is None else [self.scales, self.zeros]

    def _constant(self, name: str, array: Array, element: str) -> ir.Value:
        type_ = ir.RankedTensorType.get(list(array.shape), ir.Type.parse(element))
        return constant_tensor(name, array, type_, self._parameters)


def _words(layer: QuantizedLayer, width: int) -> Array:
    channels, reduction = layer.integers.shape
    each = WORD // layer.bits
    groups, words = reduction // layer.steps, layer.steps // each
    parts = layer.integers.reshape(channels // width, width, groups, words, each)
    mask = np.uint32((1 << layer.bits) - 1)
    packed = np.zeros(parts.shape[:-1], np.uint32)
    for place in range(each):
        packed |= (parts[..., place].astype(np.uint32) & mask) << np.uint32(place * layer.bits)
    return np.ascontiguousarray(packed.transpose(0, 2, 3, 1)).view(np.int32)


def _blocked(factors: Array, width: int) -> Array:
    channels, groups = factors.shape
    blocks = factors.reshape(channels // width, width, groups).transpose(0, 2, 1)
    return np.ascontiguousarray(blocks[:, 0] if groups == 1 else blocks)


def _few_rows(stored: _Stored) -> ir.Value:
    """A sum over groups, each of which is a sum of products of its own.

    %r[m, b, l] += %s[b, g, l] * (%x[m, g, 0] * unpacked(%w[b, g, 0, l], 0) + ...)
    """
    layer = stored.layer
    blocks, groups, words, width = shape_of(stored.words)
    rows = (layer.rows,) if layer.rows > 1 else ()
    k = len(rows)  # the loops are the rows, block, channel of a block, group
    steps = reshaped(layer.op.operands[layer.data], (*rows, groups, layer.steps))
    of_rows = range(k + 1)
    inputs = [
        _part(steps, (*rows, groups), of_rows, (*[0] * (k + 1), j)) for j in range(layer.steps)
    ]
    inputs += [
        _part(stored.words, (blocks, groups, width), (0, 1, 3), (0, 0, w, 0))
        for w in range(words)
    ]
    inputs += stored.factors
    whole, channels = (projection(k + 3, [k, *d, k + 1]) for d in ([k + 2], []))
    maps = [projection(k + 3, [*range(k), k + 2])] * layer.steps + [whole] * words
    maps += [whole if len(shape_of(v)) == 3 else channels for v in stored.factors]
    maps += [projection(k + 3, range(k + 2))]
    init = new_init(layer.op.operands[2], (*rows, blocks, width))
    kinds = build.iterators([*[False] * (k + 2), True])
    generic = build.generic([*inputs, init], maps, kinds)
    block = build.new_body(generic)
    with ir.InsertionPoint(block):
        elements = list(block.arguments)
        x, w = elements[: layer.steps], elements[layer.steps :][:words]
        linalg.YieldOp([_sum(layer, x, w, elements[layer.steps + words : -1], elements[-1])])
    return generic.results[0]


def _part(value: ir.Value, shape: Shape, kept: Sequence[int], at: Sequence[int]) -> ir.Value:
    """The part of ``value`` that has the dims ``kept``, and ``at`` in the others."""
    exprs = [dim(kept.index(d)) if d in kept else constant(n) for d, n in enumerate(at)]
    return view_as(value, IndexMap(tuple(exprs), shape))


def _sum(
    layer: QuantizedLayer,
    rows: Sequence[ir.Value],
    words: Sequence[ir.Value],
    factors: Sequence[ir.Value],
    output: ir.Value,
) -> ir.Value:
    each = WORD // layer.bits
    total: ir.Value | None = None
    for number, row in enumerate(rows):
        weight = _unpacked(words[number // each], _shift(layer, number % each), layer.bits)
        if len(factors) > 1:
            weight = arith.subf(weight, factors[1])
        product = arith.mulf(weight, row)
        total = product if total is None else arith.addf(total, product)
    assert total is not None, "a group has steps"
    return arith.addf(output, arith.mulf(total, factors[0]))


def _shift(layer: QuantizedLayer, place: int) -> ir.Value:
    """By how much a word is shifted for its integer ``place`` to be in the highest bits."""
    return _number(WORD - layer.bits * (place + 1))


def _number(value: int) -> ir.Value:
    type_ = ir.IntegerType.get_signless(WORD)
    return arith.constant(type_, value)


def _unpacked(word: ir.Value, shift: ir.Value, bits: int) -> ir.Value:
    """The integer, with its sign, as f32."""
    highest = arith.shli(word, shift)
    return arith.sitofp(ir.F32Type.get(), arith.shrsi(highest, _number(WORD - bits)))


def _rows(stored: _Stored) -> ir.Value:
    """A contraction of rows by weights that a kernel before it unpacks."""
    layer, nest = stored.layer, stored.layer.nest
    radices: list[tuple[int, ...]] = [(n,) if n > 1 else () for n in nest.domain]
    blocks = shape_of(stored.words)[0]
    radices[layer.channel] = (blocks, stored.width) if blocks > 1 else (stored.width,)
    operands = [split_operand(layer.op.operands[k], nest, k, radices) for k in (0, 1, 2)]
    *outer, last = digits_of(radices, layer.channel)
    loops = (*outer, *digits_of(radices, layer.step), last)
    shape = tuple(
        math.prod(radices[layer.step]) if d not in (*outer, last) else n
        for d, n in zip(loops, _extents(radices, loops), strict=True)
    )
    weights = reshaped(_weights(stored), shape)
    operands[1 - layer.data] = (weights, tuple(map(dim, loops)))
    return rebuild(layer.op, nest, radices, operands)


def _extents(radices: Sequence[tuple[int, ...]], digits: Sequence[int]) -> list[int]:
    flat = [n for radix in radices for n in radix]
    return [flat[d] for d in digits]


def _weights(stored: _Stored) -> ir.Value:
    """The weights in f32: [blocks, groups, words, steps of a word, channels of a block]."""
    layer = stored.layer
    blocks, groups, words, width = shape_of(stored.words)
    each = WORD // layer.bits
    shifts = np.array([WORD - layer.bits * (k + 1) for k in range(each)], np.int32)
    type_ = ir.RankedTensorType.get([each], ir.IntegerType.get_signless(WORD))
    attribute = ir.DenseElementsAttr.get(shifts, type=type_.element_type)
    table = ir.Operation.create("arith.constant", [type_], [], {"value": attribute}).results[0]
    maps = [projection(5, [0, 1, 2, 4]), projection(5, [3])]
    maps += [
        projection(5, [0, 1, 4] if len(shape_of(v)) == 3 else [0, 4]) for v in stored.factors
    ]
    init = build.empty(build.tensor_type(stored.scales, (blocks, groups, words, each, width)))

    def weight(elements: Sequence[ir.Value]) -> ir.Value:
        word, shift, scale, *zero = elements
        value = _unpacked(word, shift, layer.bits)
        return arith.mulf(arith.subf(value, zero[0]) if zero else value, scale)

    return build.elementwise([stored.words, table, *stored.factors], maps, init, weight)
