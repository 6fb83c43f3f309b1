"""Folders with which a compiled model is built into a program for a device."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

import smartmem
from smartmem.backend.module.module_file import DType, ModuleFile
from smartmem.bundle.folder import replace_files
from smartmem.errors import InvalidInputError, ToolMissingError
from smartmem.files import printable
from smartmem.installed_files import data_folder
from smartmem.runtime.inputs import random_inputs
from smartmem.tensor_spec import TensorSpec

_TEMPLATES = Path(__file__).parent / "files"

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


def write_bundle(module: Path, folder: Path, *, android: bool = False) -> list[Path]:
    """Writes a folder from which a program that runs a module is built.

    Args:
        module: the ``.vmfb``.
        folder: the folder; made if it is not there. What a bundle has in it is replaced;
            nothing that SmartMem did not write, or that was changed since.
        android: add a Gradle module that builds an Android library (AAR) with a Kotlin API.

    Returns:
        The files written, in order.

    Raises:
        InvalidInputError: not a module of SmartMem, or the folder cannot be written or holds
            other files.
        ToolMissingError: the module needs SmartMem's Vulkan library, whose sources this
            installation does not have.
    """
    file = ModuleFile(module)
    if file.metadata.target_name is None:
        raise InvalidInputError(
            f"{module} was not compiled by SmartMem: it does not say what it runs on"
        )
    library = library_sources() if file.metadata.images else None
    texts: dict[str, str] = {
        "app/model.h": _template("model.h"),
        "app/model.c": _template("model.c"),
        "app/main.c": _template("main.c"),
        "app/signature.h": signature_header(file),
        "CMakeLists.txt": _filled("CMakeLists.txt", DRIVER=_DRIVERS[file.metadata.kind][1]),
        "README.md": _readme(module, file, has_library=library is not None),
    }
    contents: dict[str, bytes | Path] = {name: text.encode() for name, text in texts.items()}
    contents |= _inputs(file)
    contents["model.vmfb"] = module
    if library:
        contents |= _library_files(library)
    if android:
        contents |= _android_files(module, has_library=library is not None)
    return replace_files(folder, contents)


def _android_files(module: Path, *, has_library: bool) -> dict[str, bytes | Path]:
    """The Gradle module in ``android/``, and the C functions behind its Kotlin API."""
    targets = ["smartmem_model", *(["smartmem_vulkan"] if has_library else [])]
    source = "android/src/main"
    texts = {
        "android/settings.gradle.kts": _template("android/settings.gradle.kts"),
        "android/build.gradle.kts": _filled(
            "android/build.gradle.kts", TARGETS=", ".join(f'"{name}"' for name in targets)
        ),
        "android/README.md": _filled(
            "android/README.md", NAME=_in_one_line(printable(module.stem))
        ),
        f"{source}/AndroidManifest.xml": _template("android/AndroidManifest.xml"),
        f"{source}/kotlin/dev/smartmem/Model.kt": _template("android/Model.kt"),
        f"{source}/kotlin/dev/smartmem/Assets.kt": _template("android/Assets.kt"),
        "app/jni.c": _template("jni.c"),
    }
    files: dict[str, bytes | Path] = {name: text.encode() for name, text in texts.items()}
    return {**files, f"{source}/assets/model.vmfb": module}


def library_sources() -> Path:
    """The folder with the sources of SmartMem's Vulkan library.

    Raises:
        ToolMissingError: this installation has none.
    """
    folder = data_folder("_data/runtime", "runtime")
    if folder is not None and (folder / "CMakeLists.txt").is_file():
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
        "#define SMARTMEM_MODEL_FUNCTION "
        + _c_string(f"{file.vm_module.name}.{file.function.name}"),
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
            f'    {{{_c_string(spec.name)}, "{kind}/{number}.bin", {size}, '
            f"{len(spec.shape)}, {{{shape}}}, {_element_code(dtype)}}},  // {dtype.name}"
        )
    # C has no empty arrays.
    rows = rows or ["    {0}"]
    return [f"static const smartmem_tensor smartmem_model_{kind}[] = {{", *rows, "};", ""]


def _c_string(text: str) -> str:
    """A string literal of C, in UTF-8, whatever the text: a module of others can hold C."""
    plain = "".join(map(chr, range(0x20, 0x7F))).translate({ord(c): None for c in '"\\?'})
    content = text.encode(errors="backslashreplace")
    return '"' + "".join(chr(b) if chr(b) in plain else f"\\{b:03o}" for b in content) + '"'


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
    rows = [f"- input `{_in_one_line(spec)}`" for spec in metadata.inputs]
    rows += [f"- output `{_in_one_line(spec)}`" for spec in metadata.outputs]
    counts = ", ".join(f"{n} through a {kind}" for kind, n in metadata.images.items())
    text = (
        "\nThe kernels access their buffers as images, "
        f"{counts}. IREE's runtime does not know that: it loads `{_LIBRARY}` in place of the\n"
        "Vulkan loader (variable `IREE_HAL_VULKAN_LIBVULKAN_PATH`, which `model.c` sets), and\n"
        "that shows the buffers as images. Without it the model does not run.\n"
    )
    return _filled(
        "README.md",
        NAME=_in_one_line(printable(module.stem)),
        TARGET=_in_one_line(metadata.target_name or metadata.kind),
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


def _in_one_line(value: object) -> str:
    """Text without control characters, and without what ends code in Markdown."""
    return "".join(c if c.isprintable() and c != "`" else "_" for c in str(value))


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _filled(name: str, **values: str) -> str:
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], _template(name))


def _inputs(file: ModuleFile) -> dict[str, bytes]:
    arrays = random_inputs(file.metadata.inputs)
    pairs = zip(arrays, file.input_dtypes, strict=True)
    return {
        f"inputs/{number}.bin": array.astype(dtype).tobytes()
        for number, (array, dtype) in enumerate(pairs)
    }


def _library_files(source: Path) -> dict[str, Path]:
    """What the library is built from, without its tests."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    names = {path: path.relative_to(source) for path in files}
    return {
        f"runtime/{name.as_posix()}": path
        for path, name in names.items()
        if name.parts[0] not in ("test", "build")
    }
