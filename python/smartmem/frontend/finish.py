"""Brings a lowered module into the form that ``ImportedModel`` promises.

One function ``main``, only dialects that the passes and the backend know, static
shapes everywhere, no foreign attributes, and a parameter table that holds exactly the
resources the module uses.
"""

from __future__ import annotations

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import tensor

from smartmem.dialect import layout_of, physical_layout_of
from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend.assertions import drop_assertions
from smartmem.frontend.bound_indices import bound_indices
from smartmem.frontend.dead_results import drop_dead_results
from smartmem.frontend.imported_model import STAGE_ATTRIBUTE
from smartmem.frontend.lowering import run_passes, walk, where
from smartmem.frontend.sort_by_ranks import sort_by_ranks
from smartmem.parameters import Parameters, numpy_dtype, resource_key
from smartmem.passes.form_regions import REGION_OPERATIONS
from smartmem.tensor_spec import TensorSpec

_LINALG = ("affine", "arith", "cf", "func", "linalg", "math", "scf", "tensor")
# Passes leave the operations of tm_tensor as they are; iree-compile knows them.
_DIALECTS = frozenset((*_LINALG, "smartmem", "tm_tensor"))
_FUNCTION_ATTRIBUTES = frozenset(("sym_name", "sym_visibility", "function_type"))


def finish_module(module: ir.Module, parameters: Parameters) -> Parameters:
    """Cleans ``module`` in place and checks it.

    Args:
        module: linalg on tensors.
        parameters: at least the resources of ``module``.

    Returns:
        The table of the resources that are left, as arrays of the signless types that
        the module uses.

    Raises:
        InvalidInputError: there is not one entry function, or a constant index lies
            outside its tensor.
        UnsupportedError: an operation of another dialect, a dynamic shape or an assertion
            that cannot hold is left.
    """
    _keep_only_main(module)
    run_passes(module, "inline,symbol-dce,canonicalize,cse")
    asserted = drop_assertions(module)
    if _make_concats_static(module) | drop_dead_results(module) | asserted:
        run_passes(module, "canonicalize,cse")
    _check_dialects(module)
    check_static(module)
    if sort_by_ranks(module):
        run_passes(module, "canonicalize,cse")
    bound_indices(module, parameters)
    return _used_parameters(module, parameters)


def entry_function(module: ir.Module) -> ir.Operation:
    """The function named ``main``, or else the only public one.

    Raises:
        InvalidInputError: there is none, or several and none is ``main``.
    """
    functions = [op.operation for op in module.body.operations if _is_function(op)]
    public = [f for f in functions if not _is_private(f) and not _is_declaration(f)]
    named = [f for f in public if _symbol(f) == "main"]
    if len(named) == 1 or len(public) == 1:
        return (named or public)[0]
    names = ", ".join(f"@{_symbol(f)}" for f in public) or "none"
    raise InvalidInputError(
        f"the module has no single entry function (public functions: {names}); "
        "name one of them main, or make the others private"
    )


