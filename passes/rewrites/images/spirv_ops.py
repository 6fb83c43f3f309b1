"""Builders of SPIR-V operations on words of 32 bits, at the current insertion point."""

from __future__ import annotations

from collections.abc import Sequence

from iree.compiler import ir


def i32() -> ir.Type:
    """The type of a word."""
    return ir.IntegerType.get_signless(32)


def words(count: int) -> ir.Type:
    """The type of a vector of words."""
    return ir.VectorType.get([count], i32())


def i32_attr(value: int) -> ir.Attribute:
    """A word as an attribute."""
    return ir.IntegerAttr.get(i32(), value)


def constant(value: int) -> ir.Value:
    """A word that is known."""
    return create("spirv.Constant", i32(), [], {"value": i32_attr(value)})


def create(
    name: str,
    type_: ir.Type,
    operands: Sequence[ir.Value],
    attributes: dict[str, ir.Attribute] | None = None,
) -> ir.Value:
    """The result of a new operation."""
    op = ir.Operation.create(
        name, results=[type_], operands=list(operands), attributes=attributes or {}
    )
    return op.results[0]


def extract(vector: ir.Value, lane: int | ir.Value) -> ir.Value:
    """An element of a vector."""
    element = ir.VectorType(vector.type).element_type
    if isinstance(lane, int):
        indices = ir.ArrayAttr.get([i32_attr(lane)])
        return create("spirv.CompositeExtract", element, [vector], {"indices": indices})
    return create("spirv.VectorExtractDynamic", element, [vector, lane])


def divided(value: ir.Value, divisor: int) -> ir.Value:
    """``value``, which is not negative, divided by a positive number."""
    if divisor & (divisor - 1):
        return create("spirv.UDiv", i32(), [value, constant(divisor)])
    bits = constant(divisor.bit_length() - 1)
    return create("spirv.ShiftRightLogical", i32(), [value, bits])


def remainder(value: ir.Value, divisor: int) -> ir.Value:
    """The remainder of that division."""
    if divisor & (divisor - 1):
        return create("spirv.UMod", i32(), [value, constant(divisor)])
    return create("spirv.BitwiseAnd", i32(), [value, constant(divisor - 1)])


def bitcast(value: ir.Value, type_: ir.Type) -> ir.Value:
    """``value`` with the same bits as ``type_``."""
    return value if value.type == type_ else create("spirv.Bitcast", type_, [value])


def add(a: ir.Value, b: ir.Value) -> ir.Value:
    """The sum of two words."""
    return create("spirv.IAdd", i32(), [a, b])


def multiply(a: ir.Value, b: ir.Value) -> ir.Value:
    """The product of two words."""
    return create("spirv.IMul", i32(), [a, b])


def vector(count: int, parts: Sequence[ir.Value]) -> ir.Value:
    """A vector of ``count`` words out of words and shorter vectors."""
    return create("spirv.CompositeConstruct", words(count), parts)
