"""ONNX models: a file (with or without external data), its bytes, or a ``ModelProto``.

The model is checked, given static shapes and typed throughout by onnx's own tools, and
imported by torch-mlir's ONNX importer, which runs without PyTorch. Initializers and
constants go into the parameter table under their ONNX names.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch_mlir import ir
from torch_mlir.extras import onnx_importer

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend.finish import finish_module
from smartmem.frontend.imported_model import ImportedModel, unique_names
from smartmem.frontend.lowering import new_context, run_passes, walk
from smartmem.frontend.onnx_attributes import check_shapes, check_values
from smartmem.frontend.onnx_casts import cast_to_integers
from smartmem.frontend.onnx_checks import check_model, stand_in_types
from smartmem.frontend.onnx_convolutions import CONVOLUTION_REWRITES
from smartmem.frontend.onnx_deprecated import replace_deprecated
from smartmem.frontend.onnx_determinant import DETERMINANT_REWRITES
from smartmem.frontend.onnx_elements import ELEMENT_REWRITES
from smartmem.frontend.onnx_empty import fold_empty
from smartmem.frontend.onnx_expansion import Rewrite, expand_operators
from smartmem.frontend.onnx_grid_sample import GRID_REWRITES
from smartmem.frontend.onnx_indices import check_indices
from smartmem.frontend.onnx_integers import INTEGER_REWRITES
from smartmem.frontend.onnx_loops import slice_by_iteration
from smartmem.frontend.onnx_matmul import flatten_matmuls
from smartmem.frontend.onnx_movements import expand_movements
from smartmem.frontend.onnx_packed_bits import unpack_bits
from smartmem.frontend.onnx_pads import PAD_REWRITES
from smartmem.frontend.onnx_pools import POOL_REWRITES
from smartmem.frontend.onnx_products import PRODUCT_REWRITES
from smartmem.frontend.onnx_quantized import QUANTIZED_REWRITES
from smartmem.frontend.onnx_recurrent import RECURRENT_REWRITES
from smartmem.frontend.onnx_reference import OnnxReference
from smartmem.frontend.onnx_regions import REGION_REWRITES
from smartmem.frontend.onnx_resize import RESIZE_REWRITES
from smartmem.frontend.onnx_scatters import SCATTER_REWRITES
from smartmem.frontend.onnx_sequences import expand_reversals
from smartmem.frontend.onnx_shapes import fix_shapes, tensor_shape
from smartmem.frontend.onnx_spectral import SPECTRAL_REWRITES
from smartmem.frontend.onnx_transposed import TRANSPOSED_REWRITES
from smartmem.frontend.onnx_unpool import UNPOOL_REWRITES
from smartmem.frontend.onnx_unsigned import widen_unsigned
from smartmem.frontend.propagate_nans import propagate_nans
from smartmem.parameters import Array, Parameters, resource_key
from smartmem.tensor_spec import TensorSpec

_LOG = logging.getLogger(__name__)

_ONNX_TO_LINALG = (
    "torch-onnx-to-torch-backend-pipeline",
    "torch-backend-to-linalg-on-tensors-backend-pipeline{allow-non-finites=true}",
)
_OLDEST_OPSET, _CONVERTED_OPSET = 13, 17
"""torch-mlir reads many operators only in the form that opset 13 gave them."""
REWRITES: Mapping[str, Rewrite] = {
    **CONVOLUTION_REWRITES,
    **DETERMINANT_REWRITES,
    **ELEMENT_REWRITES,
    **GRID_REWRITES,
    **INTEGER_REWRITES,
    **PAD_REWRITES,
    **POOL_REWRITES,
    **QUANTIZED_REWRITES,
    **RECURRENT_REWRITES,
    **PRODUCT_REWRITES,
    **REGION_REWRITES,
    **RESIZE_REWRITES,
    **SCATTER_REWRITES,
    **SPECTRAL_REWRITES,
    **TRANSPOSED_REWRITES,
    **UNPOOL_REWRITES,
}
"""Operators that are written in simpler ones."""
_INLINE_ELEMENTS = 64
"""Integer lists up to this long (shapes, axes) stay in the IR, where lowering folds them."""


def import_onnx(
    model: Path | bytes | onnx.ModelProto,
    inputs: Any = None,
    shapes: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> ImportedModel:
    """Imports an ONNX model.

    Args:
        model: a file, its bytes, or a loaded model with its data.
        inputs: example inputs, whose shapes fix dynamic sizes: an array, a sequence in
            the model's order, or a mapping by name.
        shapes: the same by input name; comes before ``inputs``.

    Raises:
        InvalidInputError: not a valid ONNX model, or a size is missing in ``shapes``.
        UnsupportedError: an operator or dtype has no lowering.
    """
    loaded = _load(model)
    check_values(loaded)
    proto = _modernize(loaded)
    unpack_bits(proto)
    values = _graph_inputs(proto)
    names = [value.name for value in values]
    fix_shapes(proto, {**_example_shapes(inputs, names), **shapes})
    specs = _specs(values), _specs(proto.graph.output)
    check_shapes(proto)
    check_indices(proto)
    fold_empty(proto)
    widen_unsigned(proto)
    expand_operators(proto, REWRITES)
    flatten_matmuls(proto)
    expand_movements(proto)
    expand_reversals(proto)
    module, parameters = _import(proto)
    run_passes(module, *_ONNX_TO_LINALG)
    propagate_nans(module)
    parameters = finish_module(module, parameters)
    return ImportedModel(module, parameters, *specs, "onnx", OnnxReference(model, names))


def _example_shapes(inputs: Any, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping):
        several = isinstance(inputs, (tuple, list))
        inputs = dict(zip(names, inputs if several else [inputs], strict=False))
    return {name: tuple(np.shape(value)) for name, value in inputs.items()}


def _load(model: Path | bytes | onnx.ModelProto) -> onnx.ModelProto:
    name = str(model) if isinstance(model, Path) else "the ONNX model"
    try:
        proto = _decode(model)
        check_model(proto)
        # By path, onnx finds the external data; a proto has it loaded.
        is_as_given = not replace_deprecated(proto)
        whole = stand_in_types(proto)
        by_path = isinstance(model, Path) and is_as_given and whole is proto
        onnx.checker.check_model(str(model) if by_path else whole)
    except onnx.checker.ValidationError as error:
        raise InvalidInputError(
            f"{name} is not a valid ONNX model: {_first_line(error)}"
        ) from error
    except (DecodeError, OSError, ValueError, SystemError) as error:
        raise InvalidInputError(
            f"{name} is not a complete ONNX model: {_first_line(error)}"
        ) from error
    return proto


def _decode(model: Path | bytes | onnx.ModelProto) -> onnx.ModelProto:
    if isinstance(model, Path):
        return onnx.load(str(model))
    if isinstance(model, bytes):
        return onnx.load_model_from_string(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _modernize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Inlines the model's own functions and lifts it to an opset torch-mlir reads."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), None)
    if opset is None or opset >= _OLDEST_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, _CONVERTED_OPSET)
    except (RuntimeError, onnx.version_converter.ConvertError) as error:
        _LOG.warning(
            "cannot convert the model from opset %d to %d, trying it as it is: %s",
            opset,
            _CONVERTED_OPSET,
            _first_line(error),
        )
        return model


def _graph_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller passes: old models list their initializers there too."""
    initialized = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in initialized]


