"""The Android library of a bundle: its files, and its Kotlin API on a made-up model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import pytest

import smartmem
from smartmem.bundle.bundle import write_bundle

# A model that adds 1 to each element; it has the interface of app/model.c.
FAKE = """\
#include <stdlib.h>
#include "model.h"
#include "signature.h"
struct smartmem_model { int runs; };
const char* smartmem_model_error(void) { return "no such module"; }
int smartmem_model_open(const char* path, const char* library, smartmem_model** model) {
  (void)library;
  *model = path[0] == '/' ? calloc(1, sizeof(**model)) : NULL;
  return *model ? 0 : 5;
}
int smartmem_model_run(smartmem_model* model, const void* const* inputs, void* const* outputs) {
  if (model->runs++) return 1;
  for (size_t i = 0; i < smartmem_model_inputs[0].bytes / sizeof(float); ++i)
    ((float*)outputs[0])[i] = ((const float*)inputs[0])[i] + 1;
  return 0;
}
void smartmem_model_close(smartmem_model* model) { free(model); }
"""
MAIN = """\
import dev.smartmem.*
import java.io.File
import java.nio.ByteBuffer

fun told(work: () -> Unit): String =
    try { work(); "nothing" } catch (e: Exception) { "${e.javaClass.simpleName}: ${e.message}" }

fun main() {
    println(told { Model.open(File("none.vmfb")) })
    val model = Model.open(File("/model.vmfb"))
    val input = model.inputs[0]
    println("${input.name} ${input.shape.toList()} ${input.bytes} ${model.outputs[0].shape.toList()}")
    val buffer = input.buffer()
    for (i in 0 until 32) buffer.putFloat(4 * i, i.toFloat())
    println(model.run(listOf(buffer))[0].getFloat(4 * 31))
    println(told { model.run(listOf()) })
    println(told { model.run(listOf(ByteBuffer.allocate(128))) })
    println(told { model.run(listOf(buffer)) })
    model.close()
    model.close()
    println(told { model.run(listOf(buffer)) })
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with its Android library."""
    from small_models import TRANSPOSE_ADD

    made = tmp_path_factory.mktemp("android")
    (made / "twice.mlir").write_text(TRANSPOSE_ADD)
    smartmem.compile(made / "twice.mlir", target="cpu").save(made / "twice.vmfb")
    write_bundle(made / "twice.vmfb", made / "bundle", android=True)
    return made / "bundle"


def test_the_module_is_whole(folder: Path) -> None:
    source = folder / "android/src/main"
    module = (folder / "model.vmfb").read_bytes()
    assert (source / "assets/model.vmfb").read_bytes() == module
    xml.etree.ElementTree.parse(source / "AndroidManifest.xml")
    gradle = (folder / "android/build.gradle.kts").read_text()
    assert 'targets += listOf("smartmem_model")' in gradle and '"arm64-v8a"' in gradle
    cmake = (folder / "CMakeLists.txt").read_text()
    assert "add_library(smartmem_model" in cmake and "max-page-size=16384" in cmake
    assert "**Untested**" in (folder / "android/README.md").read_text()
    for path in folder.rglob("*"):
        if path.suffix in (".kts", ".md", ".kt", ".c", ".txt"):
            assert not re.search(r"@[A-Z_]+@", path.read_text()), path


def test_each_function_of_kotlin_is_one_of_c(folder: Path) -> None:
    kotlin = (folder / "android/src/main/kotlin/dev/smartmem/Model.kt").read_text()
    declared = re.findall(r"external fun (\w+)\(", kotlin)
    written = re.findall(
        r"^NATIVE\(\w+, (\w+)\)", (folder / "app/jni.c").read_text(), re.MULTILINE
    )
    assert sorted(declared) == sorted(written) and len(declared) == 8


def java_headers() -> list[Path]:
    java = shutil.which("javac")
    if java is None:
        pytest.skip("no JDK")
    headers = Path(os.path.realpath(java)).parents[1] / "include"
    if not (headers / "jni.h").exists() or shutil.which("cc") is None:
        pytest.skip("no jni.h, or no C compiler")
    return [headers, headers / "linux"]


def library(folder: Path) -> Path:
    """The C functions behind Kotlin, linked with the made-up model."""
    includes = [f"-I{path}" for path in (*java_headers(), folder / "app")]
    fake, built = folder.parent / "fake.c", folder.parent / "libsmartmem_model.so"
    fake.write_text(FAKE)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command = ["cc", *flags, *includes, folder / "app/jni.c", fake, "-o", built]
    subprocess.run(command, check=True)
    return built


def test_the_c_functions_compile(folder: Path) -> None:
    assert library(folder).exists()


def test_the_kotlin_api_runs_a_model(folder: Path) -> None:
    if shutil.which("kotlinc") is None:
        pytest.skip("no Kotlin compiler")
    built = library(folder)
    main, jar = folder.parent / "main.kt", folder.parent / "main.jar"
    main.write_text(MAIN)
    kotlin = folder / "android/src/main/kotlin/dev/smartmem/Model.kt"
    subprocess.run(
        ["kotlinc", kotlin, main, "-include-runtime", "-d", jar],
        check=True,
        capture_output=True,
    )
    done = subprocess.run(
        ["java", f"-Djava.library.path={built.parent}", "-Xcheck:jni", "-cp", jar, "MainKt"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "ModelException: no such module",
        "arg0 [4, 8] 128 [8, 4]",
        "32.0",
        "IllegalArgumentException: the model has 1 inputs, 0 buffers are given",
        "IllegalArgumentException: input arg0 needs a direct buffer of 128 bytes",
        "ModelException: no such module",
        "IllegalStateException: the model is closed",
    ]
