"""Where the dims of a reshape become loops: of the operation before it, or behind it.

For what is padded or written into a part of a larger tensor, which is a box only in the
dims of that tensor; ``placement`` keeps loops whole.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map import compose
from smartmem.passes.analysis.elimination.placement import InWrite, in_write
from smartmem.passes.analysis.ir.accesses import (
    Access,
    access_through,
    is_contraction,
    plain_nest,
)
from smartmem.passes.analysis.ir.chains import defining_op, is_whole_view, readers, root_of
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, long_dims, shape_of, view_map


def split_end(view: ir.Operation) -> InWrite | Refusal:
    """How the contraction, or its end, behind ``view`` runs over the dims of ``view``.

    For a free reshape of what is written into a part of a larger tensor, a padded one:
    a part is a box only in the dims of that tensor. And for what is combined with the
    result of a contraction that has these dims: both can be one kernel over the same loops.
    """
    if long_dims(shape_of(view.operands[0])) == long_dims(shape_of(view.results[0])):
        return Refusal("it splits no dim")
    behind = readers(view.results[0])
    padded = any(map(_needs_dims, behind)) or _reads_padded(view.operands[0])
    if not padded and not _is_combined_with_contraction(view):
        return Refusal("nothing pads it, nor what it is combined with")
    found = in_write(view, may_split=True)
    if isinstance(found, InWrite) and not found.splits:
        return Refusal("the contraction has loops over its dims already")
    return found


def _is_combined_with_contraction(view: ir.Operation) -> bool:
    """Whether the only reader, no contraction, reads such a result in the view's dims."""
    uses = list(view.results[0].uses)
    nest = loop_nest(uses[0].owner.operation) if len(uses) == 1 else None
    if nest is None or nest.is_contraction or not is_contraction(view.operands[0]):
        return False
    beside = [v for v in list(uses[0].owner.operands)[:-1] if v != view.results[0]]
    return any(v.type == view.results[0].type and is_contraction(v) for v in beside)


def split_read(view: ir.Operation) -> Access | Refusal:
    """How the only reader of ``view``, no contraction, can run over the dims of its source."""
    uses = list(view.results[0].uses)
    if len(uses) != 1:
        return Refusal("several operations read it")
    op, operand = uses[0].owner.operation, uses[0].operand_number
    nest = plain_nest(op)
    if isinstance(nest, Refusal):
        return nest
    if nest.is_contraction or operand == nest.output:
        return Refusal("neither an elementwise operation nor a sum reads it")
    through = compose(nest.accesses[operand], view_map(view))
    return access_through(
        op, operand, nest, through, shape_of(view.operands[0]), may_split=True
    )


def _needs_dims(op: ir.Operation) -> bool:
    """Whether ``op``, no contraction, reads or makes what is padded as it is."""
    nest = loop_nest(op)
    if nest is None or nest.is_contraction:
        return False
    if any(map(_is_padded, list(op.operands)[:-1])):
        return True
    if nest.reductions:
        return False
    return _is_padded(op.results[0]) or any(map(_needs_dims, readers(op.results[0])))


def _reads_padded(value: ir.Value) -> bool:
    op = defining_op(value)
    return op is not None and any(map(_is_padded, list(op.operands)[:-1]))


def _is_padded(value: ir.Value) -> bool:
    source = root_of(value, is_whole_view)
    return any("domain" in op.attributes for op in readers(source))
