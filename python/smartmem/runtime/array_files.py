"""Arrays in NumPy's files: .npy holds one, .npz several by name."""

from __future__ import annotations

import ast
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from smartmem.errors import InvalidInputError
from smartmem.files import refuse_special, write_file
from smartmem.parameters import Array

_MAGIC = b"\x93NUMPY"
_HEADER_BYTES = 10_000  # NumPy's own limit

_FAULTS = (
    *(ValueError, EOFError, LookupError, TypeError, AttributeError, SyntaxError, MemoryError),
    *(RecursionError, OverflowError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)
"""What NumPy's and Python's readers raise for files of all kinds."""


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, of which the header was read alone.

    Attributes:
        file: the file.
        member: its name in an .npz; None for a .npy.
        shape: its shape.
        dtype: its dtype.
    """

    file: Path
    member: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.asarray(self.load(), dtype)

    def load(self) -> Array:
        """Reads the elements.

        Raises:
            InvalidInputError: there are fewer, or the file is damaged.
        """
        with _reading(self.file), ExitStack() as stack:
            content: IO[bytes] = stack.enter_context(_opened(self.file))
            if self.member is not None:
                archive = stack.enter_context(zipfile.ZipFile(content))
                content = stack.enter_context(archive.open(self.member))
            return np.asarray(np.lib.format.read_array(content, allow_pickle=False))


def read_arrays(files: Sequence[Path]) -> list[StoredArray] | dict[str, StoredArray]:
    """The arrays of one .npz by name, or those of several files in order.

    An .npz whose names are numpy.savez's own, ``arr_0``, ``arr_1`` ..., gives a list. No
    elements are read: a small file can hold zeros that fill the memory.

    Raises:
        InvalidInputError: a file cannot be read or is not NumPy's.
    """
    contents = [_read(file) for file in files]
    if len(contents) == 1 and not _is_positional(contents[0]):
        return contents[0]
    return [array for content in contents for array in content.values()]


def _is_positional(arrays: Mapping[str, StoredArray]) -> bool:
    return set(arrays) == {f"arr_{i}" for i in range(len(arrays))}


def _read(file: Path) -> dict[str, StoredArray]:
    with _reading(file), _opened(file) as content:
        if content.read(len(_MAGIC)) == _MAGIC:
            content.seek(0)
            return {"arr_0": StoredArray(file, None, *_header(content))}
        found = {}
        with zipfile.ZipFile(content) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    found[name.removesuffix(".npy")] = StoredArray(file, name, *_header(member))
        return found


def _opened(file: Path) -> BinaryIO:
    refuse_special(file)
    return file.open("rb")


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Faults of a file as errors that name it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot read the input {file}: {reason}") from error
    except _FAULTS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidInputError(
            f"{file} is not a NumPy file ({reason}); save inputs with numpy.save or numpy.savez"
        ) from error


def _header(content: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and dtype of the array in an open .npy."""
    version = np.lib.format.read_magic(content)
    size = int.from_bytes(content.read(2 if version == (1, 0) else 4), "little")
    if size > _HEADER_BYTES:
        raise ValueError(f"its header has {size} bytes")
    text = content.read(size).decode("latin1" if version < (3, 0) else "utf8")
    values = ast.literal_eval(text)
    if set(values) != {"descr", "fortran_order", "shape"}:
        raise ValueError(f"its header is {text:.50}")
    shape, dtype = values["shape"], np.lib.format.descr_to_dtype(values["descr"])
    if not all(isinstance(extent, int) and extent >= 0 for extent in shape):
        raise ValueError(f"its shape is {shape}")
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return tuple(shape), dtype


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Writes an .npz.

    Raises:
        InvalidInputError: the path cannot be written.
    """
    write_file(path, lambda out: _write(out, arrays))


def _write(out: BinaryIO, arrays: Mapping[str, Array]) -> None:
    # numpy.savez takes names as keywords, so an output called "file" would fail.
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
