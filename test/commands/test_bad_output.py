"""Output that cannot be written, or must not be: one message, and what was there is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from refusals import Cli, fails

# Output that cannot be written.


def test_full_disk(cli: Cli, mlir_file: Path) -> None:
    fails(cli("compile", mlir_file, "-t", "cpu", "-o", "/dev/full"), "/dev/full", "No space")
    assert Path("/dev/full").is_char_device()
    fails(cli("run", mlir_file, "-t", "cpu", "-q", "-o", "/dev/full"), "/dev/full", "No space")
    emitted = cli("compile", mlir_file, "--emit", "views", "-o", "/dev/full")
    fails(emitted, "/dev/full", "No space")


def test_full_disk_behind_stdout(mlir_file: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [Path(sys.executable).parent / "smartmem", "targets"],
            env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    fails(done, "cannot write to standard output", "No space")


def test_unwritable_places(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    fails(cli("compile", mlir_file, "-o", "absent/m.vmfb"), "no folder absent", "create it")
    fails(cli("compile", mlir_file, "-t", "cpu", "-o", tmp_path), "it is a folder")
    fails(cli("compile", mlir_file, "-t", "cpu", "-o", "/proc/m.vmfb"), "/proc/m.vmfb")
    (tmp_path / "file").touch()
    done = cli("compile", mlir_file, "-t", "cpu", "--save-temps", "file/inside")
    fails(done, "cannot create the folder file/inside")
    done = cli("compile", mlir_file, "-t", "cpu", "--report", "absent/report.json")
    fails(done, "no folder absent")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "model.mlir"]


def test_full_disk_for_temporary_files(cli: Cli, onnx_file: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        full = cli("compile", onnx_file, "-t", "cpu", env={"TMPDIR": str(disk)})
        there = cli("compile", onnx_file, "-t", "cpu", "-o", disk / "m.vmfb")
        left = list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)
    fails(full, str(disk), "No space left", "free some")
    fails(there, str(disk / "m.vmfb"), "No space left", "free some")
    assert left == []


def test_output_of_another_type_is_kept(cli: Cli, onnx_file: Path, tmp_path: Path) -> None:
    content = onnx_file.read_bytes()
    fails(cli("compile", onnx_file, "-o", onnx_file), "is the input itself")
    other = tmp_path / "other.onnx"
    other.write_bytes(content)
    fails(cli("compile", onnx_file, "-o", other), "other.onnx exists and is an ONNX model")
    fails(cli("run", onnx_file, "-o", other), "other.onnx exists and is an ONNX model")
    fails(cli("compile", onnx_file, "--report", other), "other.onnx exists")
    assert onnx_file.read_bytes() == other.read_bytes() == content


def test_failed_compilation_keeps_the_old_output(cli: Cli, mlir_file: Path) -> None:
    module = mlir_file.with_suffix(".vmfb")
    module.write_bytes(b"old")
    fails(cli("compile", mlir_file, "-t", "cpu", "--iree-flag=--no-such-flag"), "no-such-flag")
    assert module.read_bytes() == b"old"
    assert cli("compile", mlir_file, "-t", "cpu").returncode == 0
    assert module.read_bytes() != b"old"


# Names and streams.


@pytest.fixture(scope="module")
def full() -> Iterator[int]:
    """A stream whose disk is full."""
    stream = os.open("/dev/full", os.O_WRONLY)
    yield stream
    os.close(stream)


TOOLS = [
    ["smartmem.tools.cli", "--help"],
    ["smartmem.tools.cli", "compile", "--help"],
    ["smartmem", "--version"],
    ["smartmem.tools.cli", "targets"],
]


@pytest.mark.parametrize("arguments", TOOLS)
def test_a_full_disk_behind_any_output(arguments: list[str], full: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        stdout=full,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    said = "error: cannot write to standard output: No space left on device; redirect it"
    assert (done.returncode, done.stderr) == (1, f"{said} elsewhere\n")


def test_closed_streams(mlir_file: Path) -> None:
    shell = 'exec "$0" -m smartmem.tools.cli "$@" >&-'
    for arguments in (["compile", mlir_file, "-t", "cpu", "-o", "-"], ["targets"]):
        done = subprocess.run(
            ["sh", "-c", shell, sys.executable, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: standard output is closed; ")
        assert done.stderr.count("\n") == 1
    quiet = subprocess.run(
        ["sh", "-c", shell.replace(">&-", "2>&-"), sys.executable, "info", "absent.onnx"],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (quiet.returncode, quiet.stdout) == (1, b"")


def test_names_that_are_no_text(cli: Cli, mlir_file: Path, onnx_file: Path) -> None:
    odd = mlir_file.with_name(os.fsdecode(b"m\xff.mlir"))
    mlir_file.rename(odd)
    done = cli("compile", odd, "-t", "cpu", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    module = odd.with_suffix(".vmfb")
    done = cli("run", module)
    assert done.returncode == 0 and done.stdout.startswith("output: float32[8, 4]")
    assert cli("bundle", module, "-o", "bundle").returncode == 0
    assert "# m\\xff for cpu" in (odd.parent / "bundle/README.md").read_text()
    onnx_odd = odd.with_suffix(".onnx")
    onnx_file.rename(onnx_odd)
    fails(cli("compile", onnx_odd), "m\\xff.onnx is not UTF-8", "rename the file")


def test_accents_where_the_locale_knows_none(cli: Cli, mlir_file: Path) -> None:
    accented = mlir_file.with_name("modèle.mlir")
    mlir_file.rename(accented)
    done = cli("compile", accented, "-t", "cpu", env={"LC_ALL": "C", "LANG": "C"})
    assert done.returncode == 0, done.stderr
    assert accented.with_suffix(".vmfb").is_file()


def test_foreign_files_are_kept(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    library, settings = tmp_path / "lib.so", tmp_path / "package.json"
    library.write_bytes(b"\x7fELF" + bytes(100))
    settings.write_text('{"name": "app"}')
    fails(
        cli("compile", mlir_file, "-o", library), "lib.so exists and is not a compiled module"
    )
    fails(
        cli("compile", mlir_file, "-t", "cpu", "--report", settings),
        "package.json exists and is not JSON of SmartMem's",
    )
    fails(cli("run", mlir_file, "-o", library), "lib.so exists and is not NumPy arrays")
    assert library.read_bytes() == b"\x7fELF" + bytes(100)
    assert settings.read_text() == '{"name": "app"}'
    for _ in range(2):  # what a tool wrote, it replaces
        done = cli("compile", mlir_file, "-t", "cpu", "-o", "model.bin", "--report", "r.json")
        assert done.returncode == 0, done.stderr


def test_huge_tensors_are_refused(cli: Cli, tmp_path: Path) -> None:
    text = """func.func @main(%x: tensor<1000000x1000000xf32>) -> tensor<1000000x1000000xf32> {
      %r = arith.addf %x, %x : tensor<1000000x1000000xf32>
      return %r : tensor<1000000x1000000xf32>
    }"""
    (tmp_path / "huge.mlir").write_text(text)
    done = cli("compile", "huge.mlir", "-t", "cpu", "-o", "huge.vmfb")
    assert done.returncode == 0, done.stderr
    for command in ("run", "benchmark", "bundle"):
        fails(cli(command, "huge.vmfb"), "e+03 GB", "use smaller shapes")
    fails(cli("check", "huge.mlir", "-t", "cpu"), "e+03 GB", "use smaller shapes")
    assert not (tmp_path / "huge-bundle").exists()
