"""Running compiled modules, and refusing what would go wrong."""

from __future__ import annotations

import dataclasses
import json

import ml_dtypes
import numpy as np
import pytest

from smartmem.backend import hal, placement
from smartmem.backend.devices import probe_vulkan, usable_devices
from smartmem.backend.iree import compile_bytecode
from smartmem.backend.metadata import (
    REFLECTION_KEY,
    decode_metadata,
    encode_metadata,
    signature_of,
)
from smartmem.backend.module_file import ModuleFile
from smartmem.backend.requirements import DeviceRequirements
from smartmem.backend.runtime import BenchmarkResult, LoadedModule
from smartmem.backend.spirv import shader_use
from smartmem.backend.targets import Target, resolve_target
from smartmem.errors import InvalidInputError, TargetError, UnsupportedError
from smartmem.parameters import NUMPY_DTYPES
from smartmem.tensor_spec import TensorSpec

needs_vulkan = pytest.mark.skipif(
    not usable_devices(), reason=f"no Vulkan device: {probe_vulkan().reason}"
)
DEVICES = ["cpu", pytest.param("vulkan", marks=needs_vulkan)]

# Row sums: IREE reduces with subgroup operations on Vulkan.
SUM = """
func.func @main(%a: tensor<16x256xf32>) -> tensor<16xf32> {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<16xf32>) -> tensor<16xf32>
  %r = linalg.reduce {arith.addf} ins(%a : tensor<16x256xf32>) outs(%f : tensor<16xf32>)
      dimensions = [1]
  return %r : tensor<16xf32>
}
"""
F32 = np.dtype(np.float32)
SUM_INPUTS = [TensorSpec("rows", (16, 256), F32)]
SUM_OUTPUTS = [TensorSpec("sums", (16,), F32)]


def build(folder, text, target, inputs, outputs):
    """Compiles MLIR text, with metadata, and returns the path of the module."""
    target = target if isinstance(target, Target) else resolve_target(target)
    meta = json.dumps(encode_metadata(target, inputs, outputs))
    attribute = f'attributes {{iree.reflection = {{"{REFLECTION_KEY}" = {meta}}}}} {{'
    head, _, body = text.partition("{\n")
    path = folder / "module.vmfb"
    compile_bytecode(f"{head}{attribute}\n{body}".encode(), target, output=path)
    return path


def build_plain(folder, text, target):
    """Compiles MLIR text without metadata, as another tool would."""
    path = folder / "plain.vmfb"
    compile_bytecode(text.encode(), resolve_target(target), output=path)
    return path


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).standard_normal((16, 256), dtype=np.float32)


@pytest.fixture(scope="module")
def sum_path(tmp_path_factory):
    return build(tmp_path_factory.mktemp("sum"), SUM, "cpu", SUM_INPUTS, SUM_OUTPUTS)


@pytest.fixture(scope="module")
def adreno_path(tmp_path_factory):
    return build(tmp_path_factory.mktemp("adreno"), SUM, "adreno", SUM_INPUTS, SUM_OUTPUTS)


@pytest.mark.parametrize("device", DEVICES)
def test_runs_on_the_device_it_was_compiled_for(tmp_path, rows, device):
    module = LoadedModule(build(tmp_path, SUM, device, SUM_INPUTS, SUM_OUTPUTS), device)
    (sums,) = module(rows)
    np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-4, atol=1e-4)
    assert module.metadata.kind == device
    assert [str(spec) for spec in module.inputs] == ["rows: float32[16, 256]"]
    assert [str(spec) for spec in module.outputs] == ["sums: float32[16]"]


def test_bytes_and_paths_load_alike(sum_path, rows):
    from_path, from_bytes = LoadedModule(str(sum_path)), LoadedModule(sum_path.read_bytes())
    np.testing.assert_array_equal(from_path(rows), from_bytes(rows))
    assert from_path.metadata == from_bytes.metadata


