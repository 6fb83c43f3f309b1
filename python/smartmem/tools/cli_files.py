"""Which files the commands read and write."""

from __future__ import annotations

import sys
from pathlib import Path

from smartmem.errors import InvalidInputError

STDOUT = Path("-")

# Suffixes of files that some program can read: what -o must not replace by another type.
_FILE_TYPES = {
    ".html": "a page",
    ".json": "JSON",
    ".mlir": "MLIR text",
    ".mlirbc": "MLIR bytecode",
    ".npy": "a NumPy array",
    ".npz": "NumPy arrays",
    ".onnx": "an ONNX model",
    ".pt2": "a torch.export archive",
    ".smartmem": "the stages of a compilation",
    ".vmfb": "a compiled module",
}


# What is in the beginning of each, and hardly in that of other files.
_MARKS = {
    ".html": (b"<!doctype html>", b"what SmartMem did"),
    ".json": (b"{", b'"schema_version"'),
    ".mlir": (b"func.func",),
    ".mlirbc": (b"ML\xefR",),
    ".npz": (b"PK\x03\x04",),
    ".smartmem": (b'{"schema_version"', b'"stages"'),
    ".vmfb": (b"IREE",),
}
_SNIFFED = 1 << 16


def is_module(path: Path) -> bool:
    """Whether the file is a compiled module, by its suffix."""
    return path.suffix == ".vmfb"


def check_output(path: Path, suffix: str, model: Path, *, goes_on: bool = False) -> None:
    """Reports an output that would destroy something else, before the work begins.

    Args:
        path: where the output is to go; ``STDOUT`` is always fine.
        suffix: type of the output, e.g. ``.vmfb``.
        model: the input.
        goes_on: the output continues what is there, whose reader looks at its content.

    Raises:
        InvalidInputError: ``path`` is the model itself, a folder, in no folder, or an
            existing file of another type than ``suffix``, by its own suffix or content.
    """
    if path == STDOUT:
        return
    if not path.parent.is_dir():
        raise InvalidInputError(
            f"cannot write {path}: there is no folder {path.parent}; create it first"
        )
    if not path.exists():
        return
    if path.is_dir():
        raise InvalidInputError(f"cannot write {path}: it is a folder; name a file with -o")
    if model.exists() and path.samefile(model):
        raise InvalidInputError(f"{path} is the input itself; name another file with -o")
    if path.suffix in _FILE_TYPES and path.suffix != suffix:
        raise InvalidInputError(
            f"{path} exists and is {_FILE_TYPES[path.suffix]}, the output would be "
            f"{_FILE_TYPES[suffix]}; remove it or name another file with -o"
        )
    if path.is_file() and not goes_on and not _is_of_type(path, suffix):
        raise InvalidInputError(
            f"{path} exists and is not {_FILE_TYPES[suffix]} of SmartMem's, which the output "
            "would be; remove it or name another file with -o"
        )


def _is_of_type(path: Path, suffix: str) -> bool:
    """Whether a file is what the tools write to files of that suffix, or empty."""
    if path.suffix == suffix and suffix not in (".html", ".json", ".smartmem"):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(_SNIFFED)
    except OSError:  # who cannot read it may be able to replace it
        return path.suffix == suffix
    return not start or all(mark in start for mark in _MARKS[suffix])


def refuse_terminal(path: Path) -> None:
    """Raises InvalidInputError if binary output would go to a terminal, or nowhere."""
    if path == STDOUT and sys.stdout is None:
        raise InvalidInputError("standard output is closed; name a file with -o FILE")
    if path == STDOUT and sys.stdout.isatty():
        raise InvalidInputError("a module is not for a terminal; name a file with -o FILE")