def _specs(values: Sequence[onnx.ValueInfoProto]) -> tuple[TensorSpec, ...]:
    names = unique_names([value.name for value in values])
    return tuple(
        TensorSpec(name, tensor_shape(value), _dtype(value))
        for name, value in zip(names, values, strict=True)
    )


def _dtype(value: onnx.ValueInfoProto) -> np.dtype[np.generic]:
    element = value.type.tensor_type.elem_type
    return _numpy_dtype(element, value.name)


def _numpy_dtype(element: int, name: str) -> np.dtype[np.generic]:
    dtype = _NUMPY_DTYPES.get(element)
    if dtype is None:
        raise UnsupportedError(
            f"{name} has elements of type {onnx.TensorProto.DataType.Name(element)}; "
            "SmartMem compiles floats, integers of 8 to 64 bits and booleans"
        )
    return dtype


_NUMPY_DTYPES: dict[int, np.dtype[np.generic]] = {
    element: np.dtype(onnx.helper.tensor_dtype_to_np_dtype(element))
    for element in (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.BOOL,
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
        onnx.TensorProto.INT16,
        onnx.TensorProto.UINT16,
        onnx.TensorProto.INT32,
        onnx.TensorProto.UINT32,
        onnx.TensorProto.INT64,
        onnx.TensorProto.UINT64,
    )
}