def doubling(dtype: str, shape: tuple[int, ...]) -> str:
    kind = f"tensor<{''.join(f'{size}x' for size in shape)}{dtype}>"
    operation = {"f": "addf", "b": "addf"}.get(dtype[0], "ori" if dtype == "i1" else "addi")
    dims = ", ".join(f"d{i}" for i in range(len(shape)))
    same = f"affine_map<({dims}) -> ({dims})>"
    parallel = ", ".join(['"parallel"'] * len(shape))
    return f"""func.func @main(%a: {kind}) -> {kind} {{
      %e = tensor.empty() : {kind}
      %r = linalg.generic {{indexing_maps = [{same}, {same}], iterator_types = [{parallel}]}}
          ins(%a : {kind}) outs(%e : {kind}) {{
      ^bb0(%x: {dtype}, %o: {dtype}):
        %s = arith.{operation} %x, %x : {dtype}
        linalg.yield %s : {dtype}
      }} -> {kind}
      return %r : {kind}
    }}"""


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["f16", "bf16", "f32", "f64", "i1", "i8", "i16", "i32", "i64"])
def test_every_dtype_goes_in_and_out(tmp_path, device, name):
    dtype, shape = NUMPY_DTYPES[name], (3, 5)
    specs = [TensorSpec("x", shape, dtype)]
    module = LoadedModule(build(tmp_path, doubling(name, shape), device, specs, specs), device)
    x = (np.arange(15).reshape(shape) % 7 / 2).astype(dtype)
    (y,) = module(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x | x if name == "i1" else x + x)


@pytest.mark.parametrize("shape", [(), (0, 4)])
def test_scalars_and_empty_arrays(tmp_path, shape):
    specs = [TensorSpec("x", shape, F32)]
    module = LoadedModule(build(tmp_path, doubling("f32", shape), "cpu", specs, specs))
    x = np.full(shape, 1.5, F32)
    (y,) = module(x)
    assert y.shape == shape
    np.testing.assert_array_equal(y, x + x)


def test_arrays_that_are_not_contiguous(sum_path, rows):
    module = LoadedModule(sum_path)
    np.testing.assert_array_equal(module(np.asfortranarray(rows)), module(rows))
    np.testing.assert_array_equal(module(rows[::-1])[0], module(rows)[0][::-1])


def test_results_outlive_the_module(sum_path, rows):
    module = LoadedModule(sum_path)
    first = module(rows)[0]
    kept = first.copy()
    module(rows * 2)
    del module
    np.testing.assert_array_equal(first, kept)


def test_torch_tensors(sum_path, rows, tmp_path):
    torch = pytest.importorskip("torch")
    module = LoadedModule(sum_path)
    tensor = torch.from_numpy(rows).requires_grad_()
    np.testing.assert_array_equal(module(tensor), module(rows))
    specs = [TensorSpec("x", (4,), np.dtype(ml_dtypes.bfloat16))]
    halves = LoadedModule(build(tmp_path, doubling("bf16", (4,)), "cpu", specs, specs))
    (y,) = halves(torch.tensor([1.5, 2.0, -3.0, 0.25], dtype=torch.bfloat16))
    np.testing.assert_array_equal(y.astype(F32), [3.0, 4.0, -6.0, 0.5])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], r"takes 1 inputs, 0 were given; inputs: rows: float32\[16, 256\]"),
        ([np.zeros((16, 256), F32)] * 2, "takes 1 inputs, 2 were given"),
        ([np.zeros((16, 255), F32)], r"input rows has shape \[16, 255\], .* \[16, 256\]"),
        ([np.zeros((16, 256))], r"input rows has dtype float64, the module takes float32"),
        ([None], "input rows is a NoneType, not an array"),
        (["text"], r"input rows has shape \[\]"),
        ([[[1.0], [1.0, 2.0]]], "input rows is not an array"),
    ],
)
def test_wrong_inputs_are_named(sum_path, arrays, message):
    module = LoadedModule(sum_path)
    with pytest.raises(InvalidInputError, match=message):
        module(*arrays)
    with pytest.raises(InvalidInputError, match=message):
        module.benchmark(arrays)


def test_benchmark(sum_path, rows):
    result = LoadedModule(sum_path, threads=1).benchmark([rows], warmup=1, repetitions=5)
    assert len(result.seconds) == 5
    assert 0 < result.min <= result.median <= result.max < 5
    assert BenchmarkResult((3.0, 1.0, 2.0)).median == 2.0


