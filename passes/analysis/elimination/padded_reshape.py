"""Paddings of a reshape of what a contraction makes.

A kernel writes its result into the middle of a padded tensor where the middle is a box in
the dims of the result. 196 rows of a linear layer are a box of a padded image only as
14 x 14 rows: the contraction has to run over these.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.index_map import IndexMap, extract_slice, is_reshape, restrict
from smartmem.passes.analysis.elimination.placement import InWrite, written
from smartmem.passes.analysis.ir.accesses import ends_contraction
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import (
    Refusal,
    domain_of,
    long_dims,
    shape_of,
    view_map,
)


@dataclass(frozen=True)
class PaddedReshape:
    """A padding, and the reshape of its source that it pads.

    Attributes:
        reshape: index of the middle of the padded tensor -> index of the source.
        pad: index of the padded tensor -> index of the middle.
        write: how the source's operation writes the middle in its own dims.
    """

    reshape: IndexMap
    pad: IndexMap
    write: InWrite

    @property
    def splits(self) -> bool:
        """Whether loops of the operation are split; else the reshape only merges dims."""
        return self.write.splits


def padded_reshape(view: ir.Operation) -> PaddedReshape | Refusal:
    """The reshape that ``view``, with a domain, pads, and how its operation can write it."""
    source, shape = view.operands[0], shape_of(view.results[0])
    box = domain_of(view.attributes["domain"], shape).box(shape)
    if box is None or any(low >= high for low, high in box):
        return Refusal("what it pads is no box")
    middle = restrict(view_map(view), box)
    if not is_reshape(middle, shape_of(source)):
        return Refusal("it does not pad all of its source, in order")
    if long_dims(middle.shape) == long_dims(shape_of(source)):
        return Refusal("it pads its source in the dims that it has")
    if isinstance(source.owner, ir.Block) or not _contracts(source.owner.operation):
        return Refusal("no contraction makes what it pads")
    write = written(source.owner.operation, middle, may_split=True)
    if isinstance(write, Refusal):
        return write
    pad = extract_slice([-low for low, _ in box], shape, [1] * len(shape))
    return PaddedReshape(middle, pad, write)


def _contracts(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is not None and (nest.is_contraction or ends_contraction(op))