def function_specs(module: ir.Module) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of ``main`` under made-up names, integers as signed ones."""
    type = ir.FunctionType(
        ir.TypeAttr(entry_function(module).attributes["function_type"]).value
    )
    outputs = ["output"] if len(type.results) == 1 else _numbered("output", type.results)
    return (
        _specs(_numbered("arg", type.inputs), type.inputs),
        _specs(outputs, type.results),
    )


def _numbered(stem: str, types: list[ir.Type]) -> list[str]:
    return [f"{stem}{index}" for index in range(len(types))]


def _specs(names: list[str], types: list[ir.Type]) -> tuple[TensorSpec, ...]:
    return tuple(_spec(name, type) for name, type in zip(names, types, strict=True))


def _spec(name: str, type: ir.Type) -> TensorSpec:
    if not isinstance(type, ir.RankedTensorType):
        raise UnsupportedError(
            f"{name} of the entry function is a {type}; SmartMem compiles functions of tensors"
        )
    # What carries a layout is handed over as it lies in memory.
    shape = physical_layout_of(type).shape if layout_of(type) else tuple(type.shape)
    return TensorSpec(name, shape, numpy_dtype(type.element_type))


def _is_function(operation: ir.OpView) -> bool:
    return bool(operation.operation.name == "func.func")


def _symbol(function: ir.Operation) -> str:
    return str(ir.StringAttr(function.attributes["sym_name"]).value)


def _is_private(function: ir.Operation) -> bool:
    if "sym_visibility" not in function.attributes:
        return False
    return bool(ir.StringAttr(function.attributes["sym_visibility"]).value == "private")


def _is_declaration(function: ir.Operation) -> bool:
    return len(function.regions[0].blocks) == 0


def _keep_only_main(module: ir.Module) -> None:
    main = entry_function(module)
    with module.context:
        for operation in module.body.operations:
            if _is_function(operation):
                operation.attributes["sym_visibility"] = ir.StringAttr.get("private")
        del main.attributes["sym_visibility"]
        main.attributes["sym_name"] = ir.StringAttr.get("main")
    for name in [name for name in main.attributes if name not in _FUNCTION_ATTRIBUTES]:
        del main.attributes[name]
    for name in list(module.operation.attributes):
        if name != STAGE_ATTRIBUTE:
            del module.operation.attributes[name]


def _make_concats_static(module: ir.Module) -> bool:
    """``concat(cast(x), cast(y)) -> concat(x, y)``; says whether there were any.

    Canonicalization keeps these: a cast that hides the size along the concatenated
    dimension is not implied by the result's type. They come from ``torch.roll``.
    """
    changed = False
    for operation in walk(module):
        if operation.name != "tensor.concat":
            continue
        sources = [_cast_source(operand) for operand in operation.operands]
        if sources != list(operation.operands):
            _replace_concat(operation, sources)
            changed = True
    return changed


def _cast_source(value: ir.Value) -> ir.Value:
    owner = value.owner
    if not isinstance(owner, ir.Block) and owner.name == "tensor.cast":
        source: ir.Value = owner.operands[0]
        if ir.ShapedType(source.type).has_static_shape:
            return source
    return value


def _replace_concat(operation: ir.Operation, sources: list[ir.Value]) -> None:
    dim = ir.IntegerAttr(operation.attributes["dim"]).value
    result = operation.results[0]
    with operation.location, ir.InsertionPoint(operation):
        new = tensor.concat(_concat_type(result.type, dim, sources), dim, sources)
        if new.type != result.type:
            new = tensor.cast(result.type, new)
    result.replace_all_uses_with(new)
    operation.erase()


def _concat_type(type: ir.Type, dim: int, sources: list[ir.Value]) -> ir.Type:
    types = [ir.RankedTensorType(source.type) for source in sources]
    if not all(t.has_static_shape for t in types):
        return type
    shape = list(types[0].shape)
    shape[dim] = sum(t.shape[dim] for t in types)
    return ir.RankedTensorType.get(shape, types[0].element_type)


def _check_dialects(module: ir.Module) -> None:
    for operation in walk(module):
        if operation.name in REGION_OPERATIONS:
            continue  # a file of the last stage
        if operation.name.split(".", 1)[0] not in _DIALECTS:
            raise UnsupportedError(
                f"operation {operation.name}{where(operation.location)} has no lowering in "
                "SmartMem; replace it in the model (there are lowerings for the dialects "
                f"{', '.join(sorted(_DIALECTS))})"
            )


def check_static(module: ir.Module) -> None:
    """Checks that every tensor in ``module`` has a static shape.

    Raises:
        UnsupportedError: names the first value that has not.
    """
    for operation in walk(module):
        for value in operation.results:
            _check_static(value, operation.name, operation)
        for region in operation.regions:
            for block in region.blocks:
                for value in block.arguments:
                    _check_static(value, f"an argument of {operation.name}", operation)


def _check_static(value: ir.Value, what: str, operation: ir.Operation) -> None:
    type = value.type
    unranked = isinstance(type, ir.UnrankedTensorType)
    if unranked or (isinstance(type, ir.RankedTensorType) and not type.has_static_shape):
        raise UnsupportedError(_dynamic(value, what, operation))


def _dynamic(value: ir.Value, what: str, operation: ir.Operation) -> str:
    return (
        f"{value.get_name()} ({what}{where(operation.location)}) has the dynamic type "
        f"{value.type}; SmartMem compiles static shapes: fix the model's input shapes, or "
        "replace the operation"
    )


def _used_parameters(module: ir.Module, parameters: Parameters) -> Parameters:
    used = Parameters()
    for operation in walk(module):
        for name, attribute in operation.attributes.items():
            key = resource_key(attribute)
            if key is None or key in used:
                continue
            dtype = numpy_dtype(ir.ShapedType(attribute.type).element_type)
            if key not in parameters:
                raise InvalidInputError(
                    f"the module does not hold the data of the constant {key!r}; write it "
                    "without eliding constants, or as bytecode"
                )
            array = parameters[key].view(dtype)
            if dtype == np.bool_:  # can have come as a resource in a MLIR file
                operation.attributes[name] = used.add(key, array, attribute.type)
            else:
                used.record(key, array)
    return used