def test_cold_inputs_are_other_copies_in_each_run(sum_path, rows):
    module = LoadedModule(sum_path, threads=1)
    warm, cold = module.upload([rows]), module.upload([rows], cold=[0])
    assert warm.next()[0] is warm.next()[0]
    views = [cold.next()[0] for _ in range(3)]
    assert len(set(map(id, views))) == 3
    assert all((view.map().asarray(rows.shape, rows.dtype) == rows).all() for view in views)
    assert len(module.benchmark(cold, repetitions=4).seconds) == 4


@pytest.mark.parametrize("counts", [{"repetitions": 0}, {"warmup": -1}])
def test_benchmark_counts(sum_path, rows, counts):
    with pytest.raises(InvalidInputError, match="1 repetition and 0 warm-ups or more"):
        LoadedModule(sum_path).benchmark([rows], **counts)


def test_the_number_of_threads(sum_path, rows, monkeypatch):
    asked = []
    parse = hal.rt.flags.parse_flags
    monkeypatch.setattr(
        hal.rt.flags, "parse_flags", lambda *flags: asked.extend(flags) or parse(*flags)
    )
    hal.open_device.cache_clear()
    two = LoadedModule(sum_path, threads=2)
    three = LoadedModule(sum_path, threads=3)
    np.testing.assert_array_equal(two(rows), three(rows))
    assert asked == [f"--task_topology_group_count={n}" for n in (2, 0, 3, 0)]
    with pytest.raises(InvalidInputError, match="threads is 0"):
        LoadedModule(sum_path, threads=0)


@pytest.mark.parametrize("kept", [0, 3, 64, 500, 3000, -200, -1])
def test_truncated_modules(sum_path, tmp_path, kept):
    path = tmp_path / "cut.vmfb"
    path.write_bytes(sum_path.read_bytes()[:kept])
    with pytest.raises(InvalidInputError, match=r"cut\.vmfb is (not a compiled|damaged)"):
        LoadedModule(path)
    with pytest.raises(InvalidInputError, match=r"the module is (not a compiled|damaged)"):
        LoadedModule(path.read_bytes())


def test_files_that_are_no_modules(tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(SUM)
    with pytest.raises(InvalidInputError, match=r"model\.mlir is not a compiled module"):
        LoadedModule(path)
    with pytest.raises(InvalidInputError, match=r"cannot read .*none\.vmfb: No such file"):
        LoadedModule(tmp_path / "none.vmfb")
    with pytest.raises(InvalidInputError, match=r"cannot read .*: Is a directory"):
        LoadedModule(tmp_path)


def test_a_damaged_bytecode(sum_path):
    content = bytearray(sum_path.read_bytes())
    start = content.rfind(b"hal.fence.await")
    content[start - 400 : start + 400] = bytes(800)
    with pytest.raises(InvalidInputError, match=r"not a compiled module|damaged"):
        LoadedModule(bytes(content))


def test_a_module_of_another_tool_runs_on_the_cpu(tmp_path, rows):
    module = LoadedModule(build_plain(tmp_path, SUM, "cpu"))
    assert module.metadata.target_name is None
    assert [str(spec) for spec in module.inputs] == ["input0: float32[16, 256]"]
    np.testing.assert_allclose(module(rows)[0], rows.sum(axis=1), rtol=1e-4, atol=1e-4)


def test_entry_functions(tmp_path, rows):
    only = LoadedModule(build_plain(tmp_path, SUM.replace("@main", "@forward"), "cpu"))
    assert only(rows)[0].shape == (16,)
    two = SUM.replace("@main", "@one") + SUM.replace("@main", "@two")
    with pytest.raises(InvalidInputError, match=r"no function main; its functions are: .*two"):
        LoadedModule(build_plain(tmp_path, two, "cpu"))


def test_a_module_with_dynamic_shapes(tmp_path):
    text = "func.func @main(%a: tensor<?xf32>) -> tensor<?xf32> { return %a : tensor<?xf32> }"
    with pytest.raises(UnsupportedError, match="not tensors of fixed shape"):
        LoadedModule(build_plain(tmp_path, text, "cpu"))


def test_metadata_that_does_not_fit_the_function(tmp_path):
    path = build(tmp_path, SUM, "cpu", SUM_INPUTS * 2, SUM_OUTPUTS)
    with pytest.raises(InvalidInputError, match="signature does not fit"):
        LoadedModule(path)


def test_another_kind_of_device_is_refused(sum_path):
    with pytest.raises(TargetError, match="for target cpu and cannot run on vulkan; compile"):
        LoadedModule(sum_path, "vulkan")


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "auto:0", ""])
def test_unknown_devices(sum_path, device):
    with pytest.raises(TargetError, match="unknown device"):
        LoadedModule(sum_path, device)


