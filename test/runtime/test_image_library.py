"""Modules with image-backed buffers, run through the library of ``runtime/``.

The kernels are IREE's own, whose bindings are rewritten here as plainly as can be, one
texel for each vector of four, so that the library is tested by itself.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sysconfig
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from smartmem.backend.device import image_library
from smartmem.backend.device.fresh_run import run_fresh, same_bits
from smartmem.backend.device.hal import LOADER_VARIABLE
from smartmem.backend.device.image_library import (
    find_image_library,
    image_statistics,
    library_for,
)
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.tool import iree_compile_path
from smartmem.backend.module.metadata import REFLECTION_KEY, encode_metadata
from smartmem.backend.targets.targets import resolve_target
from smartmem.errors import TargetError
from smartmem.tensor_spec import TensorSpec

LIBRARY = find_image_library()

# Two kernels, of which the second reads what the first writes.
CHAIN = """
func.func @main(%a: tensor<64x64xf32>, %b: tensor<64x64xf32>) -> tensor<64x64xf32>
    attributes {{iree.reflection = {{"{key}" = {meta}}}}} {{
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %x = linalg.matmul ins(%a, %b : tensor<64x64xf32>, tensor<64x64xf32>)
       outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  %y = linalg.matmul ins(%x, %b : tensor<64x64xf32>, tensor<64x64xf32>)
       outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}}
