"""Gather elements of images at computed places, image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from smartmem.frontend.onnx_expansion import Expansion


class Arithmetic:
    """Arithmetic on values and numbers; a number takes the type of the value beside it."""

    def __init__(self, expansion: Expansion) -> None:
        self._expansion = expansion

    def __call__(self, op: str, left: str, right: str | float) -> str:
        """``left op right``, an operator of two operands."""
        if not isinstance(right, str):
            right = self._expansion.constant(right, self._expansion.dtype(left))
        return self._expansion.op(op, left, right)

    def clip(self, value: str, low: float, high: float) -> str:
        """The nearest number between two."""
        dtype = self._expansion.dtype(value)
        limits = (self._expansion.constant(limit, dtype) for limit in (low, high))
        return self._expansion.op("Clip", value, *limits)

    def within(self, value: str, low: float, high: float) -> str:
        """Whether ``low <= value <= high``."""
        lower = self("GreaterOrEqual", value, low)
        return self("And", lower, self("LessOrEqual", value, high))


class Image:
    """A stack of images with channels, as one line of places.

    Attributes:
        sizes: along each axis of an image.
    """

    def __init__(self, expansion: Expansion, value: str) -> None:
        count, channels, *self.sizes = expansion.shape(value)
        self._expansion, self._count = expansion, count
        self._arithmetic = Arithmetic(expansion)
        rank = len(self.sizes) + 2
        turned = expansion.op("Transpose", value, perm=[1, 0, *range(2, rank)])
        line = expansion.constant([channels, count * math.prod(self.sizes)])
        self._line = expansion.op("Reshape", turned, line)

    def place(self, position: str, axis: int) -> str:
        """The element at a position along an axis, the first or last for one beyond; int64."""
        last = self.sizes[axis] - 1
        near = self._arithmetic.clip(position, 0, last)
        index = self._expansion.op("Cast", near, to=TensorProto.INT64)
        return self._arithmetic.clip(index, 0, last)  # a NaN is cast to any number

    def at(self, places: Sequence[str], image: str) -> str:
        """The elements at these places, one for each axis.

        Args:
            places: int64, that broadcast together.
            image: of which image of the stack; int64, broadcasts with them.

        Returns:
            channels x what the places broadcast to.
        """
        index = image
        for place, size in zip(places, self.sizes, strict=True):
            index = self._arithmetic("Mul", index, size)
            index = self._arithmetic("Add", index, place)
        return self._expansion.op("Gather", self._line, index, axis=1)

    def numbers(self, rank: int) -> str:
        """The number of each image, along the first of ``rank`` axes."""
        numbers = np.arange(self._count).reshape(-1, *[1] * (rank - 1))
        return self._expansion.constant(numbers)
