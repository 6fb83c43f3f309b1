"""Writing output files whole or not at all, and which files can be read."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from smartmem.errors import InvalidInputError

_NAME_BYTES = 200
"""Of a file's name in that of the temporary file: names have at most 255."""


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
    handle, name = _new_file(path)
    try:
        with os.fdopen(handle, "wb") as out:
            write(out)
            if path.exists():
                os.fchmod(out.fileno(), path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise


def _new_file(path: Path) -> tuple[int, Path]:
    """A new file beside ``path``, with the permissions that ``open(path, "w")`` would give.

    ``tempfile`` gives none to others, and the umask cannot be asked for without changing it
    for all threads.
    """
    start = os.fsdecode(os.fsencode(path.name)[:_NAME_BYTES])
    while True:
        name = path.with_name(f".{start}.{secrets.token_hex(4)}.part")
        with suppress(FileExistsError):
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), name


def printable(path: str | Path) -> str:
    """The path as text that any encoding of Unicode can hold: names need not be text."""
    return os.fsencode(path).decode(errors="backslashreplace")


def refuse_special(path: Path) -> None:
    """Raises OSError for a device or a pipe: reading it could take for ever.

    A path that is not there is left to who opens it.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is not a regular file; save its content in one")


def discard_stdout() -> None:
    """Sends what is still buffered for a broken or full stdout nowhere.

    Python flushes stdout once more at exit; that would fail again, with a message and an
    exit code of its own.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