"""
BUFFER = (
    "!spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>"
)


class Kernel:
    """The text of one ``spirv.module``, and changes of its bindings."""

    def __init__(self, text: str, image: str) -> None:
        self.text, self.image = text, image

    def rewritten(self, *, format_: str, writes: bool) -> str:
        for name in re.findall(rf"@(\w+) bind\(\d+, \d+\) : {re.escape(BUFFER)}", self.text):
            self._rewrite(name, format_, writes)
        return self.text.replace(
            "#spirv.vce<v1.0, [Shader", "#spirv.vce<v1.4, [Shader, SampledBuffer, ImageBuffer"
        )

    def _rewrite(self, name: str, format_: str, writes: bool) -> None:
        chain = re.compile(rf"(%\w+) = spirv\.AccessChain (%{name}\w*)\[%\w+, (%\w+)\] : .*\n")
        places = {m[1]: (m[2], m[3]) for m in chain.finditer(self.text)}
        store = re.compile(r'spirv\.Store "StorageBuffer" (%\w+), (%\w+) : .*\n')
        is_written = any(m[1] in places for m in store.finditer(self.text))
        if is_written and not writes:
            return
        dim = "Buffer" if self.image == "texel_buffer" else "Dim2D"
        sampling = "NoSampler" if is_written else "NeedSampler"
        kind = (
            f"!spirv.image<f32, {dim}, NoDepth, NonArrayed, SingleSampled, "
            f"{sampling}, {format_}>"
        )
        lines = [
            line.replace(BUFFER, f"!spirv.ptr<{kind}, UniformConstant>")
            if f"@{name} " in line
            else line
            for line in chain.sub("", self.text).splitlines(keepends=True)
        ]
        load = re.compile(r'(%\w+) = spirv\.Load "StorageBuffer" (%\w+) : .*\n')
        out = [
            self._access(i, line, load.search(line), store.search(line), places, kind)
            for i, line in enumerate(lines)
        ]
        self.text = "".join(out)

    def _access(self, number, line, load, store, places, kind) -> str:
        match = load if load and load[2] in places else store
        pointer = match and (match[2] if match is load else match[1])
        if pointer not in places:
            return line
        variable, index = places[pointer]
        t = f"%image{variable[1:]}{number}"
        made, at, coordinate = self._coordinate(t, index)
        made += f'{t} = spirv.Load "UniformConstant" {variable} : {kind}\n'
        if match is store:
            types = f"{kind}, {coordinate}, vector<4xf32>"
            return f"{made}spirv.ImageWrite {t}, {at}, {store[2]} : {types}\n"
        types = f"{kind}, {coordinate}"
        if coordinate == "i32" or "NoSampler" in kind:
            lod = ""
        else:
            made += f"{t}l = spirv.Constant 0 : i32\n"
            lod, types = f' ["Lod"], {t}l', f"{types}, i32"
        name = "ImageRead" if "NoSampler" in kind else "ImageFetch"
        return f"{made}{load[1]} = spirv.{name} {t}, {at}{lod} : {types} -> vector<4xf32>\n"

    def _coordinate(self, t: str, index: str) -> tuple[str, str, str]:
        if self.image == "texel_buffer":
            return "", index, "i32"
        made = (
            f"{t}w = spirv.Constant 4096 : i32\n"
            f"{t}x = spirv.UMod {index}, {t}w : i32\n"
            f"{t}y = spirv.UDiv {index}, {t}w : i32\n"
            f"{t}c = spirv.CompositeConstruct {t}x, {t}y : (i32, i32) -> vector<2xi32>\n"
        )
        return made, f"{t}c", "vector<2xi32>"


def iree_compile(source: Path, output: Path, *flags: str) -> Path:
    """Runs iree-compile for the Vulkan device of this machine."""
    command = [iree_compile_path(), *resolve_target("vulkan").iree_flags, *flags]
    subprocess.run([*command, source, "-o", output], check=True, capture_output=True)
    return output


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory):
    """Modules of CHAIN by the image that they use."""
    folder = tmp_path_factory.mktemp("modules")
    f32 = np.dtype(np.float32)
    specs = [TensorSpec(name, (64, 64), f32) for name in "aby"]
    meta = json.dumps(encode_metadata(resolve_target("vulkan"), specs[:2], specs[2:]))
    source = folder / "chain.mlir"
    source.write_text(CHAIN.format(key=REFLECTION_KEY, meta=meta))
    kernels = iree_compile(source, folder / "k.mlir", "--compile-to=executable-targets")
    texts = re.split(r"(?m)^(?= *spirv\.module)", kernels.read_text())

    def build(image: str, format_: str = "Rgba32f", writes: bool = True) -> Path:
        output = folder / f"{image}-{format_}-{writes}.vmfb"
        if output.exists():
            return output
        edited = folder / "edited.mlir"
        changed = (Kernel(t, image).rewritten(format_=format_, writes=writes) for t in texts)
        edited.write_text("".join(texts if image == "buffer" else changed))
        return iree_compile(edited, output, "--compile-from=executable-targets")

    return build


@pytest.fixture(scope="module")
def arrays():
    """Two operands."""
    random = np.random.default_rng(3)
    return [random.standard_normal((64, 64), np.float32) for _ in range(2)]


@pytest.mark.image_library
@pytest.mark.parametrize("image", ["texel_buffer", "image2d"])
@pytest.mark.parametrize("writes", [False, True])
def test_the_same_bits_as_with_buffers(compiled, arrays, image, writes):
    expected = LoadedModule(compiled("buffer"), "vulkan")(*arrays)[0]
    exact = [array.astype(np.float64) for array in arrays]  # sums that cancel have no f32 bound
    np.testing.assert_allclose(expected, exact[0] @ exact[1] @ exact[1], rtol=1e-3)
    before = image_statistics(LIBRARY)
    result = LoadedModule(compiled(image, writes=writes), "vulkan")(*arrays)[0]
    after = image_statistics(LIBRARY)
    np.testing.assert_array_equal(result, expected)
    shown = "texel_bindings" if image == "texel_buffer" else "image_bindings"
    assert getattr(after, shown) - getattr(before, shown) == (6 if writes else 4)
    assert after.fallback_bindings == before.fallback_bindings


@pytest.mark.image_library
def test_unknown_formats_have_four_components(compiled, arrays):
    module = LoadedModule(compiled("texel_buffer", "Unknown", writes=False), "vulkan")
    expected = LoadedModule(compiled("buffer"), "vulkan")(*arrays)[0]
    np.testing.assert_array_equal(module(*arrays)[0], expected)


@pytest.mark.image_library
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc")
def test_modules_compute_the_same_through_the_library(compiled, arrays):
    system = {LOADER_VARIABLE: "libvulkan.so.1"}  # what the user names is used
    plain = run_fresh(compiled("buffer"), arrays, environment=system)
    assert not plain.is_through_library
    images = run_fresh(compiled("texel_buffer"), arrays)
    assert images.is_through_library
    # Made to go through it, a module without images computes the same.
    forced = run_fresh(compiled("buffer"), arrays, environment={LOADER_VARIABLE: str(LIBRARY)})
    assert forced.is_through_library
    assert forced.statistics["image_dispatches"] == 0
    assert same_bits(forced.outputs, plain.outputs)


@pytest.mark.image_library
@pytest.mark.parametrize("image", ["texel_buffer", "image2d"])
def test_views_do_not_grow(compiled, arrays, image):
    module = LoadedModule(compiled(image), "vulkan")
    module.benchmark(arrays, warmup=3, repetitions=1)
    before = image_statistics(LIBRARY)
    module.benchmark(arrays, warmup=0, repetitions=200)
    after = image_statistics(LIBRARY)
    assert after.image_dispatches - before.image_dispatches == 400
    assert after.live_views <= before.live_views + 2  # one buffer was made for the inputs
    assert after.views_made <= before.views_made + 4


@pytest.mark.image_library
def test_two_threads_with_two_modules(compiled, arrays):
    expected = LoadedModule(compiled("buffer"), "vulkan")(*arrays)[0]
    modules = [LoadedModule(compiled(i), "vulkan") for i in ("texel_buffer", "image2d")]
    right: list[bool] = []

    def work(module: LoadedModule) -> None:
        right.extend(np.array_equal(module(*arrays)[0], expected) for _ in range(20))

    threads = [threading.Thread(target=work, args=(module,)) for module in modules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 40


@pytest.mark.image_library
def test_the_library_says_what_is_wrong(compiled, arrays):
    with pytest.raises(TargetError, match=r"Image Format 2 is not known"):
        LoadedModule(compiled("texel_buffer", "Rgba16f"), "vulkan")(*arrays)


@pytest.mark.vulkan
def test_no_library(compiled, monkeypatch, tmp_path):
    monkeypatch.setattr(image_library, "find_image_library", lambda: None)
    with pytest.raises(TargetError, match=r"reads its buffers as images.*libvulkan-dev"):
        LoadedModule(compiled("texel_buffer"), "vulkan")
    broken = tmp_path / "libsmartmem_vulkan.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(image_library, "find_image_library", lambda: broken)
    with pytest.raises(TargetError, match=r"does not load: .*libsmartmem_vulkan\.so"):
        LoadedModule(compiled("texel_buffer"), "vulkan")


def test_which_modules_go_through_the_library(monkeypatch, tmp_path):
    monkeypatch.delenv(LOADER_VARIABLE, raising=False)
    monkeypatch.setattr(image_library, "_load", lambda _: None)
    monkeypatch.setattr(image_library, "find_image_library", lambda: tmp_path)
    for has_images, is_software in itertools.product([False, True], repeat=2):
        used = library_for("m.vmfb", has_images=has_images, is_software=is_software)
        assert used == (tmp_path if has_images or is_software else None)
    monkeypatch.setenv(LOADER_VARIABLE, "/another.so")
    assert library_for("m.vmfb", has_images=False, is_software=True) is None
    monkeypatch.delenv(LOADER_VARIABLE)
    monkeypatch.setattr(image_library, "find_image_library", lambda: None)
    assert library_for("m.vmfb", has_images=False, is_software=True) is None


def test_a_broken_library_does_not_stop_modules_that_can_do_without(monkeypatch, tmp_path):
    broken = tmp_path / "libsmartmem_vulkan.so"
    broken.write_bytes(b"no library")
    monkeypatch.delenv(LOADER_VARIABLE, raising=False)
    monkeypatch.setattr(image_library, "find_image_library", lambda: broken)
    assert library_for("m.vmfb", has_images=False, is_software=True) is None


@pytest.mark.image_library
def test_an_open_device_leaves_the_processors_to_others(compiled, arrays):
    module = LoadedModule(compiled("buffer"), "vulkan")
    module(*arrays)
    start = time.process_time()  # of all threads
    time.sleep(0.5)
    assert time.process_time() - start < 0.25, "Mesa polls where the library waits"


def test_where_the_library_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.delenv(image_library.PATH_VARIABLE, raising=False)
    monkeypatch.setattr(image_library.smartmem, "__path__", [str(tmp_path)])
    assert find_image_library() is None
    (tmp_path / "_native").mkdir()
    (tmp_path / "_native" / "libsmartmem_vulkan.so").touch()
    assert find_image_library() == tmp_path / "_native" / "libsmartmem_vulkan.so"
    monkeypatch.setenv(image_library.PATH_VARIABLE, "/elsewhere.so")
    assert find_image_library() == Path("/elsewhere.so")


def run_iree(module: Path, *flags: str, **environment: str) -> str:
    """The output of IREE's own tool, which knows nothing of SmartMem."""
    tool = Path(sysconfig.get_path("scripts"), "iree-run-module")
    values = "--input=64x64xf32=1", "--input=64x64xf32=2"
    command = [tool, "--device=vulkan", f"--module={module}", "--function=main", *values]
    return subprocess.run(
        [*command, *flags],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.mark.image_library
def test_irees_tools_with_the_library(compiled, tmp_path):
    expected = run_iree(compiled("buffer"))
    module = compiled("texel_buffer")
    assert "16384" in expected
    assert run_iree(module, f"--vulkan_libvulkan_search_path={LIBRARY}") == expected
    # As the loader itself: by the name that applications look for.
    (tmp_path / "libvulkan.so.1").symlink_to(LIBRARY)
    assert run_iree(module, f"--vulkan_libvulkan_search_path={tmp_path}") == expected
    assert run_iree(module, LD_LIBRARY_PATH=str(tmp_path)) == expected
