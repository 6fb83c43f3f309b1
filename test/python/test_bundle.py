"""Folders with which a module is built into a program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import smartmem
from smartmem.bundle import library_sources, write_bundle
from smartmem.errors import InvalidInputError, ToolMissingError
from smartmem.options import CompileOptions

ALWAYS = {
    "CMakeLists.txt",
    "README.md",
    "app/main.c",
    "app/model.c",
    "app/model.h",
    "app/signature.h",
    "inputs/0.bin",
    "model.vmfb",
}


@pytest.fixture
def module(mlir_file, tmp_path) -> Path:
    path = tmp_path / "twice.vmfb"
    smartmem.compile(mlir_file, target="cpu").save(path)
    return path


def test_writes_all_that_a_program_needs(module, tmp_path):
    folder = tmp_path / "bundle"
    written = {str(path.relative_to(folder)) for path in write_bundle(module, folder)}
    assert written == ALWAYS
    assert (folder / "model.vmfb").read_bytes() == module.read_bytes()
    assert len((folder / "inputs/0.bin").read_bytes()) == 4 * 8 * 4
    readme = (folder / "README.md").read_text()
    assert "twice for cpu" in readme
    assert "**untested**" in readme
    for name in ("README.md", "CMakeLists.txt"):
        assert not re.search(r"@[A-Z_]+@", (folder / name).read_text())


def test_the_header_describes_the_tensors(module, tmp_path):
    write_bundle(module, tmp_path / "bundle")
    header = (tmp_path / "bundle/app/signature.h").read_text()
    assert "#define SMARTMEM_MODEL_NEEDS_LIBRARY 0" in header
    assert "#define SMARTMEM_MODEL_INPUTS 1" in header
    assert '#define SMARTMEM_MODEL_DRIVER "local-task"' in header
    assert re.search(r'"inputs/0\.bin", 128, 2, \{4, 8\}, 0x21000020u', header)
    assert re.search(r'"outputs/0\.bin", 128, 2, \{8, 4\}, 0x21000020u', header)


def test_the_program_compiles(module, tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    write_bundle(module, tmp_path / "bundle")
    app = tmp_path / "bundle/app"
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run([compiler, *flags, app / "main.c"], check=True)


@pytest.mark.skipif("IREE_SOURCE_DIR" not in os.environ, reason="IREE_SOURCE_DIR is not set")
def test_the_program_fits_irees_headers(module, tmp_path):
    write_bundle(module, tmp_path / "bundle")
    flags = (tmp_path / "bundle/CMakeLists.txt").read_text()
    (allocator,) = re.findall(r"IREE_ALLOCATOR_SYSTEM_CTL=\w+", flags)
    command = [
        *("cc", "-std=c11", "-D_GNU_SOURCE", f"-D{allocator}", "-Wall", "-Wextra", "-Werror"),
        *("-fsyntax-only", "-isystem", Path(os.environ["IREE_SOURCE_DIR"], "runtime/src")),
    ]
    subprocess.run([*command, tmp_path / "bundle/app/model.c"], check=True)


def test_a_second_bundle_replaces_the_first(module, tmp_path):
    folder = tmp_path / "bundle"
    write_bundle(module, folder)
    (folder / "README.md").write_text("old")
    write_bundle(module, folder)
    assert "twice" in (folder / "README.md").read_text()


def test_a_module_with_images_brings_the_library(mlir_file, tmp_path):
    path = tmp_path / "model.vmfb"
    options = CompileOptions(storage="texel_buffer")
    smartmem.compile(mlir_file, target="adreno", options=options).save(path)
    try:
        library_sources()
    except ToolMissingError:
        with pytest.raises(ToolMissingError, match="its sources are not installed"):
            write_bundle(path, tmp_path / "bundle")
        assert not (tmp_path / "bundle").exists()
        return
    written = write_bundle(path, tmp_path / "bundle")
    names = {str(p.relative_to(tmp_path / "bundle")) for p in written}
    assert names > ALWAYS | {"runtime/CMakeLists.txt"}
    assert not any(name.startswith("runtime/test") for name in names)
    readme = (tmp_path / "bundle/README.md").read_text()
    assert "libsmartmem_vulkan.so" in readme


def test_inputs_are_what_the_module_takes(module, tmp_path):
    write_bundle(module, tmp_path / "bundle")
    array = np.fromfile(tmp_path / "bundle/inputs/0.bin", np.float32).reshape(4, 8)
    expected = smartmem.load(module, device="cpu")(array)
    assert np.array_equal(expected, 2 * array.T)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "no.vmfb"
    path.write_bytes(b"no module")
    with pytest.raises(InvalidInputError, match="is not a compiled module"):
        write_bundle(path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_command(cli, module, tmp_path):
    done = cli("bundle", str(module))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "twice-bundle/README.md").is_file()
