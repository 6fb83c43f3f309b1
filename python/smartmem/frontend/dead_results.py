"""Drop results of ``linalg.generic`` that nothing uses.

    %max, %argmax = linalg.generic(... reduction ...)  // %argmax has no use
    ->  %max = linalg.generic(...)

torch-mlir computes the maximum of a softmax together with its index. MLIR can drop the
index, but only in passes that fuse as well.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.frontend.lowering import walk


def drop_dead_results(module: ir.Module) -> bool:
    """Applies the rewrite everywhere in ``module``; says whether it changed something."""
    changed = False
    # Picked first: the rewrite erases operations that the walk lists later.
    generics = [op for op in walk(module) if op.name == "linalg.generic"]
    for operation in generics:
        dead = _droppable(operation) if len(operation.results) > 1 else set()
        if dead:
            _rebuild_without(operation, dead)
            changed = True
    return changed


def _droppable(generic: ir.Operation) -> set[int]:
    """Indices of results without uses that the other results do not depend on."""
    unused = {i for i, result in enumerate(generic.results) if not list(result.uses)}
    kept = [i for i in range(len(generic.results)) if i not in unused]
    if not unused or not kept or not _covers_all_loops(generic, unused):
        return set()
    body = generic.regions[0].blocks[0]
    needed = _needed_values(body, kept)
    first_out = len(body.arguments) - len(generic.results)
    return {i for i in unused if body.arguments[first_out + i] not in needed}


def _covers_all_loops(generic: ir.Operation, without: set[int]) -> bool:
    """Whether the sizes of all loops still follow from the operands that would stay."""
    maps = _indexing_maps(generic)
    first_out = len(maps) - len(generic.results)
    dims = {
        ir.AffineDimExpr(result).position
        for i, map in enumerate(maps)
        if i - first_out not in without
        for result in map.results
        if isinstance(result, ir.AffineDimExpr)
    }
    return len(dims) == maps[0].n_dims


def _indexing_maps(generic: ir.Operation) -> list[ir.AffineMap]:
    maps = ir.ArrayAttr(generic.attributes["indexing_maps"])
    return [ir.AffineMapAttr(attribute).value for attribute in maps]


def _needed_values(body: ir.Block, kept: list[int]) -> set[ir.Value]:
    """Everything that the yielded values at ``kept`` are computed from."""
    *operations, terminator = body.operations
    needed = {terminator.operation.operands[i] for i in kept}
    for operation in reversed(operations):
        # What holds a region is kept whole: it can use values from outside.
        if operation.operation.regions or needed.intersection(operation.operation.results):
            needed.update(operation.operation.operands)
    return needed


def _rebuild_without(generic: ir.Operation, dead: set[int]) -> None:
    kept = [i for i in range(len(generic.results)) if i not in dead]
    inputs = len(generic.operands) - len(generic.results)
    slots = [*range(inputs), *(inputs + i for i in kept)]
    _shrink_body(generic.regions[0].blocks[0], kept, sorted(inputs + i for i in dead))
    with generic.location, ir.InsertionPoint(generic):
        new = ir.Operation.create(
            "linalg.generic",
            results=[generic.results[i].type for i in kept],
            operands=[generic.operands[slot] for slot in slots],
            attributes=_attributes_for(generic, slots, inputs),
            regions=1,
        )
    generic.regions[0].blocks[0].append_to(new.regions[0])
    for index, result in zip(kept, new.results, strict=True):
        generic.results[index].replace_all_uses_with(result)
    generic.erase()


def _attributes_for(
    generic: ir.Operation, slots: list[int], inputs: int
) -> dict[str, ir.Attribute]:
    maps = ir.ArrayAttr(generic.attributes["indexing_maps"])
    return {
        **dict(generic.attributes.items()),
        "indexing_maps": ir.ArrayAttr.get([maps[slot] for slot in slots]),
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get([inputs, len(slots) - inputs]),
    }


def _shrink_body(body: ir.Block, kept: list[int], dead_arguments: list[int]) -> None:
    needed = _needed_values(body, kept)
    *operations, terminator = (operation.operation for operation in body.operations)
    with terminator.location, ir.InsertionPoint(terminator):
        ir.Operation.create("linalg.yield", operands=[terminator.operands[i] for i in kept])
    terminator.erase()
    for operation in reversed(operations):
        if not operation.regions and not needed.intersection(operation.results):
            operation.erase()
    for index in reversed(dead_arguments):
        body.erase_argument(index)
