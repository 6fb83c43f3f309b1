"""The names of the passes and pipelines that the MLIR bindings bring along.

MLIR's Python bindings run a pass by its name but cannot list the names. They stand as
zero-terminated strings in the bindings' shared library, so this module collects
everything there that looks like a pass name and keeps what the pipeline parser knows.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from torch_mlir import _mlir_libs, ir
from torch_mlir.passmanager import PassManager

# A whole string of the library, and the places where a shorter one can start in it:
# linkers store a string that ends another one only once, as "canonicalize" in
# "llvm.canonicalize".
_STRING = re.compile(rb"\0([a-z][a-z0-9._-]{2,80})(?=\0)")
_NAME_AT_END = re.compile(r"(?<![a-z0-9])(?=([a-z][a-z0-9-]*)\Z)")
UNREGISTERED = "does not refer to a registered pass"


def register_torch_passes() -> None:
    """Makes torch-mlir's own passes known to the pipeline parser."""
    # The native module registers them when it is loaded. torch_mlir.dialects.torch
    # would load it too, but takes 70 ms more for op classes that nothing here uses.
    from torch_mlir._mlir_libs import _torchMlir  # noqa: F401


@lru_cache(maxsize=1)
def upstream_passes() -> tuple[str, ...]:
    """Every upstream pass and pipeline by its flag, sorted; takes about half a second."""
    register_torch_passes()
    candidates = {name for path in _libraries() for name in _candidates(path)}
    with ir.Context():
        return tuple(sorted(name for name in candidates if _is_registered(name)))


def _libraries() -> Iterator[Path]:
    for folder in _mlir_libs.get_lib_dirs():
        yield from Path(folder).glob("*AggregateCAPI*")


def _candidates(library: Path) -> Iterator[str]:
    with (
        library.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        strings = {match.group(1).decode() for match in _STRING.finditer(data)}
    for string in strings:
        yield from _NAME_AT_END.findall(string)


def _is_registered(name: str) -> bool:
    try:
        PassManager("any").add(name)
    except ValueError as error:
        return UNREGISTERED not in str(error)
    return True
