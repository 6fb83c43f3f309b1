"""Writing output files whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from smartmem.errors import InvalidInputError


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Calls ``write`` with an open binary file whose content then becomes ``path``.

    The content goes to a temporary file in the same folder and takes the place of
    ``path`` in one step, so a failure or an interrupt never leaves half a file. Something
    that is not a regular file, such as ``/dev/stdout``, is written directly.

    Raises:
        InvalidInputError: the path cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            _write_direct(path, write)
        else:
            _write_atomic(path.resolve(), write)  # a link keeps pointing at the new content
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(
            f"cannot write {path}: {reason}; choose another place or free some space"
        ) from error


def copy_file(source: Path, path: Path) -> None:
    """Copies ``source`` to ``path`` as ``write_file`` does.

    Raises:
        InvalidInputError: the path cannot be written.
    """
    with source.open("rb") as content:
        write_file(path, lambda out: shutil.copyfileobj(content, out))


def make_folder(folder: Path) -> Path:
    """Creates the folder unless it is there.

    Raises:
        InvalidInputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(
            f"cannot create the folder {folder}: {reason}; choose another place"
        ) from error
    return folder


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for temporary files that goes away with the returned object.

    Raises:
        InvalidInputError: no such folder can be made.
    """
    try:
        return tempfile.TemporaryDirectory(prefix="smartmem-")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(
            f"cannot create a temporary folder: {reason}; free some space or set TMPDIR"
        ) from error


def _write_direct(path: Path, write: Callable[[BinaryIO], object]) -> None:
    with path.open("wb") as out:
        write(out)


def _write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            write(out)
        Path(name).chmod(_mode(path))
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    """The permissions a plain ``open(path, "w")`` would have left."""
    if path.exists():
        return path.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def discard_stdout() -> None:
    """Sends what is still buffered for a broken or full stdout nowhere.

    Python flushes stdout once more at exit; that would fail again, with a message and an
    exit code of its own.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