def test_a_cpu_that_lacks_an_extension_is_refused(tmp_path):
    host = resolve_target("cpu")
    needs = dataclasses.replace(host.requirements, cpu_features=frozenset({"avx9999"}))
    path = build(
        tmp_path, SUM, dataclasses.replace(host, requirements=needs), SUM_INPUTS, SUM_OUTPUTS
    )
    if placement.host_cpu().features is None:
        pytest.skip("this system does not tell its processor's extensions")
    with pytest.raises(TargetError, match=r"does not fit this machine's processor: .*avx9999"):
        LoadedModule(path)


def test_code_for_another_architecture_is_refused(tmp_path):
    triple = "x86_64" if placement.host_cpu().architecture == "aarch64" else "aarch64"
    target = f"cpu:{triple}-none-linux"
    path = build(tmp_path, SUM, target, SUM_INPUTS, SUM_OUTPUTS)
    with pytest.raises(TargetError, match=f"it needs {triple}, this machine is"):
        LoadedModule(path)
    with pytest.raises(TargetError, match="does not load on"):
        LoadedModule(path, unchecked=True)


@needs_vulkan
def test_another_subgroup_size_is_refused_because_it_computes_garbage(adreno_path, rows):
    if any(device.subgroup_size == 64 for device in usable_devices()):
        pytest.skip("a device here has subgroups of 64, as the target")
    with pytest.raises(TargetError) as caught:
        LoadedModule(adreno_path)
    told = str(caught.value)
    assert "was compiled for target adreno, which fits no Vulkan device here" in told
    assert "it needs subgroups of 64, the device runs" in told
    assert told.endswith("compile it for target vulkan")
    (sums,) = LoadedModule(adreno_path, unchecked=True)(rows)
    assert not np.allclose(sums, rows.sum(axis=1), rtol=0.1)


@needs_vulkan
def test_an_undescribed_vulkan_module_is_refused(tmp_path, rows):
    path = build_plain(tmp_path, SUM, "vulkan")
    with pytest.raises(TargetError, match="does not say what it needs of a Vulkan device"):
        LoadedModule(path)
    (sums,) = LoadedModule(path, unchecked=True)(rows)
    np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-4, atol=1e-4)


def test_no_vulkan_device(adreno_path, monkeypatch):
    monkeypatch.setattr(
        "smartmem.backend.devices.probe_vulkan",
        lambda: dataclasses.replace(probe_vulkan(), devices=(), reason="none is installed"),
    )
    with pytest.raises(TargetError, match="no Vulkan device: none is installed"):
        LoadedModule(adreno_path)


@needs_vulkan
def test_the_device_is_asked_for_what_the_shaders_use(adreno_path, tmp_path):
    """A target allows more than a model uses; only what is used can be missing."""
    small = dataclasses.replace(
        usable_devices()[0],
        subgroup_size=64,
        max_workgroup_memory_bytes=4096,
        features=frozenset({"subgroup-basic", "subgroup-arithmetic"}),
    )
    assert placement._mismatches(ModuleFile(adreno_path), small) == []
    specs = [TensorSpec("x", (8, 64), np.dtype(np.float16))]
    halves = build(tmp_path, doubling("f16", (8, 64)), "adreno", specs, specs)
    assert placement._mismatches(ModuleFile(halves), small) == [
        "it needs float16",
        "it needs storage16",
    ]


