"""Folders with which a module is built into a program."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import types
from pathlib import Path

import numpy as np
import pytest

import smartmem
from smartmem.backend.module.module_file import ModuleFile
from smartmem.bundle.bundle import library_sources, write_bundle
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


def listed(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_second_bundle_replaces_the_first(module, mlir_file, tmp_path):
    folder = tmp_path / "bundle"
    write_bundle(module, folder)
    (folder / "build").mkdir()
    (folder / "build/run_model").write_bytes(b"built")
    other = tmp_path / "thrice.vmfb"
    text = mlir_file.read_text().replace("main(%a: tensor<4x8xf32>)", "main()")
    mlir_file.write_text(
        text.replace("{", "{ %a = arith.constant dense<1.0> : tensor<4x8xf32>", 1)
    )
    smartmem.compile(mlir_file, target="cpu").save(other)
    write_bundle(other, folder)
    assert "thrice" in (folder / "README.md").read_text()
    assert (folder / "build/run_model").read_bytes() == b"built"
    assert not (folder / "inputs").exists()  # it takes none


def test_a_folder_with_other_files_is_left_alone(module, tmp_path, cli):
    project = tmp_path / "project"
    for name in ("runtime/engine.c", "README.md", "CMakeLists.txt", "app/main.c"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("mine")
    before = listed(project)
    done = cli("bundle", module, "-o", project)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {project} holds files that SmartMem did not write")
    assert done.stderr.count("\n") == 1 and listed(project) == before
    (tmp_path / "empty").mkdir()
    write_bundle(module, tmp_path / "empty")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "app/main.c").write_text("mine"), r"main\.c was changed since"),
        (
            lambda f: (f / "README.md").unlink() or (f / "README.md").mkdir(),
            "was changed since",
        ),
        (lambda f: (f / ".smartmem-bundle.json").write_text("{"), "is damaged"),
        (lambda f: (f / ".smartmem-bundle.json").write_text("[]"), "is damaged"),
        (lambda f: (f / ".smartmem-bundle.json").unlink(), "did not write"),
        (
            lambda f: (f / "app").rename(f.parent / "out") and (f / "app").symlink_to("../out"),
            "app is a link out of the bundle",
        ),
    ],
)
def test_what_was_changed_since_is_kept(module, tmp_path, spoil, message):
    folder = tmp_path / "bundle"
    write_bundle(module, folder)
    spoil(folder)
    before = listed(tmp_path)
    with pytest.raises(InvalidInputError, match=message) as caught:
        write_bundle(module, folder)
    assert "another folder" in str(caught.value)
    assert listed(tmp_path) == before


def test_a_bundle_that_was_not_finished_can_be_written_again(module, tmp_path, monkeypatch):
    folder = tmp_path / "bundle"
    write_bundle(module, folder)

    def fail(source: Path, path: Path) -> None:
        raise InvalidInputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("smartmem.bundle.folder.copy_file", fail)
        patch.setattr("smartmem.bundle.bundle._readme", lambda *_, **__: "another")
        with pytest.raises(InvalidInputError, match="the disk is full"):
            write_bundle(module, folder)
    assert (folder / "README.md").read_text() == "another"
    write_bundle(module, folder)
    assert "twice for cpu" in (folder / "README.md").read_text()


EVIL = 'x"; int evil = system("rm -rf /"); //\\\n#include "/etc/passwd" ??/'


def test_foreign_names_are_strings_in_c(module, tmp_path, monkeypatch):
    """A module of others can be called anything."""
    file = ModuleFile(module)
    evil = dataclasses.replace(file.metadata.inputs[0], name=EVIL)
    file.metadata = dataclasses.replace(file.metadata, inputs=(evil,), target_name=f"`{EVIL}")
    file.function = types.SimpleNamespace(name=EVIL)
    monkeypatch.setattr("smartmem.bundle.bundle.ModuleFile", lambda _: file)
    write_bundle(module, tmp_path / "bundle")
    app = tmp_path / "bundle/app"
    assert len((tmp_path / "bundle/README.md").read_text().splitlines()[0]) > 20
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (app / "names.c").write_text(
        '#include <stdio.h>\n#include "signature.h"\nint main(void) {\n'
        '  printf("%s|%s", SMARTMEM_MODEL_FUNCTION, smartmem_model_inputs[0].name);\n}\n'
    )
    subprocess.run([compiler, "-trigraphs", app / "names.c", "-o", app / "names"], check=True)
    said = subprocess.run([app / "names"], check=True, capture_output=True).stdout.decode()
    assert said == f"module.{EVIL}|{EVIL}"


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
