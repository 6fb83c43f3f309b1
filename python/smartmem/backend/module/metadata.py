"""The description of a module that travels inside its ``.vmfb``.

It is a JSON string in the entry function's ``iree.reflection`` attribute, so the file
stays a plain IREE module that IREE's own tools run too. A module compiled by others has
IREE's one-line declaration only, from which the signature can be read.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import ml_dtypes
import numpy as np

from smartmem.backend.targets.requirements import DeviceRequirements
from smartmem.backend.targets.targets import Target
from smartmem.parameters import NUMPY_DTYPES
from smartmem.tensor_spec import TensorSpec

if TYPE_CHECKING:
    from smartmem.passes import BindingRecord

REFLECTION_KEY = "smartmem.meta"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ModuleMetadata:
    """What is known of a compiled module without running it.

    Attributes:
        target_name: the target it was compiled for; None for a module of others.
        kind: which driver runs it.
        requirements: what its device must offer; None if unknown.
        images: accesses of its kernels through texel buffers and images, by storage; empty
            if all are buffers. Such a module runs with SmartMem's Vulkan library only.
    """

    target_name: str | None
    kind: Literal["cpu", "vulkan"]
    requirements: DeviceRequirements | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    images: Mapping[str, int] = field(default_factory=dict)


def encode_metadata(
    target: Target, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> str:
    """The text to store under ``REFLECTION_KEY``.

    ``inputs`` and ``outputs`` may be any objects with a name, shape and dtype.
    """
    requirements = target.requirements
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "target": {
                "name": target.name,
                "kind": target.kind,
                "requirements": requirements.to_json() if requirements else None,
            },
            "inputs": [_spec_to_json(spec) for spec in inputs],
            "outputs": [_spec_to_json(spec) for spec in outputs],
        }
    )


def with_images(values: dict[str, Any], bindings: Sequence[BindingRecord]) -> dict[str, Any]:
    """The values that ``encode_metadata`` wrote, with the images that kernels access.

    The images' sizes become requirements of the device.
    """
    images = [record for record in bindings if record.storage != "buffer"]
    if not images:
        return values
    counts: Counter[str] = Counter()
    for record in images:
        counts[record.storage] += record.reads + record.writes
    needs = DeviceRequirements.from_json(values["target"]["requirements"] or {})
    texels = [record.texels for record in images if record.storage == "texel_buffer"]
    sizes = [max(record.rows, record.columns) for record in images if record.rows]
    needs = replace(
        needs,
        max_texel_buffer_elements=max(texels, default=None),
        max_image_dimension_2d=max(sizes, default=None),
    )
    target = {**values["target"], "requirements": needs.to_json()}
    return {**values, "target": target, "images": dict(sorted(counts.items()))}


def decode_metadata(text: str) -> ModuleMetadata:
    """Reads what ``encode_metadata`` wrote.

    Raises:
        ValueError: the text has another form or schema version.
    """
    try:
        values = json.loads(text)
        if values["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {values['schema_version']!r} is not known")
        target, requirements = values["target"], values["target"]["requirements"]
        if target["kind"] not in ("cpu", "vulkan"):
            raise ValueError(f"target kind {target['kind']!r} is not known")
        return ModuleMetadata(
            target_name=str(target["name"]),
            kind=target["kind"],
            requirements=DeviceRequirements.from_json(requirements) if requirements else None,
            inputs=tuple(_spec_from_json(spec) for spec in values["inputs"]),
            outputs=tuple(_spec_from_json(spec) for spec in values["outputs"]),
            images={str(kind): int(n) for kind, n in values.get("images", {}).items()},
        )
    except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"a part is missing or misplaced: {error}") from error


def signature_of(
    declaration: str,
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]] | None:
    """Inputs and outputs out of IREE's ``iree.abi.declaration``.

    Returns None for a signature that is not made of static tensors alone.
    """
    match = re.fullmatch(r"(?:sync|async) func @\S+?\((.*)\) -> \((.*)\)", declaration)
    if match is None:
        return None
    inputs, outputs = (_declared(part) for part in match.groups())
    return (inputs, outputs) if inputs is not None and outputs is not None else None


def _declared(text: str) -> tuple[TensorSpec, ...] | None:
    specs = []
    for part in filter(None, re.split(r", (?=%)", text)):
        match = re.match(r"%(\w+): tensor<((?:\d+x)*)(\w+)>", part)
        dtype = NUMPY_DTYPES.get(match.group(3)) if match else None
        if match is None or dtype is None:
            return None
        shape = tuple(int(size) for size in match.group(2).split("x")[:-1])
        specs.append(TensorSpec(match.group(1), shape, dtype))
    return tuple(specs)


def _spec_to_json(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "shape": [*spec.shape], "dtype": np.dtype(spec.dtype).name}


def _spec_from_json(values: Mapping[str, Any]) -> TensorSpec:
    name, shape, dtype = values["name"], values["shape"], values["dtype"]
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=0) < 0:
        raise ValueError(f"{name} has the shape {shape}")
    return TensorSpec(str(name), sizes, _dtype(dtype))


def _dtype(name: str) -> np.dtype[np.generic]:
    """A dtype by name; ``bfloat16`` is not NumPy's own."""
    return np.dtype(getattr(ml_dtypes, name) if hasattr(ml_dtypes, name) else name)
