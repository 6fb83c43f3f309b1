"""Replaces the files of a folder that SmartMem wrote, and nothing else in it.

A list of what was written, with a digest of each file, lies in the folder. A file that is not
in it, or was changed since, is somebody's work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from smartmem.errors import InvalidInputError
from smartmem.files import copy_file, make_folder, write_file

LIST = ".smartmem-bundle.json"

_SCHEMA_VERSION = 1
_CHUNK_BYTES = 1 << 20
_OTHER_FOLDER = "name another folder with -o, or move it away"


def replace_files(folder: Path, contents: Mapping[str, bytes | Path]) -> list[Path]:
    """Makes the folder hold these files, and none that an earlier call wrote.

    Args:
        folder: made if it is not there.
        contents: by path in the folder: the content, or a file to copy.

    Returns:
        The files written, in order.

    Raises:
        InvalidInputError: the folder holds files that are not from an earlier call; one that
            is was changed; or the folder cannot be written.
    """
    known = _known(folder)
    for name in contents:
        _check_replaceable(folder, name, known)
    made = {name: _digest(content) for name, content in contents.items()}
    # Both versions, until all are written: a call that fails can be made again.
    _write_list(folder, {n: [*known.get(n, ()), *made.get(n, ())] for n in {**known, **made}})
    written = [_write(folder / name, content) for name, content in contents.items()]
    for name in known.keys() - contents.keys():
        if _is_own(folder / name, known[name]):
            _remove(folder, name)
    _write_list(folder, made)
    return written


def _known(folder: Path) -> dict[str, list[str]]:
    """The digests of the files that earlier calls wrote."""
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return {}
        values = json.loads((folder / LIST).read_bytes())
        if values["schema_version"] != _SCHEMA_VERSION:
            raise ValueError("it was written by another version")
        return {str(name): list(map(str, found)) for name, found in values["files"].items()}
    except FileNotFoundError:
        raise InvalidInputError(
            f"{folder} holds files that SmartMem did not write; {_OTHER_FOLDER}"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInputError(f"cannot write {folder}: {reason}; {_OTHER_FOLDER}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInputError(
            f"{folder / LIST} is damaged: {error}; {_OTHER_FOLDER}"
        ) from error


def _check_replaceable(folder: Path, name: str, known: Mapping[str, list[str]]) -> None:
    path = folder / name
    for outer in [*path.relative_to(folder).parents][:-1]:
        if (folder / outer).is_symlink():
            raise InvalidInputError(
                f"{folder / outer} is a link out of the bundle; {_OTHER_FOLDER}"
            )
    if not path.exists() and not path.is_symlink():
        return
    if name not in known:
        raise InvalidInputError(f"{path} is not from SmartMem; {_OTHER_FOLDER}")
    if not _is_own(path, known[name]):
        raise InvalidInputError(
            f"{path} was changed since SmartMem wrote it; {_OTHER_FOLDER}, or remove that file"
        )


def _is_own(path: Path, digests: list[str]) -> bool:
    """Whether a file is what an earlier call wrote."""
    is_plain = path.is_file() and not path.is_symlink()
    return is_plain and _digest(path)[0] in digests


def _digest(content: bytes | Path) -> list[str]:
    if isinstance(content, bytes):
        return [hashlib.sha256(content).hexdigest()]
    try:
        digest = hashlib.sha256()
        with content.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        return [digest.hexdigest()]
    except OSError as error:
        raise InvalidInputError(f"cannot read {content}: {error.strerror}") from error


def _write(path: Path, content: bytes | Path) -> Path:
    make_folder(path.parent)
    if isinstance(content, Path):
        copy_file(content, path)
    else:
        write_file(path, lambda out: out.write(content))
    return path


def _write_list(folder: Path, files: Mapping[str, list[str]]) -> None:
    values = {"schema_version": _SCHEMA_VERSION, "files": dict(sorted(files.items()))}
    _write(folder / LIST, (json.dumps(values, indent=1) + "\n").encode())


def _remove(folder: Path, name: str) -> None:
    with suppress(OSError):  # what is left does no harm
        (folder / name).unlink()
        for outer in [*Path(name).parents][:-1]:
            (folder / outer).rmdir()
