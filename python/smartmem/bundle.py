"""Folders with which a compiled model is built into a program for a device."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

import smartmem
from smartmem.backend.module_file import DType, ModuleFile
from smartmem.errors import InvalidInputError, ToolMissingError
from smartmem.files import copy_file, make_folder, write_file
from smartmem.inputs import random_inputs
from smartmem.tensor_spec import TensorSpec

_TEMPLATES = Path(__file__).parent / "bundle_files"

# NumPy's names of element types -> IREE's.
_ELEMENT_TYPES = {
    "bool": "BOOL_8",
    "int8": "SINT_8",
    "int16": "SINT_16",
    "int32": "SINT_32",
    "int64": "SINT_64",
    "uint8": "UINT_8",
    "uint16": "UINT_16",
    "uint32": "UINT_32",
    "uint64": "UINT_64",
    "float16": "FLOAT_16",
    "float32": "FLOAT_32",
    "float64": "FLOAT_64",
    "bfloat16": "BFLOAT_16",
}
_DRIVERS = {"cpu": ("local-task", "LOCAL_TASK"), "vulkan": ("vulkan", "VULKAN")}
_LIBRARY = "libsmartmem_vulkan.so"


def write_bundle(module: Path, folder: Path) -> list[Path]:
    """Writes a folder from which a program that runs a module is built.

    Args:
        module: the ``.vmfb``.
        folder: the folder; made if it is not there. What a bundle has in it is replaced.

    Returns:
        The files written, in order.

    Raises:
        InvalidInputError: not a module of SmartMem, or the folder cannot be written.
        ToolMissingError: the module needs SmartMem's Vulkan library, whose sources this
            installation does not have.
    """
    file = ModuleFile(module)
    if file.metadata.target_name is None:
        raise InvalidInputError(
            f"{module} was not compiled by SmartMem: it does not say what it runs on"
        )
    library = library_sources() if file.metadata.images else None
    texts = {
        "app/model.h": _template("model.h"),
        "app/model.c": _template("model.c"),
        "app/main.c": _template("main.c"),
        "app/signature.h": signature_header(file),
        "CMakeLists.txt": _filled("CMakeLists.txt", DRIVER=_DRIVERS[file.metadata.kind][1]),
        "README.md": _readme(module, file, has_library=library is not None),
    }
    written = [_write(folder / name, text.encode()) for name, text in texts.items()]
    written += _write_inputs(file, folder)
    copy_file(module, folder / "model.vmfb")
    written.append(folder / "model.vmfb")
    return written + (_copy_library(library, folder / "runtime") if library else [])


def library_sources() -> Path:
    """The folder with the sources of SmartMem's Vulkan library.

    Raises:
        ToolMissingError: this installation has none.
    """
    installed = [Path(folder) / "_library" / "runtime" for folder in smartmem.__path__]
    # In a checkout, the package's files lie in python/smartmem.
    checkout = Path(__file__).resolve().parents[2] / "runtime"
    for folder in (*installed, checkout):
        if (folder / "CMakeLists.txt").is_file():
            return folder
    raise ToolMissingError(
        "the module needs SmartMem's Vulkan library, and its sources are not installed: "
        "install SmartMem from its sources, or compile the module with --storage=buffer"
    )


def signature_header(file: ModuleFile) -> str:
    """A C header with the inputs and outputs of a module."""
    metadata = file.metadata
    specs = (*metadata.inputs, *metadata.outputs)
    rank = max((len(spec.shape) for spec in specs), default=0)
    lines = [
        "// Inputs and outputs of the model. Written by `smartmem bundle`.",
        "",
        "#ifndef SMARTMEM_SIGNATURE_H_",
        "#define SMARTMEM_SIGNATURE_H_",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f'#define SMARTMEM_MODEL_DRIVER "{_DRIVERS[metadata.kind][0]}"',
        f'#define SMARTMEM_MODEL_FUNCTION "{file.vm_module.name}.{file.function.name}"',
        f"#define SMARTMEM_MODEL_NEEDS_LIBRARY {int(bool(metadata.images))}",
        f"#define SMARTMEM_MODEL_INPUTS {len(metadata.inputs)}",
        f"#define SMARTMEM_MODEL_OUTPUTS {len(metadata.outputs)}",
        f"#define SMARTMEM_MODEL_MAX_RANK {max(rank, 1)}",
        "",
        "typedef struct smartmem_tensor {",
        "  const char* name;",
        "  const char* file;       // where app/main.c reads or writes it",
        "  size_t bytes;",
        "  size_t rank;",
        "  int64_t shape[SMARTMEM_MODEL_MAX_RANK];",
        "  uint32_t element_type;  // an iree_hal_element_type_t",
        "} smartmem_tensor;",
        "",
        *_table("inputs", metadata.inputs, file.input_dtypes),
        *_table("outputs", metadata.outputs, file.output_dtypes),
        "#endif  // SMARTMEM_SIGNATURE_H_",
        "",
    ]
    return "\n".join(lines)


def _table(kind: str, specs: Sequence[TensorSpec], dtypes: Sequence[DType]) -> list[str]:
    rows = []
    for number, (spec, dtype) in enumerate(zip(specs, dtypes, strict=True)):
        size = int(np.prod(spec.shape, dtype=np.int64)) * dtype.itemsize
        shape = ", ".join(map(str, spec.shape)) or "0"
        rows.append(
            f'    {{"{_quoted(spec.name)}", "{kind}/{number}.bin", {size}, '
            f"{len(spec.shape)}, {{{shape}}}, {_element_code(dtype)}}},  // {dtype.name}"
        )
    # C has no empty arrays.
    rows = rows or ["    {0}"]
    return [f"static const smartmem_tensor smartmem_model_{kind}[] = {{", *rows, "};", ""]


def _quoted(name: str) -> str:
    return re.sub(r"[^ -!#-\[\]-~]", "_", name)


def _element_code(dtype: DType) -> str:
    """IREE's number of an element type.

    Raises:
        InvalidInputError: IREE has none.
    """
    from iree import runtime as rt

    name = _ELEMENT_TYPES.get(dtype.name)
    if name is None:
        raise InvalidInputError(f"a program cannot hand over elements of {dtype.name}")
    return f"0x{int(getattr(rt.HalElementType, name)):08x}u"


def _readme(module: Path, file: ModuleFile, *, has_library: bool) -> str:
    metadata = file.metadata
    rows = [f"- input `{spec}`" for spec in metadata.inputs]
    rows += [f"- output `{spec}`" for spec in metadata.outputs]
    counts = ", ".join(f"{n} through a {kind}" for kind, n in metadata.images.items())
    text = (
        "\nThe kernels access their buffers as images, "
        f"{counts}. IREE's runtime does not know that: it loads `{_LIBRARY}` in place of the\n"
        "Vulkan loader (variable `IREE_HAL_VULKAN_LIBVULKAN_PATH`, which `model.c` sets), and\n"
        "that shows the buffers as images. Without it the model does not run.\n"
    )
    return _filled(
        "README.md",
        NAME=module.stem,
        TARGET=metadata.target_name or metadata.kind,
        VERSION=smartmem.__version__,
        IREE=version("iree-base-runtime"),
        SIGNATURE="\n".join(rows),
        LIBRARY_ROW="| `runtime/` | the library that shows buffers as images |\n"
        if has_library
        else "",
        LIBRARY_TEXT=text if has_library else "",
        TARGETS="run_model smartmem_vulkan" if has_library else "run_model",
        PUSH=f" build/runtime/{_LIBRARY}" if has_library else "",
        COPY=f" && cp build/runtime/{_LIBRARY} ." if has_library else "",
        APP=f" and that of `{_LIBRARY}` in its folder of native libraries"
        if has_library
        else "",
    )


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _filled(name: str, **values: str) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], _template(name))


def _write(path: Path, content: bytes) -> Path:
    make_folder(path.parent)
    write_file(path, lambda out: out.write(content))
    return path


def _write_inputs(file: ModuleFile, folder: Path) -> list[Path]:
    arrays = random_inputs(file.metadata.inputs)
    pairs = zip(arrays, file.input_dtypes, strict=True)
    return [
        _write(folder / "inputs" / f"{number}.bin", array.astype(dtype).tobytes())
        for number, (array, dtype) in enumerate(pairs)
    ]


def _copy_library(source: Path, target: Path) -> list[Path]:
    """Copies what the library is built from, without its tests."""
    try:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("test", "build"))
    except OSError as error:
        raise InvalidInputError(
            f"cannot write {target}: {error.strerror or error}; choose another place"
        ) from error
    return sorted(path for path in target.rglob("*") if path.is_file())
