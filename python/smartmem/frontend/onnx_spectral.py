"""Write Fourier transforms as products with constant matrices.

    DFT(x, n)          ->  MatMul(x, cos and sin of 2 pi k t / n)
    STFT(x, step, w)   ->  DFT(Gather(x, frames) * w)

Real and imaginary parts lie next to each other, so that one product gives both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.parameters import Numbers

Nodes = list[onnx.NodeProto]

_SIGNED_AXIS = 20
"""The opset from which on the axis is an operand, and the last one by default."""

_LARGEST = 1 << 24
"""Elements of a matrix; a fast transform is what longer ones want."""


def _dft(to: Expansion) -> Nodes:
    source = to.node.input[0]
    rank = len(to.shape(source))
    axis = _number(to, 2)
    if axis is None:
        axis = int(to.attribute("axis", 1 if to.opset < _SIGNED_AXIS else -2))
    if not -rank <= axis < rank or axis % rank == rank - 1:
        raise to.invalid(f"axis is {axis}; the operand has {rank} dims, the last of parts")
    inverse, onesided = (bool(to.attribute(name, 0)) for name in ("inverse", "onesided"))
    length = _number(to, 1)
    return to.finish(_transformed(to, source, axis % rank, length, inverse, onesided))


def _number(to: Expansion, place: int) -> int | None:
    """A constant operand; None if it is left out."""
    known = to.known(place)
    return None if known is None else int(known.reshape(-1)[0])


def _stft(to: Expansion) -> Nodes:
    source, window = to.node.input[0], to.operand(2)
    count = to.shape(source)[1]
    step, length = _number(to, 1) or 0, _number(to, 3)
    if length is None:
        length = to.shape(window)[0] if window else count
    if step < 1 or not 1 <= length <= count:
        raise to.invalid(f"frames of {length} every {step} of a signal of {count}")
    places = np.arange(0, count - length + 1, step)[:, None] + np.arange(length)
    frames = to.op("Gather", source, to.constant(places), axis=1)
    if window:
        factors = to.op("Reshape", window, to.constant([length, 1]))
        frames = to.op("Mul", frames, factors)
    onesided = bool(to.attribute("onesided", 1))
    return to.finish(_transformed(to, frames, 2, length, False, onesided))


def _transformed(
    to: Expansion, value: str, axis: int, length: int | None, inverse: bool, onesided: bool
) -> str:
    """The transform of ``value`` along ``axis``; its last dim are real and imaginary parts.

    Args:
        length: of the signal, which is cut or takes zeros behind; None for its own.
        inverse: the inverse transform.
        onesided: the spectrum of a real signal, of which one half is held.
    """
    size, parts = to.shape(value)[axis], to.shape(value)[-1]
    if parts not in (1, 2):
        raise to.invalid(f"its operand has {parts} parts; the last dim is 1, or 2 if complex")
    if onesided and not inverse and parts == 2:
        raise to.invalid("the transform of a complex signal has two sides; onesided is 1")
    if length is None:
        length = 2 * (size - 1) if inverse and onesided else size
    if length < 1:
        raise to.invalid(f"the length of the signal is {length}; the least is 1")
    held = min(size, length // 2 + 1 if inverse and onesided else length)
    matrix = (
        _of_half(held, parts, length)
        if inverse and onesided
        else _of_whole(held, parts, length, inverse, onesided)
    )
    if matrix.size > _LARGEST:
        raise to.unsupported(f"a signal of {length} elements is too long to be transformed")
    return _multiplied(to, value, axis, matrix)


def _of_whole(held: int, parts: int, length: int, inverse: bool, onesided: bool) -> Numbers:
    """The matrix of a transform: elements x parts x frequencies x 2."""
    count = length // 2 + 1 if onesided else length
    cos, sin = _waves(held, count, length)
    sin = sin if inverse else -sin
    matrix = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], 1)
    return np.asarray(matrix[:, :parts] / (length if inverse else 1))


def _of_half(held: int, parts: int, length: int) -> Numbers:
    """The matrix from one half of a spectrum to its real signal: frequencies x parts x elements x 1.

    The other half is its mirror image, so that what has one counts twice.
    """
    cos, sin = _waves(held, length, length)
    frequency = np.arange(held)
    twice = np.where((frequency == 0) | (2 * frequency == length), 1, 2)[:, None]
    matrix = np.stack([cos * twice, -sin * twice], 1)[..., None]
    return np.asarray(matrix[:, :parts] / length)


def _waves(rows: int, columns: int, length: int) -> tuple[Numbers, Numbers]:
    """Cosine and sine of 2 pi k t / n; the product is reduced first, to keep all digits."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % length
    angles = 2 * math.pi / length * turns
    return np.cos(angles), np.sin(angles)


def _multiplied(to: Expansion, value: str, axis: int, matrix: Numbers) -> str:
    """Contracts ``axis`` and the parts of ``value`` with the first two dims of ``matrix``."""
    held, parts, count, made = matrix.shape
    shape = to.shape(value)
    if held < shape[axis]:
        limits = (to.constant([n]) for n in (0, held, axis))
        value = to.op("Slice", value, *limits)
    rank = len(shape)
    order = [*(d for d in range(rank) if d not in (axis, rank - 1)), axis, rank - 1]
    if order != sorted(order):
        value = to.op("Transpose", value, perm=order)
    rest = [shape[d] for d in order[:-2]]
    value = to.op("Reshape", value, to.constant([math.prod(rest), held * parts]))
    factors = to.constant(matrix.reshape(held * parts, count * made), to.dtype(value))
    value = to.op("MatMul", value, factors)
    value = to.op("Reshape", value, to.constant([*rest, count, made]))
    back = list(np.argsort(order))
    return value if order == sorted(order) else to.op("Transpose", value, perm=back)


SPECTRAL_REWRITES: Mapping[str, Rewrite] = {"DFT": _dft, "STFT": _stft}
