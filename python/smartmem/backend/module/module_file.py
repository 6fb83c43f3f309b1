"""Reads a ``.vmfb``: its entry function, its metadata and its shaders."""

from __future__ import annotations

import functools
import mmap
from pathlib import Path
from typing import Any, Literal

import numpy as np
from iree import runtime as rt

from smartmem.backend.device import hal
from smartmem.backend.module.archive import damage
from smartmem.backend.module.metadata import (
    REFLECTION_KEY,
    ModuleMetadata,
    decode_metadata,
    signature_of,
)
from smartmem.backend.module.spirv import ShaderUse, shader_use
from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.files import refuse_special

DType = np.dtype[np.generic]

_DECLARATION = "iree.abi.declaration"


class ModuleFile:
    """A compiled module, verified but not yet loaded on a device.

    Attributes:
        name: its path, or a stand-in for one that came as bytes.
        vm_module: IREE's module.
        function: its entry function.
        metadata: what it was compiled for, and its signature.
        input_dtypes: the dtypes that the compiled function takes; IREE can have changed
            the model's, float64 into float32 for instance.
        output_dtypes: the dtypes it returns.
    """

    def __init__(self, source: str | Path | bytes) -> None:
        """Opens and verifies a module.

        Args:
            source: its path, which is mapped into memory, or its content.

        Raises:
            InvalidInputError: unreadable, not a compiled module, or a damaged one.
            UnsupportedError: its inputs or outputs are not static tensors.
        """
        path = None if isinstance(source, bytes) else Path(source)
        self.name = "the module" if path is None else str(path)
        self._data = source if isinstance(source, bytes) else _map(Path(source))
        _check_whole(self.name, self._data)
        self.vm_module = self._vm_module()
        self.function = self._entry()
        self.metadata = self._read_metadata()
        self.input_dtypes, self.output_dtypes = self._compiled_dtypes()

    @functools.cached_property
    def shader_use(self) -> ShaderUse:
        """What its shaders use of a Vulkan device."""
        return shader_use(memoryview(self._data))

    def _vm_module(self) -> Any:
        try:
            if isinstance(self._data, bytes):
                return rt.VmModule.copy_buffer(hal.vm_instance(), self._data)
            # What was verified, whatever takes the place of the file meanwhile.
            return rt.VmModule.wrap_buffer(hal.vm_instance(), self._data)
        except (RuntimeError, ValueError) as error:
            raise InvalidInputError(
                f"{self.name} is not a compiled module (.vmfb) of this version of IREE, "
                f"or it is damaged: {hal.short_status(error)}"
            ) from error

    def _entry(self) -> Any:
        # Functions with a declaration or metadata are what a module offers to callers.
        offered = {
            name: function
            for name in self.vm_module.function_names
            if (function := self.vm_module.lookup_function(name)) is not None
            and function.reflection.keys() & {REFLECTION_KEY, _DECLARATION}
        }
        own = [f for f in offered.values() if REFLECTION_KEY in f.reflection]
        if own:
            return own[0]
        if "main" in offered or len(offered) == 1:
            return offered.get("main") or next(iter(offered.values()))
        listed = ", ".join(offered) or "none"
        raise InvalidInputError(
            f"{self.name} has no function main; its functions are: {listed}; "
            "compile a model whose entry is called main"
        )

    def _read_metadata(self) -> ModuleMetadata:
        reflection = self.function.reflection
        if REFLECTION_KEY not in reflection:
            return self._foreign_metadata(reflection[_DECLARATION])
        try:
            return decode_metadata(reflection[REFLECTION_KEY])
        except ValueError as error:
            raise InvalidInputError(
                f"{self.name} was compiled by another version of SmartMem: {error}; "
                "compile it again"
            ) from error

    def _compiled_dtypes(self) -> tuple[tuple[DType, ...], tuple[DType, ...]]:
        inputs, outputs = self.metadata.inputs, self.metadata.outputs
        signature = signature_of(self.function.reflection.get(_DECLARATION, ""))
        declared = signature or (inputs, outputs)
        if (len(declared[0]), len(declared[1])) != (len(inputs), len(outputs)):
            raise InvalidInputError(
                f"{self.name} is damaged: its signature does not fit its description; "
                "compile it again"
            )
        return tuple(s.dtype for s in declared[0]), tuple(s.dtype for s in declared[1])

    def _foreign_metadata(self, declaration: str) -> ModuleMetadata:
        """What can be known of a module that SmartMem did not compile."""
        signature = signature_of(declaration)
        if signature is None:
            raise UnsupportedError(
                f"{self.name} has inputs or outputs that are not tensors of fixed shape: "
                f"{declaration}; run it with iree-run-module"
            )
        has_shaders = self._data.find(b"vulkan-spirv") >= 0
        kind: Literal["cpu", "vulkan"] = "vulkan" if has_shaders else "cpu"
        return ModuleMetadata(None, kind, None, *signature)


def _map(path: Path) -> bytes | mmap.mmap:
    try:
        refuse_special(path)
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # an empty file cannot be mapped
        return b""
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error


def _check_whole(name: str, data: bytes | mmap.mmap) -> None:
    if len(data) == 0:
        raise InvalidInputError(f"{name} is not a compiled module: it is empty")
    # IREE itself checks no checksum, and reads past the end of a file that was cut short.
    fault = damage(data)
    if fault is not None:
        raise InvalidInputError(f"{name} is damaged: {fault}; compile or copy it again")
