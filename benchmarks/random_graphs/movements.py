"""Steps that only move data, for tensors of any element type."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from random_graphs.builder import LARGEST_RANK, GraphBuilder, Tensor, require


def divisors(n: int) -> list[int]:
    """The numbers that divide ``n``, in order."""
    return [d for d in range(1, n + 1) if n % d == 0]


def _to_shape(g: GraphBuilder, x: Tensor, shape: Sequence[int]) -> Tensor:
    return g.apply("Reshape", x, g.constant(shape))


_VECTOR = 4
"""Elements of 32 bits that a GPU loads at once."""


def _cut(g: GraphBuilder, x: Tensor, axis: int, start: int, end: int, step: int = 1) -> Tensor:
    return g.apply("Slice", x, *(g.constant([n]) for n in (start, end, axis, step)))


def _exchange(g: GraphBuilder, x: Tensor, axis: int) -> Tensor:
    """Exchanges ``axis`` with the next one."""
    perm = list(range(x.rank))
    perm[axis], perm[axis + 1] = axis + 1, axis
    return g.apply("Transpose", x, perm=perm)


def transpose(g: GraphBuilder, x: Tensor) -> None:
    """Any permutation."""
    require(x.rank > 1)
    g.apply("Transpose", x, perm=g.permutation(x.rank))


def reshape(g: GraphBuilder, x: Tensor) -> None:
    """Merges two dims or splits one, once or twice; a split off 1 adds a dim."""
    shape = list(x.shape)
    for _ in range(g.integer(1, 2)):
        axis = g.integer(0, len(shape) - 1)
        n, merged = shape[axis], shape[axis : axis + 2]
        if len(merged) == 2 and g.choose([True, False]):
            shape[axis : axis + 2] = [math.prod(merged)]
        else:
            inner = g.choose(divisors(n))
            shape[axis : axis + 1] = [n // inner, inner]
    _to_shape(g, x, shape)


def reshape_anyhow(g: GraphBuilder, x: Tensor) -> None:
    """To any shape of as many elements, whose dims need not line up with those of x."""
    total, shape = x.array.size, []
    for _ in range(g.integer(0, LARGEST_RANK - 1)):
        shape.append(g.choose(divisors(total)))
        total //= shape[-1]
    _to_shape(g, x, [*shape, total])


def take_slice(g: GraphBuilder, x: Tensor) -> None:
    """A part along one axis, odd offsets and strides included."""
    axis = g.axis(x)
    start = g.integer(0, x.shape[axis] - 1)
    _cut(g, x, axis, start, g.integer(start + 1, x.shape[axis]), g.integer(1, 3))


def take_vectors(g: GraphBuilder, x: Tensor) -> None:
    """A part of the innermost dim that is whole vectors of four and begins anywhere."""
    length = x.shape[-1] - x.shape[-1] % _VECTOR if x.rank else 0
    require(length >= _VECTOR)
    size = _VECTOR * g.integer(1, length // _VECTOR)
    start = g.integer(0, x.shape[-1] - size)
    _cut(g, x, x.rank - 1, start, start + size)


def flip(g: GraphBuilder, x: Tensor) -> None:
    """One axis backwards."""
    _cut(g, x, g.axis(x), -1, -(2**31), -1)


def roll(g: GraphBuilder, x: Tensor) -> None:
    """A cyclic shift along one or two axes, as Swin's shifted windows."""
    for _ in range(g.integer(1, 2)):
        axis = g.axis(x)
        shift = g.integer(1, x.shape[axis] - 1)
        head, tail = _cut(g, x, axis, 0, shift), _cut(g, x, axis, shift, x.shape[axis])
        x = g.apply("Concat", tail, head, axis=axis)


def pad(g: GraphBuilder, x: Tensor) -> None:
    """Up to 3 elements on each side of two axes, with a constant or 0."""
    low, high = [0] * x.rank, [0] * x.rank
    for _ in range(2):
        axis = g.axis(x)
        low[axis], high[axis] = g.integer(0, 3), g.integer(0, 3)
    require(any(low + high))
    value = [g.weight(())] if x.is_float else []
    g.apply("Pad", x, g.constant([*low, *high]), *value)


def pad_to_vectors(g: GraphBuilder, x: Tensor) -> None:
    """The innermost dim becomes whole vectors of four, and begins anywhere in them."""
    require(x.rank > 0)
    more = -x.shape[-1] % _VECTOR + _VECTOR * g.integer(0, 1)
    require(more > 0)
    before, kept = g.integer(0, more), [0] * (x.rank - 1)
    value = [g.weight(())] if x.is_float else []
    g.apply("Pad", x, g.constant([*kept, before, *kept, more - before]), *value)


def pad_reflected(g: GraphBuilder, x: Tensor) -> None:
    """Mirrors inner elements of the last two axes; torch-mlir knows no other axes."""
    require(x.is_float and x.rank in (3, 4))
    most = [min(2, n - 1) for n in x.shape[-2:]]
    low, high = ([g.integer(0, n) for n in most] for _ in range(2))
    require(any(low + high))
    kept = [0] * (x.rank - 2)
    g.apply("Pad", x, g.constant([*kept, *low, *kept, *high]), mode="reflect")


