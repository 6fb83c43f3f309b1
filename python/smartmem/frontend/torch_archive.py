"""Read a ``.pt2`` file without running anything that it holds.

``torch.export.load`` trusts the file: it unpickles objects, opens libraries, and evaluates
size expressions and guards as Python. So only what a program needs is taken over, into an
archive that PyTorch then loads: the graph, once ``torch_program_text`` has found nothing in
it that would run, and tensors as plain bytes. Anything else is refused.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import torch

from smartmem.errors import InvalidInputError
from smartmem.frontend.torch_program_text import checked_program

_ROOT = "program/"
_PROGRAM = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_CONFIGS = re.compile(r"data/(weights/model_weights|constants/model_constants)_config\.json")
_TENSORS = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_PLAIN = frozenset(("archive_format", "archive_version", "byteorder", ".data/version"))
# Written by PyTorch, and not needed to compile the program.
_IGNORED = re.compile(r"\.data/serialization_id|\.format_version|\.storage_alignment|extra/.*")
_PICKLES = re.compile(r"(.*/)?[^/]*\.(pkl|pickle|pt|pth)|.*/(custom_obj|opaque_obj)_\d+")


@contextmanager
def safe_archive(path: Path) -> Iterator[IO[bytes]]:
    """An archive for ``torch.export.load`` that holds what is harmless in ``path``.

    Raises:
        InvalidInputError: ``path`` is no archive that ``torch.export.save`` writes, or
            holds something that would run when it is loaded.
    """
    with tempfile.TemporaryFile() as file:
        try:
            with zipfile.ZipFile(path) as source, zipfile.ZipFile(file, "w") as target:
                _copy(path, source, target)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, KeyError) as error:
            raise InvalidInputError(
                f"{path} is not a program saved by torch.export.save: {error}"
            ) from error
        file.seek(0)
        yield file


def _copy(path: Path, source: zipfile.ZipFile, target: zipfile.ZipFile) -> None:
    members = _members(path, source)
    if _PROGRAM not in members:
        pickled = next(filter(_PICKLES.fullmatch, members), None)
        raise _unsafe(path, pickled) if pickled else ValueError(f"it holds no {_PROGRAM}")
    for name, info in members.items():
        if name in _PLAIN or _TENSORS.fullmatch(name):
            with source.open(info) as read, target.open(_ROOT + name, "w") as written:
                shutil.copyfileobj(read, written)
        elif not _IGNORED.fullmatch(name):
            target.writestr(_ROOT + name, _checked(path, name, source.read(info)))


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by their names below the archive's one folder."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.partition("/")[2]
        if name in found:
            raise ValueError(f"it holds {name!r} twice")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its member {name!r} is compressed")
        found[name] = info
    return found


def _checked(path: Path, name: str, data: bytes) -> bytes:
    """What takes the place of a member that is no tensor."""
    if name == _PROGRAM:
        return json.dumps(checked_program(json.loads(data))).encode()
    if _CONFIGS.fullmatch(name):
        _check_payloads(path, json.loads(data))
        return data
    if name == _SAMPLES and (not data or _is_plain_pickle(data)):
        return data
    raise _unsafe(path, name)


def _check_payloads(path: Path, config: Any) -> None:
    for name, payload in config["config"].items():
        stem = str(payload["path_name"])
        is_plain = re.fullmatch(r"(weight|tensor)_\d+", stem) and not payload["use_pickle"]
        if not is_plain:
            raise _unsafe(path, f"{stem} of {name}")


def _is_plain_pickle(data: bytes) -> bool:
    """Whether PyTorch's restricted unpickler, which runs no code, takes it."""
    with suppress(Exception), warnings.catch_warnings():  # bad data raises any
        warnings.simplefilter("ignore")
        torch.load(io.BytesIO(data), weights_only=True)
        return True
    return False


def _unsafe(path: Path, what: str) -> InvalidInputError:
    return InvalidInputError(
        f"{path} holds {what!r}, pickled Python objects or code, which SmartMem never runs; "
        "save a program of plain tensors with torch.export.save (.pt2), or as ONNX"
    )
