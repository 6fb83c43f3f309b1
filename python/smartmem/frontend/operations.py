"""Operations of a module, and the words for where one comes from."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.mlir.diagnostics import source_point


def where(location: ir.Location) -> str:
    """`` (node 'NAME') at FILE:LINE``, as far as MLIR knows them."""
    name, point = location_name(location), source_point(location)
    node = f" (node {name!r})" if name else ""
    if point is None:
        return node
    return f"{node} at {point.file}:{point.line}" if point.line else f"{node} in {point.file}"


def location_name(location: ir.Location) -> str:
    """The first name inside ``location``: the node's, for an ONNX model; or nothing."""
    if isinstance(location, ir.NameLoc):
        return str(location.name_str)
    if isinstance(location, ir.CallSiteLoc):
        return location_name(location.callee)
    if isinstance(location, ir.FusedLoc):
        return next(filter(None, map(location_name, location.locations)), "")
    return ""


def walk(module: ir.Module | ir.Operation) -> list[ir.Operation]:
    """All operations below ``module``, outer ones first."""
    found: list[ir.Operation] = []

    def visit(operation: ir.Operation) -> ir.WalkResult:
        # Some arrive as views, whose ``name`` can be a symbol and not the op's name.
        found.append(operation.operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found[1:]