def concat(g: GraphBuilder, x: Tensor) -> None:
    """Joins tensors of the graph that fit along one axis; the same one twice, too."""
    axis = g.axis(x)
    fitting = [t for t in g.tensors if _joins(x, t, axis)]
    g.apply("Concat", x, *(g.choose(fitting) for _ in range(g.integer(1, 2))), axis=axis)


def _joins(x: Tensor, other: Tensor, axis: int) -> bool:
    if other.rank != x.rank or other.array.dtype != x.array.dtype:
        return False
    pairs = enumerate(zip(x.shape, other.shape, strict=True))
    return all(a == b or d == axis for d, (a, b) in pairs)


def split(g: GraphBuilder, x: Tensor) -> None:
    """Two or three parts along one axis, of different sizes."""
    axis = g.axis(x)
    first = g.integer(1, x.shape[axis] - 1)
    second = g.integer(1, x.shape[axis] - first)
    rest = x.shape[axis] - first - second
    sizes = [first, second, rest] if rest else [first, second]
    g.apply("Split", x, g.constant(sizes), results=len(sizes), axis=axis)


def expand(g: GraphBuilder, x: Tensor) -> None:
    """Repeats along dims of size 1 and new outer dims."""
    shape = [g.integer(2, 4) if n == 1 else n for n in x.shape]
    if shape == list(x.shape) or g.choose([False, True]):
        shape.insert(0, g.integer(1, 3))
    g.apply("Expand", x, g.constant(shape))


def tile(g: GraphBuilder, x: Tensor) -> None:
    """Repeats the whole tensor along one axis."""
    repeats = [1] * x.rank
    repeats[g.axis(x)] = g.integer(2, 3)
    g.apply("Tile", x, g.constant(repeats))


def repeat_elements(g: GraphBuilder, x: Tensor) -> None:
    """Repeats each element along one axis."""
    axis, times = g.axis(x), g.integer(2, 3)
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    apart = g.apply("Unsqueeze", x, g.constant([axis + 1]))
    repeated = g.apply("Expand", apart, g.constant([*before, n, times, *after]))
    _to_shape(g, repeated, [*before, n * times, *after])


def gather(g: GraphBuilder, x: Tensor) -> None:
    """Reads constant indices along one axis: regular tables, random ones, or one index,
    whose axis goes away."""
    axis = g.axis(x)
    n = x.shape[axis]
    tables = (
        list(range(n - 1, -1, -1)),
        [(i + n // 2) % n for i in range(n)],
        [i // 2 + (i % 2) * (n // 2) for i in range(n - n % 2)],
        [i // 2 for i in range(2 * n)],
        g.permutation(n),
        [g.integer(-n, n - 1) for _ in range(g.integer(1, 5))],
        g.integer(0, n - 1),
    )
    g.apply("Gather", x, g.constant(np.asarray(g.choose(tables), np.int64)), axis=axis)


def depth_to_space(g: GraphBuilder, x: Tensor) -> None:
    """Channels become a finer grid; x is batch, channels, rows, columns."""
    require(x.rank == 4 and x.shape[1] % 4 == 0)
    g.apply("DepthToSpace", x, blocksize=2, mode=g.choose(["DCR", "CRD"]))


def space_to_depth(g: GraphBuilder, x: Tensor) -> None:
    """A grid becomes channels; x is batch, channels, rows, columns."""
    block = g.integer(2, 3)
    require(x.rank == 4 and not any(n % block for n in x.shape[2:]))
    g.apply("SpaceToDepth", x, blocksize=block)


def windows(g: GraphBuilder, x: Tensor) -> None:
    """Cuts two neighbouring axes into windows, as Swin's window partition."""
    axis = g.integer(0, x.rank - 2)
    a, b = (g.choose([d for d in divisors(n) if d > 1]) for n in x.shape[axis : axis + 2])
    (h, w), outer, inner = x.shape[axis : axis + 2], x.shape[:axis], x.shape[axis + 2 :]
    cut = _to_shape(g, x, [*outer, h // a, a, w // b, b, *inner])
    _to_shape(g, _exchange(g, cut, axis + 1), [*outer, h * w // (a * b), a * b, *inner])


def shuffle_channels(g: GraphBuilder, x: Tensor) -> None:
    """Interleaves the groups of one axis, as ShuffleNet."""
    axis = g.axis(x)
    n = x.shape[axis]
    groups = g.choose([d for d in divisors(n) if 1 < d < n])
    cut = _to_shape(g, x, [*x.shape[:axis], groups, n // groups, *x.shape[axis + 1 :]])
    _to_shape(g, _exchange(g, cut, axis), x.shape)


STEPS = (
    transpose,
    reshape,
    reshape_anyhow,
    take_slice,
    take_vectors,
    flip,
    roll,
    pad,
    pad_to_vectors,
    pad_reflected,
    concat,
    split,
    expand,
    tile,
    repeat_elements,
    gather,
    depth_to_space,
    space_to_depth,
    windows,
    shuffle_channels,
)
