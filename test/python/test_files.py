"""Output files are written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from smartmem.array_files import read_arrays, write_arrays
from smartmem.errors import InvalidInputError
from smartmem.files import copy_file, make_folder, write_file


def half(error: BaseException) -> object:
    """A writer that fails with ``error`` after some bytes."""

    def write(out: BinaryIO) -> None:
        out.write(b"half of")
        raise error

    return write


def test_a_disk_that_fills_up_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(InvalidInputError, match="No space left on device; choose another"):
        write_file(path, half(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a fault of ours")])
def test_an_interrupt_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write_file(tmp_path / "out.bin", half(error))
    assert os.listdir(tmp_path) == []


def test_permissions_are_those_of_a_plain_file(tmp_path: Path) -> None:
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.write_bytes(b"")
    write_file(written, lambda out: out.write(b""))
    assert written.stat().st_mode == plain.stat().st_mode
    written.chmod(0o640)
    write_file(written, lambda out: out.write(b"new"))
    assert written.stat().st_mode & 0o777 == 0o640


def test_a_link_keeps_pointing_to_its_file(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_file(link, lambda out: out.write(b"new"))
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_devices_are_written_directly(tmp_path: Path) -> None:
    write_file(Path("/dev/null"), lambda out: out.write(b"gone"))
    assert Path("/dev/null").is_char_device()
    with pytest.raises(InvalidInputError, match="/dev/full: No space left"):
        write_file(Path("/dev/full"), lambda out: out.write(b"too much"))


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No such file or directory"):
        write_file(tmp_path / "absent" / "out.bin", lambda out: out.write(b""))
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="cannot create the folder"):
        make_folder(tmp_path / "file" / "b")


def test_copy(tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(b"content")
    copy_file(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == b"content"


def test_arrays_of_any_name_come_back(tmp_path: Path) -> None:
    arrays = {
        "file": np.arange(3),
        "/model/out": np.ones((2, 2), np.float32),
        "scalar": np.array(2.5),
        "none": np.zeros((0, 4), np.float16),
    }
    write_arrays(tmp_path / "all.npz", arrays)
    again = read_arrays([tmp_path / "all.npz"])
    assert isinstance(again, dict) and list(again) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype


def test_several_files_give_a_list(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(2))
    np.savez(tmp_path / "b.npz", np.arange(3), np.arange(4))
    for files, sizes in (
        (["a.npy"], [2]),
        (["b.npz"], [3, 4]),
        (["a.npy", "b.npz"], [2, 3, 4]),
    ):
        arrays = read_arrays([tmp_path / file for file in files])
        assert isinstance(arrays, list) and [array.size for array in arrays] == sizes
