"""Output files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from smartmem.backend.device.arrays import checked_inputs
from smartmem.backend.module.module_file import ModuleFile
from smartmem.backend.targets.device_file import read_device
from smartmem.errors import InvalidInputError, TargetError
from smartmem.files import copy_file, make_folder, write_file
from smartmem.frontend import import_model
from smartmem.runtime.array_files import read_arrays, write_arrays
from smartmem.runtime.inputs import fit_arrays, random_inputs
from smartmem.tensor_spec import TensorSpec
from smartmem.tools.opt_source import read_source
from smartmem.tuning.table import read_table


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


def spoiled(path: Path, header: bytes, version: int = 1) -> Path:
    """A .npy of this header, and no elements."""
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + size + header)
    return path


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",  # no elements
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': 7, 'fortran_order': False, 'shape': (1,), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        b"{'descr': '<f4', 'shape': (3,)}",
        b"{'descr': '''",  # an unfinished token
        b"(" * 5000,
        b"[]",
        b"",
        b"\xff\xfe",
    ],
)
def test_broken_arrays_are_refused(tmp_path: Path, header: bytes) -> None:
    path = spoiled(tmp_path / "x.npy", header)
    spec = TensorSpec("x", (1_000_000_000_000,), np.dtype(np.float32))
    with pytest.raises(InvalidInputError, match=r"x\.npy is not a NumPy file \(") as caught:
        fit_arrays([spec], read_arrays([path]))
    assert "\n" not in str(caught.value)


def test_a_header_larger_than_numpys_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\2\0\xff\xff\xff\xff{")
    with pytest.raises(InvalidInputError, match="its header has 4294967295 bytes"):
        read_arrays([path])


def test_an_archive_is_not_inflated_before_its_shape_is_known(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, header)
        member.write(bytes(1 << 20))
    spec = TensorSpec("x", (4, 8), np.dtype(np.float32))
    with pytest.raises(InvalidInputError, match=r"has shape \[1099511627776\], the module"):
        fit_arrays([spec], read_arrays([path]))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    path = Path("/dev/zero")
    if kind == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    for read, error in (
        (lambda: read_arrays([path]), InvalidInputError),
        (lambda: ModuleFile(path), InvalidInputError),
        (lambda: import_model(path), InvalidInputError),
        (lambda: read_table(path), InvalidInputError),
        (lambda: read_device(path), TargetError),
    ):
        with pytest.raises(error, match="it is not a regular file; save its content in one"):
            read()
    with pytest.raises(InvalidInputError, match="cannot read /dev/zero: it is not a regular"):
        read_source("/dev/zero")


def test_arrays_without_plain_elements_are_refused() -> None:
    torch = pytest.importorskip("torch")
    spec = TensorSpec("x", (2, 2), np.dtype(np.float32))
    masked = np.ma.masked_equal(np.float32([[1, 2], [3, 4]]), 3)
    with pytest.raises(InvalidInputError, match=r"input x has masked elements.*\.filled"):
        checked_inputs([spec], [masked])
    (kept,) = checked_inputs([spec], [np.ma.masked_equal(np.float32([[1, 2], [3, 4]]), 9)])
    np.testing.assert_array_equal(kept, [[1, 2], [3, 4]])
    for tensor in (torch.eye(2).to_sparse(), torch.empty(2, 2, device="meta")):
        with pytest.raises(InvalidInputError, match="input x is a tensor without plain elem"):
            checked_inputs([spec], [tensor])


def test_tensors_larger_than_the_memory_are_refused() -> None:
    spec = TensorSpec("x", (1 << 40, 1 << 40), np.dtype(np.float32))
    with pytest.raises(InvalidInputError, match=r"the inputs x: .* take 4\.84e\+15 GB"):
        random_inputs([spec])


def test_the_umask_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the process's: a file that another thread makes meanwhile would be open to all."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    write_file(tmp_path / "out", lambda out: out.write(b"x"))
    write_file(tmp_path / ("n" * 250), lambda out: out.write(b"x"))
    assert len(os.listdir(tmp_path)) == 2