def test_what_shaders_use(adreno_path, sum_path, tmp_path):
    use = shader_use(adreno_path.read_bytes())
    assert use.shaders == 1
    assert use.features == {"subgroup-basic", "subgroup-arithmetic"}
    assert use.workgroup_size == (64, 1, 1)
    assert use.workgroup_invocations == 64
    assert shader_use(sum_path.read_bytes()).shaders == 0
    long = SUM.replace("16x256", "16x65536")
    wide = shader_use(build_plain(tmp_path, long, "adreno").read_bytes())
    assert wide.workgroup_invocations > 64
    # One partial sum per subgroup.
    assert wide.workgroup_memory_bytes >= 4 * wide.workgroup_invocations // 64


@pytest.mark.parametrize("cut", [4, 40, 400])
def test_damaged_shaders_are_not_read_past_their_end(adreno_path, cut):
    content = adreno_path.read_bytes()
    start = content.find(b"\x03\x02\x23\x07")
    assert start > 0
    assert shader_use(content[: start + cut]).shaders == 0


def test_metadata_survives():
    target = resolve_target("adreno")
    inputs = [TensorSpec('a "quoted" näme', (), np.dtype(ml_dtypes.bfloat16)), *SUM_INPUTS]
    read = decode_metadata(encode_metadata(target, inputs, SUM_OUTPUTS))
    assert (read.target_name, read.kind) == ("adreno", "vulkan")
    assert read.requirements == target.requirements
    assert (list(read.inputs), list(read.outputs)) == (inputs, SUM_OUTPUTS)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"target": {}},
        {"target": {"name": "x", "kind": "tpu", "requirements": None}},
        {"target": {"name": "x", "kind": "cpu", "requirements": {"subgroup_size": "8"}}},
        {"inputs": [{"name": "x", "shape": [1], "dtype": "float33"}]},
        {"outputs": None},
    ],
)
def test_metadata_of_another_form(change):
    good = json.loads(encode_metadata(resolve_target("cpu"), SUM_INPUTS, SUM_OUTPUTS))
    with pytest.raises(ValueError, match=r"\w"):
        decode_metadata(json.dumps({**good, **change}))


def test_a_module_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr("smartmem.backend.metadata.SCHEMA_VERSION", 99)
    path = build(tmp_path, SUM, "cpu", SUM_INPUTS, SUM_OUTPUTS)
    monkeypatch.undo()
    with pytest.raises(InvalidInputError, match=r"another version of SmartMem: .*99"):
        LoadedModule(path)


def test_signatures():
    inputs, outputs = signature_of(
        "sync func @main(%input0: tensor<1x3xf16>, %input1: tensor<i64>) -> (%output0: "
        "tensor<4xi1>)"
    )
    assert [str(spec) for spec in inputs] == ["input0: float16[1, 3]", "input1: int64[]"]
    assert [str(spec) for spec in outputs] == ["output0: bool[4]"]
    assert signature_of("sync func @main() -> (%output0: tensor<f32>)")[0] == ()
    assert signature_of("sync func @main(%input0: tensor<?xf32>) -> ()") is None
    assert signature_of("sync func @main(%input0: i32) -> ()") is None
    assert signature_of("") is None


class _FullDevice:
    """A device whose allocator has nothing left."""

    @property
    def allocator(self):
        return self

    def allocate_buffer_copy(self, **_):
        raise RuntimeError("allocator.c:12: RESOURCE_EXHAUSTED; out of device memory\n stack")


def test_a_device_without_memory():
    with pytest.raises(TargetError, match="64 bytes does not go to the device: RESOURCE_EXH"):
        hal.upload(_FullDevice(), np.zeros(16, F32))


def test_requirements_reject_wrong_values():
    for values in (
        {"subgroup_size": 1.5},
        {"max_workgroup_size": [1, 2]},
        {"features": [1]},
        {"cpu_architecture": 7},
    ):
        with pytest.raises(ValueError, match=next(iter(values))):
            DeviceRequirements.from_json(values)
