"""Arrays in NumPy's files: .npy holds one, .npz several by name."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from smartmem.errors import InvalidInputError
from smartmem.files import write_file
from smartmem.parameters import Array


def read_arrays(files: Sequence[Path]) -> list[Array] | dict[str, Array]:
    """The arrays of one .npz by name, or those of several files in order.

    An .npz whose names are numpy.savez's own, ``arr_0``, ``arr_1`` ..., gives a list.

    Raises:
        InvalidInputError: a file cannot be read or is not NumPy's.
    """
    contents = [_read(file) for file in files]
    if len(contents) == 1 and not _is_positional(contents[0]):
        return contents[0]
    return [array for content in contents for array in content.values()]


def _is_positional(arrays: Mapping[str, Array]) -> bool:
    return set(arrays) == {f"arr_{i}" for i in range(len(arrays))}


def _read(file: Path) -> dict[str, Array]:
    try:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.lib.npyio.NpzFile):
            with content:
                return dict(content)
        return {"arr_0": np.asarray(content)}
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot read the input {file}: {reason}") from error
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidInputError(
            f"{file} is not a NumPy file ({error}); save inputs with numpy.save or numpy.savez"
        ) from error


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
