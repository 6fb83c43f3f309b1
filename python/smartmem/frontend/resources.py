"""Read the data of a module's ``dense_resource`` attributes.

MLIR's Python bindings give no access to resource data, but MLIR prints it: each
resource is printed alone in an otherwise empty module, and its hexadecimal text is
decoded. That happens once, when a module from outside is imported; everything later
looks values up in the parameter table.
"""

from __future__ import annotations

import binascii
import math

import numpy as np
from torch_mlir import ir

from smartmem.errors import InvalidInputError
from smartmem.frontend.lowering import walk
from smartmem.parameters import NUMPY_DTYPES, Array, Parameters, resource_key

_BLOB = b': "0x'
_ALIGNMENT_DIGITS = 8
"""Printed data starts with the alignment, a 32-bit integer."""


def read_resources(module: ir.Module | ir.Operation) -> Parameters:
    """The values of all resources that operations of ``module`` hold as attributes.

    Resources without data (printed with elided constants) and those of element types
    that NumPy cannot hold are left out.

    Raises:
        InvalidInputError: a resource has not as many bytes as its type needs.
    """
    parameters = Parameters()
    scratch = ir.Module.create(ir.Location.unknown(module.context))

    for operation in walk(module):
        for attribute in operation.attributes.values():
            key = resource_key(attribute)
            if key is not None and key not in parameters:
                value = _value(key, attribute, scratch)
                if value is not None:
                    parameters.record(key, value)
    return parameters


def _value(key: str, attribute: ir.Attribute, scratch: ir.Module) -> Array | None:
    type = ir.ShapedType(attribute.type)
    dtype = NUMPY_DTYPES.get(str(type.element_type))
    if dtype is None or not type.has_static_shape:
        return None
    scratch.operation.attributes["smartmem.resource"] = attribute
    data = _printed_data(scratch.operation.get_asm(binary=True))
    if data is None:
        return None
    expected = math.prod(type.shape) * dtype.itemsize
    if len(data) != expected:
        raise InvalidInputError(
            f"the resource {key!r} has {len(data)} bytes, but {attribute.type} needs "
            f"{expected}; write the module anew"
        )
    return np.frombuffer(data, dtype).reshape(type.shape)


def _printed_data(text: bytes) -> bytes | None:
    """The data of the one resource in ``text``, which is long: it is not copied."""
    found = text.find(_BLOB)
    if found < 0:
        return None
    start = found + len(_BLOB)
    digits = memoryview(text)[start + _ALIGNMENT_DIGITS : text.index(b'"', start)]
    return binascii.unhexlify(digits)
