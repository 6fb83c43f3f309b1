"""The metric of algebraic rewriting: FLOPs and bytes (DNNFusion, section 4.2).

Both make one number, in FLOPs: a byte read or written counts ``FLOPS_PER_BYTE``.

A subexpression counts once for each different value it takes: one that varies along the
rows of an m x n iteration counts m times, for it is computed outside of the inner loop.
One that depends on weights alone costs nothing, because ``smartmem-fold-constants``
computes it when compiling.

Where DNNFusion counts every function as one FLOP, here a function counts as the
multiplications that it takes the time of, to the order of magnitude: division and roots
run at a quarter of the rate of a multiplication or less on CPUs and on the special
function units of mobile GPUs, exponentials and the like are polynomials of about 16
terms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.mlir.memo import remembered
from smartmem.passes.analysis.scalars.bodies import Body
from smartmem.passes.analysis.scalars.constant_values import is_free
from smartmem.passes.analysis.scalars.expressions import Node, arguments, reachable
from smartmem.passes.analysis.scalars.scalar_functions import dtype_of

_DIVISION, _TRANSCENDENTAL = 4, 16

# Arithmetic against memory bandwidth: a desktop core does some 100 GFLOP/s and moves some
# 12 GB/s of its machine's bandwidth. Phones have more of either per byte.
FLOPS_PER_BYTE = 8

# Smaller gains, as a part of the FLOPs, are not worth other rounding than the model's: a
# division of the sum of a row is lost among those of its elements.
LEAST_GAIN = 0.01

# FLOPs of what is not one.
FLOPS: Mapping[str, int] = {
    "arith.divf": _DIVISION,
    "arith.remf": _DIVISION,
    "math.sqrt": _DIVISION,
    "math.rsqrt": _DIVISION,
    "math.cos": _TRANSCENDENTAL,
    "math.erf": _TRANSCENDENTAL,
    "math.exp": _TRANSCENDENTAL,
    "math.exp2": _TRANSCENDENTAL,
    "math.expm1": _TRANSCENDENTAL,
    "math.log": _TRANSCENDENTAL,
    "math.log1p": _TRANSCENDENTAL,
    "math.log2": _TRANSCENDENTAL,
    "math.powf": 2 * _TRANSCENDENTAL,
    "math.sin": _TRANSCENDENTAL,
    "math.tanh": _TRANSCENDENTAL,
}


@dataclass(frozen=True)
class Cost:
    """Work of one operation.

    Attributes:
        flops: FLOPs as described above.
        bytes: size of the tensors read and written, each once.
    """

    flops: int = 0
    bytes: int = 0

    @property
    def work(self) -> int:
        """Both together, in FLOPs."""
        return self.flops + FLOPS_PER_BYTE * self.bytes

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def is_worth(self, old: Cost) -> bool:
        """Whether a rewrite from ``old`` to this saves enough to round otherwise."""
        return old.work - self.work > LEAST_GAIN * old.flops


def body_cost(body: Body, root: Node) -> Cost:
    """The cost of ``body`` if its expression were ``root``."""
    flops = sum(_flops(body, node) for node in reachable([root]))
    if body.combiner is not None:
        flops += math.prod(body.nest.domain)
    tensors = {body.operands[n].value for n in arguments(root)} | {body.op.results[0]}
    return Cost(flops, sum(map(_nbytes, tensors)))


def _flops(body: Body, node: Node) -> int:
    """FLOPs of ``node`` alone; rewrites of a body share most of their nodes."""
    if node not in body.flops:
        counts = node.args and not is_free(body, node)
        body.flops[node] = FLOPS.get(node.kind, 1) * body.extent(node) if counts else 0
    return body.flops[node]


def _nbytes(value: ir.Value) -> int:
    return _type_nbytes(value.type)


@remembered
def _type_nbytes(type_: ir.RankedTensorType) -> int:
    """Size of a tensor of static shape; element types below a byte count as one."""
    dtype = dtype_of(type_.element_type)
    return math.prod(type_.shape) * (dtype.itemsize if dtype else 1)
