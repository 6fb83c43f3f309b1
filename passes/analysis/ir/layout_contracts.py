"""Which layouts of its operands and its result each kind of operation accepts.

What an operation asks for is data, one row for each kind, told by its loops and not by its
name. Where a view may go (``placement``) depends on the rows of those beside it; what has no
row of loops keeps the model's order.

    reads    ANY       its indexing maps read whatever order is written
             ROWS      its rows in the order in which they lie: it reads each several times
             FIXED     the order in which the model has it
    writes   ANY       any order, for it computes element by element
             CHANNELS  any, with its own channels innermost: vectors are made of them
             AS_READ   that in which it reads: its loops are those of its rows
             FIXED     the order in which the model has it
    agree    whether operands and result are to have one order among them, as loops run through
             all of them; else each has its own

Preferred among those accepted is the order in which a reduction dimension is innermost
(SmartMem, section 3.2.2), where another costs something: FORMS of ``windows`` and the packing
of weights say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.passes.analysis.ir.accesses import is_row_wise, plain_nest
from smartmem.passes.analysis.ir.movement import Refusal

ANY: Final = "any"
ROWS: Final = "rows"
FIXED: Final = "fixed"
CHANNELS: Final = "channels"
AS_READ: Final = "as_read"

Kind = Literal["contraction", "elementwise", "rows", "movement", "padding", "other"]


@dataclass(frozen=True)
class Contract:
    """A row: see the module's table of words."""

    reads: Literal["any", "rows", "fixed"]
    writes: Literal["any", "channels", "as_read", "fixed"]
    agree: bool


CONTRACTS: Mapping[Kind, Contract] = {
    "contraction": Contract(ANY, CHANNELS, agree=False),
    "elementwise": Contract(ANY, ANY, agree=True),
    # A normalization or softmax is one kernel over one iteration domain.
    "rows": Contract(ROWS, AS_READ, agree=True),
    "movement": Contract(ANY, ANY, agree=False),
    # A box is one only in the dims of what is padded.
    "padding": Contract(FIXED, FIXED, agree=True),
    # Windows read their form (``windows.FORMS``); what has no loops, the model's order.
    "other": Contract(FIXED, FIXED, agree=False),
}


def kind_of(op: ir.Operation) -> Kind:
    """The kind of an operation, by its loops."""
    if op.name == ViewOp.OPERATION_NAME:
        return "padding" if "domain" in op.attributes else "movement"
    nest = plain_nest(op)
    if isinstance(nest, Refusal):
        return "other"
    if nest.is_contraction:
        return "contraction"
    return "rows" if is_row_wise(op) else "elementwise"


def contract_of(op: ir.Operation) -> Contract:
    """The row of ``CONTRACTS`` for an operation."""
    return CONTRACTS[kind_of(op)]