def _import(model: onnx.ModelProto) -> tuple[ir.Module, Parameters]:
    _name_constants(model.graph)
    _name_nodes(model.graph)
    context = new_context()
    info = onnx_importer.ModelInfo(model)
    module = info.create_module(context=context)
    parameters = Parameters()
    importer = onnx_importer.NodeImporter.define_function(
        info.main_graph, module.operation, _ParameterCache(context, parameters)
    )
    try:
        with warnings.catch_warnings():
            # About values without a type, which only nodes we refused could have.
            warnings.simplefilter("ignore")
            importer.import_all()
    except onnx_importer.OnnxImportError as error:
        raise UnsupportedError(
            f"torch-mlir cannot import the model: {_first_line(error)}"
        ) from error
    _make_literals(module)
    slice_by_iteration(module)
    cast_to_integers(module)
    return module, parameters


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Names nodes without a name like their results: names are the layers of the report."""
    for node in graph.node:
        node.name = node.name or next(filter(None, node.output), "")


def _name_constants(graph: onnx.GraphProto) -> None:
    """Tensors inside Constant nodes are mostly nameless; what they define has a name."""
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                attribute.t.name = attribute.t.name or node.output[0]
            elif attribute.type == onnx.AttributeProto.GRAPH:
                _name_constants(attribute.g)


class _ParameterCache(onnx_importer.ContextCache):
    """Puts tensors into the parameter table."""

    __slots__ = ("_parameters",)

    def __init__(self, context: ir.Context, parameters: Parameters) -> None:
        super().__init__(context)
        self._parameters = parameters

    def tensor_proto_to_attr(self, tensor: onnx.TensorProto) -> ir.Attribute:
        type = self.tensor_proto_to_builtin_type(tensor)
        array = _to_array(tensor)
        if array.size <= 1 or (array.dtype.kind in "iub" and array.size <= _INLINE_ELEMENTS):
            return _inline(array, type)
        return self._parameters.add(tensor.name or "constant", array, type)


def _inline(array: Array, type: ir.RankedTensorType) -> ir.Attribute:
    if not array.size:
        return ir.Attribute.parse(f"dense<> : {type}")
    element = type.element_type
    if array.dtype == np.uint64:
        array = array.view(np.int64)  # the bindings take no larger number for an attribute
    make = ir.FloatAttr.get if array.dtype.kind in "fV" else ir.IntegerAttr.get
    return ir.DenseElementsAttr.get([make(element, value.item()) for value in array.flat], type)


def _make_literals(module: ir.Module) -> None:
    """``onnx.Constant`` of a resource -> ``torch.vtensor.literal``, which stays one.

    Lowering an ``onnx.Constant`` copies its data into the IR.
    """
    for operation in walk(module):
        value = operation.attributes.get("torch.onnx.value")
        if value is None or resource_key(value) is None:
            continue
        with operation.location, ir.InsertionPoint(operation):
            literal = ir.Operation.create(
                "torch.vtensor.literal",
                results=[operation.results[0].type],
                attributes={"value": value},
            )
        operation.results[0].replace_all_uses_with(literal.result)
        operation.erase()


def _to_array(tensor: onnx.TensorProto) -> Array:
    dtype = _numpy_dtype(tensor.data_type, tensor.name)
    try:
        return numpy_helper.to_array(tensor).astype(dtype, copy=False)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"the data of the tensor {tensor.name!r} does not fit its shape: {_first_line(error)}"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
