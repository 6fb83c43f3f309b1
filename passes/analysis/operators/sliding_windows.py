"""Convolutions and poolings by the roles of their loops, and the layouts that suit them.

A loop's role follows from the operands that it indexes, whatever the operation is called:

    role     image  weights  result
    batch      x               x
    image      x               x     the image dim is the sum of this loop and a window loop
    window     x       x             of a pooling, the window stands for the weights
    group      x       x       x     depthwise convolutions have only these
    input      x       x
    output             x       x
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import Dim, Expr, IndexMap, Shape, from_affine
from smartmem.passes.analysis.ir.loops import indexing_maps, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, is_static, shape_of

IMAGE, WEIGHTS, RESULT = range(3)

MOST_STEPS = 64
"""Of a window that becomes a sum of slices, one for each step: longer code is too long."""

# Loops of this extent are never folded away: a stride stays visible beside a window of 1.
_ANY = 1 << 20


@dataclass(frozen=True)
class Form:
    """In which order an operation's operands and result hold its roles, outermost first."""

    image: tuple[str, ...]
    weights: tuple[str, ...]
    result: tuple[str, ...]


# The reduction dimension or, where that is short, the groups lie innermost: they are what
# vectors are loaded of. Dims of a role that an operation lacks are left out.
FORMS: Mapping[str, Form] = {
    "channels last": Form(
        ("batch", "image", "group", "input"),
        ("window", "group", "input", "output"),
        ("batch", "image", "group", "output"),
    ),
    "groups last": Form(
        ("batch", "image", "input", "group"),
        ("window", "input", "output", "group"),
        ("batch", "image", "output", "group"),
    ),
}


@dataclass(frozen=True)
class Windows:
    """The loops of an operation that slides a window over an image.

    Attributes:
        op: the operation: image, weights (or a pooling's window), initial value.
        domain: extents of its loops.
        accesses: index map of each operand.
        roles: the loops of each role.
    """

    op: ir.Operation
    domain: Shape
    accesses: tuple[IndexMap, ...]
    roles: Mapping[str, tuple[int, ...]]

    def extent(self, role: str) -> int:
        """Number of iterations over all loops of a role."""
        return math.prod(self.domain[loop] for loop in self.roles[role])

    def loops(self, order: Sequence[str]) -> list[int]:
        """The loops of several roles, one role after the other."""
        return [loop for role in order for loop in self.roles[role]]

    def axes(self, operand: int, order: Sequence[str]) -> list[int]:
        """The dims of ``operand`` in the order of the roles of their loops."""
        keys = [self._key(expr) for expr in self.accesses[operand].exprs]
        return [keys.index(loop) for loop in self.loops(order)]

    def _key(self, expr: Expr) -> int:
        loops = loops_of(expr)
        return next((loop for loop in loops if loop in self.roles["image"]), loops[0])


def windows_of(op: ir.Operation) -> Windows | Refusal | None:
    """The window loops of ``op``; None if it slides no window, else why they are not seen."""
    if not op.name.startswith("linalg.") or len(op.operands) != 3 or len(op.results) != 1:
        return None
    if not all(map(is_static, op.operands)):
        return None
    accesses = tuple(from_affine(m, (_ANY,) * m.n_dims) for m in indexing_maps(op))
    if not accesses or not any(map(_slides, accesses[IMAGE].exprs)):
        return None
    if not all(map(_is_plain, (e for access in accesses[1:] for e in access.exprs))):
        return Refusal("its weights or its result are not indexed by single loops")
    roles = _roles(accesses)
    if isinstance(roles, Refusal):
        return roles
    return Windows(op, _domain(op, accesses), accesses, roles)


def many_reductions_of(op: ir.Operation) -> Windows | None:
    """A contraction over several loops, with all but the longest of them as its window."""
    nest = loop_nest(op)
    if nest is None or not nest.is_contraction or len(nest.reductions) < 2:
        return None
    if not nest.is_plain:
        return None
    read, held, written = (nest.loops_of(k) for k in range(3))
    kept = max(nest.reductions, key=lambda loop: nest.domain[loop])
    roles = {
        "image": (),
        "window": tuple(sorted(nest.reductions - {kept})),
        "batch": tuple(d for d in written if d in read and d not in held),
        "group": tuple(d for d in written if d in read and d in held),
        "input": (kept,),
        "output": tuple(d for d in written if d not in read),
    }
    return Windows(op, nest.domain, nest.accesses, roles)


def form_of(found: Windows, lanes: int) -> str:
    """The key of ``FORMS`` that fills vectors of ``lanes`` elements best."""
    narrow = found.extent("output") < lanes and found.extent("input") < lanes
    grouped = found.roles["output"] and found.extent("group") % lanes == 0
    return "groups last" if grouped and narrow else "channels last"


def loops_of(expr: Expr) -> list[int]:
    """The loops that ``expr`` sums, in order."""
    return [atom.index for atom, _ in expr.terms if isinstance(atom, Dim)]


def _slides(expr: Expr) -> bool:
    return len(expr.terms) > 1 or any(factor > 1 for _, factor in expr.terms)


def _is_plain(expr: Expr) -> bool:
    return len(loops_of(expr)) == 1 and not _slides(expr) and expr.const == 0


def _roles(accesses: Sequence[IndexMap]) -> Mapping[str, tuple[int, ...]] | Refusal:
    image, weights, result = ([loops_of(e) for e in a.exprs] for a in accesses)
    if any(not 1 <= len(loops) <= 2 for loops in image):
        return Refusal("it reads its image at sums of more than two loops")
    read, held, written = (
        [loop for loops in operand for loop in loops] for operand in (image, weights, result)
    )
    sliding = [loops_of(e) for e in accesses[IMAGE].exprs if _slides(e)]
    moved = [loop for loops in sliding for loop in loops]
    if any(sum(loop in written for loop in loops) != 1 for loops in sliding):
        return Refusal("its window does not slide along one dim of the result")
    if any(loop not in written and loop not in held for loop in moved):
        return Refusal("its weights do not tell the size of its window")
    roles = {
        "image": [d for d in moved if d in written],
        "window": [d for d in moved if d not in written],
        "batch": [d for d in written if d in read and d not in held and d not in moved],
        "group": [d for d in written if d in read and d in held and d not in moved],
        "input": [d for d in held if d in read and d not in written and d not in moved],
        "output": [d for d in written if d not in read],
    }
    if len({d for loops in roles.values() for d in loops}) != len(accesses[0].shape):
        return Refusal("a loop of it indexes no operand but one")
    if not roles["group"] and not roles["output"] and roles["batch"]:
        roles["group"] = [roles["batch"].pop()]  # of a pooling: its channels
    return {role: tuple(loops) for role, loops in roles.items()}


def _domain(op: ir.Operation, accesses: Sequence[IndexMap]) -> Shape:
    extents: dict[int, int] = {}
    for access, value in zip(accesses[1:], list(op.operands)[1:], strict=True):
        for expr, extent in zip(access.exprs, shape_of(value), strict=True):
            extents[loops_of(expr)[0]] = extent
    for expr, extent in zip(accesses[IMAGE].exprs, shape_of(op.operands[0]), strict=True):
        extents.setdefault(loops_of(expr)[0], extent)
    return tuple(extents[loop] for loop in range(len(accesses[0].shape)))
