"""Leave to load time what widens weights.

iree-compile takes a conversion of a constant to a wider type for cheap, and leaves it where it
is: each inference would convert all weights. An initializer converts them when the module is
loaded. It would run when compiling, and put f32 into the module, but for the barrier.

  %n = arith.constant dense_resource : tensor<256xf16>
  %w = linalg.generic ins(%n) { arith.extf } : tensor<256xf32>
    ->
  util.global private @widened_0 : tensor<256xf32>
  util.initializer { %n = arith.constant ...; %b = util.optimization_barrier %n;
                     %w = linalg.generic ins(%b) {arith.extf}; util.global.store %w, @widened_0 }
  %w = util.global.load @widened_0
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.frontend.finish import entry_function


def widen_at_load(module: ir.Module) -> None:
    """Moves the conversions of constants in the entry function to initializers, in place."""
    found = [op for op in entry_function(module).regions[0].blocks[0] if _widens(op.operation)]
    for number, op in enumerate(found):
        with op.operation.location:
            _move(op.operation, f"widened_{number}")


def _widens(op: ir.Operation) -> bool:
    """Whether ``op`` does nothing but convert a constant to a wider type."""
    if op.name != "linalg.generic" or isinstance(op.operands[0].owner, ir.Block):
        return False
    inside = [inner.operation.name for inner in op.regions[0].blocks[0]]
    source = op.operands[0].owner.operation
    return source.name == "arith.constant" and inside == ["arith.extf", "linalg.yield"]


def _move(op: ir.Operation, name: str) -> None:
    constant, empty = op.operands[0].owner.operation, op.operands[1].owner.operation
    function = op.parent
    type_ = op.results[0].type
    with ir.InsertionPoint(function):
        _global(name, type_)
        initializer = ir.Operation.create(
            "util.initializer",
            attributes={"function_type": ir.TypeAttr.get(ir.FunctionType.get([], []))},
            regions=1,
        )
    with ir.InsertionPoint(initializer.regions[0].blocks.append()):
        source = constant.clone().results[0]
        barrier = ir.Operation.create("util.optimization_barrier", [source.type], [source])
        into = empty.clone().results[0]
        widened = op.clone()
        widened.operands[0], widened.operands[1] = barrier.results[0], into
        symbol = {"global": ir.FlatSymbolRefAttr.get(name)}
        ir.Operation.create("util.global.store", [], [widened.results[0]], symbol)
        ir.Operation.create("util.return")
    with ir.InsertionPoint(op):
        load = ir.Operation.create(
            "util.global.load",
            [type_],
            attributes={**symbol, "is_immutable": ir.UnitAttr.get()},
        )
    op.results[0].replace_all_uses_with(load.results[0])
    op.erase()
    if not list(constant.results[0].uses):
        constant.erase()


def _global(name: str, type_: ir.Type) -> None:
    attributes = {
        "sym_name": ir.StringAttr.get(name),
        "sym_visibility": ir.StringAttr.get("private"),
        "type": ir.TypeAttr.get(type_),
    }
    ir.Operation.create("util.global", attributes=attributes)
