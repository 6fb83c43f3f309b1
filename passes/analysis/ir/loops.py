"""The loop nest of a linalg operation: its domain and how it reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from torch_mlir import ir
from torch_mlir.dialects import linalg

from smartmem.index_map import Dim, IndexMap, Shape, dim, from_affine
from smartmem.mlir.memo import remembered


@dataclass(frozen=True)
class LoopNest:
    """Iteration domain and accesses of a linalg operation with one result.

    Attributes:
        domain: extents of the loops.
        accesses: index map of each operand, inputs first, the output last.
        reductions: the loops that the output does not index.
        is_contraction: multiplies two operands and sums: matmul and its like.
        uses_index: whether the body reads loop indices or elements of other tensors.
    """

    domain: Shape
    accesses: tuple[IndexMap, ...]
    reductions: frozenset[int]
    is_contraction: bool
    uses_index: bool

    @property
    def is_elementwise(self) -> bool:
        """Whether there is no reduction."""
        return not self.reductions

    @property
    def output(self) -> int:
        """Number of the output among the operands, which is that of the inputs, too."""
        return len(self.accesses) - 1

    def loops_of(self, operand: int) -> list[int]:
        """The loops that index ``operand``, in the order of its dimensions."""
        return list(self._indexing[operand])

    @cached_property
    def _indexing(self) -> tuple[tuple[int, ...], ...]:
        return tuple(
            tuple(a.index for e in access.exprs for a, _ in e.terms if isinstance(a, Dim))
            for access in self.accesses
        )

    @property
    def read(self) -> list[list[int]]:
        """The loops that index each input, in the order of its dimensions."""
        return [self.loops_of(operand) for operand in range(self.output)]

    @property
    def written(self) -> list[int]:
        """The loops that index the output, in the order of its dimensions."""
        return self.loops_of(self.output)

    def read_without(self, loop: int) -> list[list[int]]:
        """The loops of each input that ``loop`` does not index: scalars in its vectors."""
        return [loops for loops in self.read if loop not in loops]

    @cached_property
    def scalar_loops(self) -> set[int]:
        """The loops of operands that are read as scalars: the columns do not index them."""
        return {d for loops in self.read_without(self.written[-1]) for d in loops}

    @cached_property
    def packed_blocks(self) -> list[int]:
        """The loops over blocks of packed columns: what is read as scalars lacks them."""
        scalars = self.scalar_loops
        return [d for d in self.written[:-1] if scalars and d not in scalars]

    @cached_property
    def is_single_row(self) -> bool:
        """Whether packed weights are used for one row only: the result has channels alone."""
        return bool(self.reductions) and self.packed_blocks == self.written[:-1] != []

    @cached_property
    def unpacks(self) -> bool:
        """Whether vectors along the columns are taken apart: each is used for several scalars."""
        scalars = len(self.read_without(self.written[-1]))
        return bool(self.reductions) and scalars > len(self.read) - scalars > 0

    def reads_in_order(self, operand: int) -> bool:
        """Whether ``operand``, or what is repeated of it, is read as the output is written."""
        written = [e for e in self.accesses[-1].exprs if e.terms]
        read = [e for e in self.accesses[operand].exprs if e.terms]
        return read == [e for e in written if e in read]

    @property
    def keeps_order(self) -> bool:
        """Whether every operand is read in the order in which the output is written."""
        return all(map(self.reads_in_order, range(self.output)))

    def axis_of(self, operand: int, loop: int) -> int:
        """The dimension of ``operand`` that ``loop`` alone indexes."""
        return self.accesses[operand].exprs.index(dim(loop))

    @cached_property
    def is_plain(self) -> bool:
        """Whether every operand is indexed by single loops: no sums, divisions or offsets."""
        return all(map(self.is_projected_permutation, range(len(self.accesses))))

    def is_projected_permutation(self, operand: int) -> bool:
        """Whether each dim of ``operand`` is indexed by one loop of its own, or by 0."""
        exprs = self.accesses[operand].exprs
        loops = self.loops_of(operand)
        plain = all(
            e.is_constant or (e.const == 0 and len(e.terms) == 1 and e.terms[0][1] == 1)
            for e in exprs
        )
        return plain and len(set(loops)) == len([e for e in exprs if e.terms])


def loop_nest(op: ir.Operation) -> LoopNest | None:
    """The loop nest of ``op``; None if it has no indexing maps or several results."""
    if not op.name.startswith("linalg.") or len(op.results) != 1:
        return None
    maps = linalg.get_indexing_maps(op)
    if maps is None:
        return None
    is_contraction = bool(linalg.isa_contraction_op(op))
    uses_index = not is_contraction and op.name in _WITH_BODIES and _uses_index(op)
    return _nest(maps, is_contraction, uses_index, *(value.type for value in op.operands))


_WITH_BODIES = ("linalg.generic", "linalg.map", "linalg.reduce")
"""The operations that say what they compute; those with names multiply, add or copy."""

Loops = tuple[Shape, tuple[IndexMap, ...], frozenset[int]]
"""Domain, accesses and reductions of a nest."""


@remembered
def _nest(
    maps: ir.ArrayAttr, is_contraction: bool, uses_index: bool, *types: ir.Type
) -> LoopNest | None:
    """One object for all operations with equal loops: what is asked of it is computed once."""
    shapes = list(map(_static_shape, types))
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return None
    found = _new_loops([ir.AffineMapAttr(a).value for a in maps], known)
    return None if found is None else LoopNest(*found, is_contraction, uses_index)


def _new_loops(maps: list[ir.AffineMap], shapes: list[Shape]) -> Loops | None:
    domain = _domain(maps, shapes) if maps else None
    if domain is None:
        return None
    accesses = tuple(from_affine(m, domain) for m in maps)
    used = {a.index for e in accesses[-1].exprs for a, _ in e.terms if isinstance(a, Dim)}
    reductions = frozenset(d for d, n in enumerate(domain) if n > 1 and d not in used)
    return domain, accesses, reductions


def generic_nest(op: ir.Operation) -> LoopNest | None:
    """The loop nest of a ``linalg.generic``; None of any other operation."""
    return loop_nest(op) if op.name == "linalg.generic" else None


def indexing_maps(op: ir.Operation) -> list[ir.AffineMap]:
    """The map from the loops of a linalg operation to each operand; none if it has no loops."""
    attribute = linalg.get_indexing_maps(op)
    return [] if attribute is None else [ir.AffineMapAttr(a).value for a in attribute]


def contracts(op: ir.Operation) -> bool:
    """Whether ``op`` multiplies two operands and sums: matmul and its like."""
    has_loops = linalg.get_indexing_maps(op) is not None
    return has_loops and linalg.isa_contraction_op(op) and loop_nest(op) is not None


def is_empty(op: ir.Operation) -> bool:
    """Whether ``op`` has loops, and one of them has no iterations."""
    nest = loop_nest(op)
    return nest is not None and 0 in nest.domain


def reduces(op: ir.Operation) -> bool:
    """Whether ``op`` has loops that its result does not have."""
    nest = loop_nest(op)
    return nest is not None and bool(nest.reductions)


@lru_cache(maxsize=1024)
def divisors(extent: int) -> tuple[int, ...]:
    """The divisors of ``extent``, largest first: what splits a loop into whole parts."""
    return tuple(n for n in range(extent, 0, -1) if extent % n == 0)


@remembered
def _static_shape(type_: ir.Type) -> Shape | None:
    """The shape of a tensor of static shape."""
    if not isinstance(type_, ir.RankedTensorType) or not type_.has_static_shape:
        return None
    return tuple(type_.shape)


def _domain(maps: list[ir.AffineMap], shapes: list[Shape]) -> Shape | None:
    """Loop extents, from the operand dims that a loop indexes alone."""
    extents: dict[int, int] = {}
    for map_, shape in zip(maps, shapes, strict=True):
        for expr, extent in zip(map_.results, shape, strict=True):
            if isinstance(expr, ir.AffineDimExpr):
                extents.setdefault(expr.position, extent)
    if len(extents) < maps[0].n_dims:
        return None
    return tuple(extents[d] for d in range(maps[0].n_dims))


def _uses_index(op: ir.Operation) -> bool:
    for region in op.regions:
        for block in region:
            for inner in block.operations:
                if inner.name in ("linalg.index", "tensor.extract"):
                    return True
    return False
