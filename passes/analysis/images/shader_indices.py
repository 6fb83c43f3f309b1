"""Index arithmetic of a kernel as expressions whose ranges are known.

The leaves are what arithmetic starts from: workgroup and thread numbers, which lie below
the kernel's counts, and loop counters, which lie below the loops' ends. Index algebra
(``smartmem.index_map``) then tells whether an index divides without a rest, or lies in a
row of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from iree.compiler import ir

from smartmem.index_map.expr import (
    Dim,
    Expr,
    Shape,
    add,
    bounds,
    constant,
    dim,
    floordiv,
    mod,
    scale,
)
from smartmem.passes.analysis.images.shader_bindings import Shader, constant_of

_LIMIT = 2**31
# All that may stand at the head of a loop.
_TESTS = (
    ["spirv.SLessThan", "spirv.BranchConditional"],
    ["spirv.ULessThan", "spirv.BranchConditional"],
)
_COUNTS = ("__builtin__WorkgroupId__", "__builtin__LocalInvocationId__")


class _Unknown(Exception):
    """A value of which no range is known."""


@dataclass
class Indices:
    """The index arithmetic of one kernel.

    Attributes:
        shader: the kernel.
        leaves: the value behind each dimension of the expressions.
        sizes: the number of values each of them takes, from 0 on.
    """

    shader: Shader
    leaves: list[ir.Value] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    _known: dict[ir.Value, Expr] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """The sizes of all leaves found so far."""
        return tuple(self.sizes)

    def expression(self, index: ir.Value, count: int) -> Expr:
        """``index``, which lies in [0, count), as an expression in the leaves.

        Where its arithmetic is not understood, the index is a leaf itself.
        """
        try:
            return self._positive(self._read(index))
        except _Unknown:
            return self._leaf(index, count)

    def _leaf(self, value: ir.Value, size: int) -> Expr:
        # One value can be an index of tensors of several sizes, each under a condition of
        # its own: the sizes say nothing of each other.
        for number, leaf in enumerate(self.leaves):
            if leaf == value and self.sizes[number] == size:
                return dim(number)
        self.leaves.append(value)
        self.sizes.append(size)
        return dim(len(self.leaves) - 1)

    def _read(self, value: ir.Value) -> Expr:
        if value not in self._known:
            found = self._read_anew(value)
            low, high = bounds(found, self.shape)
            if low < -_LIMIT or high >= _LIMIT:  # wraps around
                raise _Unknown
            self._known[value] = found
        return self._known[value]

    def _read_anew(self, value: ir.Value) -> Expr:
        number = constant_of(value)
        if number is not None:
            return constant(number)
        if isinstance(value, ir.BlockArgument):
            return self._leaf(value, _loop_end(value))
        op = value.owner
        if op.name == "spirv.CompositeExtract":
            return self._leaf(value, self._count(op))
        if op.name == "spirv.IAdd":
            return add([self._read(operand) for operand in op.operands], self.shape)
        rule = _RULES.get(op.name)
        if rule is None:
            raise _Unknown
        left, right = (self._read(operand) for operand in op.operands)
        if op.name == "spirv.IMul" and left.is_constant:
            left, right = right, left
        if not right.is_constant:
            raise _Unknown
        return rule(self._positive(left), right.const, self.shape)

    def _positive(self, expr: Expr) -> Expr:
        if bounds(expr, self.shape)[0] < 0:  # as an unsigned number it is a large one
            raise _Unknown
        return expr

    def _count(self, extract: ir.Operation) -> int:
        """How many values a component of a builtin vector takes."""
        load = extract.operands[0].owner
        address = load.operands[0].owner if getattr(load, "name", "") == "spirv.Load" else load
        if getattr(address, "name", "") != "spirv.mlir.addressof":
            raise _Unknown
        name = ir.FlatSymbolRefAttr(address.attributes["variable"]).value
        axis = ir.IntegerAttr(ir.ArrayAttr(extract.attributes["indices"])[0]).value
        if name == _COUNTS[0] and self.shader.workgroups is not None:
            return self.shader.workgroups[axis]
        if name == _COUNTS[1]:
            return self.shader.workgroup_size[axis]
        raise _Unknown


def _times(expr: Expr, factor: int, shape: Shape) -> Expr:
    return scale(expr, factor)


def _shifted(expr: Expr, bits: int, shape: Shape) -> Expr:
    return scale(expr, 1 << bits)


def _halved(expr: Expr, bits: int, shape: Shape) -> Expr:
    return floordiv(expr, 1 << bits, shape)


def _masked(expr: Expr, mask: int, shape: Shape) -> Expr:
    if mask & (mask + 1):
        raise _Unknown
    return mod(expr, mask + 1, shape)


def _divided(expr: Expr, divisor: int, shape: Shape) -> Expr:
    if divisor <= 0:
        raise _Unknown
    return floordiv(expr, divisor, shape)


def _rest(expr: Expr, divisor: int, shape: Shape) -> Expr:
    if divisor <= 0:
        raise _Unknown
    return mod(expr, divisor, shape)


# Operations on a value that is not negative and a constant.
_RULES: dict[str, Callable[[Expr, int, Shape], Expr]] = {
    "spirv.IMul": _times,
    "spirv.ShiftLeftLogical": _shifted,
    "spirv.ShiftRightLogical": _halved,
    "spirv.BitwiseAnd": _masked,
    "spirv.UDiv": _divided,
    "spirv.SDiv": _divided,
    "spirv.UMod": _rest,
    "spirv.SMod": _rest,
    "spirv.SRem": _rest,
}


def _loop_end(counter: ir.BlockArgument) -> int:
    """The end of a loop ``for (i = c; i < end; i += step)`` with constants, by its counter.

    Only the test at the loop's head sees the counter equal to the end: no value leaves the
    region of a loop but through variables.
    """
    header = counter.owner
    names = [op.operation.name for op in header.operations]
    if header.owner.name != "spirv.mlir.loop" or names not in _TESTS:
        raise _Unknown
    condition = header.operations[0].operation
    end = constant_of(condition.operands[1])
    if condition.operands[0] != counter or end is None or not _counts_up(header, counter):
        raise _Unknown
    return max(end, 0)


def _counts_up(header: ir.Block, counter: ir.BlockArgument) -> bool:
    """Whether all branches to ``header`` hand on a constant or the counter and a constant,
    none of them negative."""
    inside = [
        block.operations[-1].operation for region in header.owner.regions for block in region
    ]
    branches = [op for op in inside if any(block == header for block in op.successors)]
    return bool(branches) and all(
        op.name == "spirv.Branch" and _is_count(op.operands[counter.arg_number], counter)
        for op in branches
    )


def _is_count(value: ir.Value, counter: ir.BlockArgument) -> bool:
    number = constant_of(value)
    if number is not None:
        return number >= 0
    if isinstance(value, ir.BlockArgument) or value.owner.name != "spirv.IAdd":
        return False
    operands = list(value.owner.operands)
    steps = [constant_of(operand) for operand in operands if operand != counter]
    return len(steps) == 1 and steps[0] is not None and steps[0] > 0


def has_divisions(expr: Expr) -> bool:
    """Whether an expression holds a division or a rest."""
    return any(not isinstance(atom, Dim) for atom, _ in expr.terms)
