"""What a device does per second, for the cost model: measured with a few small kernels.

Tensors are in order, or across: the same elements in the order of the columns. Their side is
no power of two: else the elements of a column would share few lines of a cache. What starting
a kernel takes is seen in a chain of kernels that each wait for the one before.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smartmem.backend.iree_compile.regions import read_module
from smartmem.backend.targets.processor import Gpu
from smartmem.compiler.lowered import Job, lower
from smartmem.compiler.recorder import StageRecorder
from smartmem.compiler.stages import IR_STAGES, import_stage
from smartmem.options import CompileOptions
from smartmem.passes.analysis.layout.kernel_costs import Rates, cost_of, efficiency, einsum_of
from smartmem.tuning.kernels import KernelCase, kernel_cases
from smartmem.tuning.measure import Bench

logger = logging.getLogger(__name__)

_SIDE = 2080
_MATRIX_SIDE = 512  # of the good kernel
_CHAIN = 33
_BYTES = 4
_ATTEMPTS = 3

# What runs in turn, with the same inputs.
_TOGETHER = (("one", "chain"), ("in_order", "across"), ("matmul",))

_REGION = """\
  %{number} = "flow.dispatch.region"() ({{
    %e = tensor.empty() : tensor<{shape}xf32>
    %g = linalg.generic {{indexing_maps = [affine_map<(a, b) -> ({read})>,
        affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]}}
        ins(%{operand} : tensor<{shape}xf32>) outs(%e : tensor<{shape}xf32>) {{
    ^bb0(%i: f32, %o: f32):
      %s = arith.addf %i, %i : f32
      linalg.yield %s : f32
    }} -> tensor<{shape}xf32>
    "flow.return"(%g) : (tensor<{shape}xf32>) -> ()
  }}, {{}}) {{operandSegmentSizes = array<i32: 0, 0>}} : () -> tensor<{shape}xf32>
"""

_MATMUL = """\
func.func @main(%x: tensor<{n}x{n}xf32>) -> tensor<{n}x{n}xf32> {{
  %w = arith.constant dense_resource<w> : tensor<{n}x{n}xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{n}x{n}xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<{n}x{n}xf32>) -> tensor<{n}x{n}xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<{n}x{n}xf32>, tensor<{n}x{n}xf32>)
      outs(%z : tensor<{n}x{n}xf32>) -> tensor<{n}x{n}xf32>
  return %0 : tensor<{n}x{n}xf32>
}}
{{-# dialect_resources: {{ builtin: {{ w: "0x04000000{data}" }} }} #-}}
"""


def measure_costs(bench: Bench, gpu: Gpu | None) -> Rates | None:
    """The rates of the device behind ``bench``.

    None, with a warning, if one of the kernels does not run or all times are but noise.
    """
    with tempfile.TemporaryDirectory(prefix="smartmem-costs-") as name:
        kernels = CostKernels.compile(Path(name), bench, gpu)
        for _ in range(_ATTEMPTS):
            seconds = kernels and kernels.seconds(bench)
            rates = kernels and seconds and rates_from(seconds, kernels.work)
            if rates:
                return rates
    logger.warning("the device's costs cannot be measured; those of the model stay")
    return None


@dataclass(frozen=True)
class CostKernels:
    """The modules whose times give the rates of a device.

    Attributes:
        modules: the file of each.
        work: of the matrix multiplication, in FLOPs of vectors of 16 lanes.
    """

    modules: Mapping[str, Path]
    work: float

    @staticmethod
    def compile(folder: Path, bench: Bench, gpu: Gpu | None) -> CostKernels | None:
        """Writes the modules to ``folder``; None if one of them does not compile."""
        case = _matmul(folder, bench, gpu)
        if case is None:
            return None
        sources = {**_write(folder), "matmul": folder / "matmul.mlirbc"}
        case.write(sources["matmul"], case.tiles)
        found = bench.compile(list(sources.values()))
        modules = {name: path for name, path in zip(sources, found, strict=True) if path}
        return (
            CostKernels(modules, _work(case, bench)) if len(modules) == len(sources) else None
        )

    def seconds(self, bench: Bench) -> dict[str, float] | None:
        """Those of each module's fastest run; None if one does not run."""
        found: dict[str, float] = {}
        for names in _TOGETHER:
            seconds = bench.least_seconds([self.modules[name] for name in names])
            if seconds is None:
                return None
            found |= zip(names, seconds, strict=True)
        return found


def rates_from(seconds: Mapping[str, float], work: float) -> Rates | None:
    """The rates out of the seconds of each module; None where they are but noise.

    Args:
        work: of the matrix multiplication, in FLOPs of vectors of 16 lanes.
    """
    # What is the same for all modules, that of a kernel with hardly any data, is no cost.
    net = {name: s - seconds["one"] for name, s in seconds.items()}
    if not all(s > 0 for name, s in net.items() if name != "one"):
        return None
    size = _BYTES * _SIDE**2
    in_order = 2 * size / net["in_order"]
    return Rates(
        flops=work / net["matmul"],
        bytes=in_order,
        launch=net["chain"] / (_CHAIN - 1),
        strided=max(in_order * net["across"] / size - 1, 1.0),
    )


def _write(folder: Path) -> dict[str, Path]:
    large = f"{_SIDE}x{_SIDE}"
    texts = {
        "one": _text("8x8", "a, b", 1),
        "chain": _text("8x8", "a, b", _CHAIN),
        "in_order": _text(large, "a, b", 1),
        "across": _text(large, "b, a", 1),
    }
    files = {name: folder / f"{name}.mlir" for name in texts}
    for name, text in texts.items():
        files[name].write_text(text)
    return files


def _text(shape: str, read: str, kernels: int) -> str:
    """A module of kernels, each of which reads what the one before has written."""
    regions = "".join(
        _REGION.format(number=f"r{k + 1}", operand=f"r{k}", shape=shape, read=read)
        for k in range(kernels)
    )
    return (
        f"func.func @main(%r0: tensor<{shape}xf32>) -> tensor<{shape}xf32> {{\n{regions}"
        f"  return %r{kernels} : tensor<{shape}xf32>\n}}\n"
    )


def _matmul(folder: Path, bench: Bench, gpu: Gpu | None) -> KernelCase | None:
    """The kernel that SmartMem makes of a matrix multiplication for the target."""
    path = folder / "matmul.mlir"
    path.write_text(_MATMUL.format(n=_MATRIX_SIDE, data="0000803F" * _MATRIX_SIDE**2))
    options = CompileOptions(shipped_tuning=False, keep_ir=False)
    recorder = StageRecorder(IR_STAGES, options)
    job = Job(path, None, bench.target, options)
    lowered = lower(import_stage(path, None, options, recorder), job, recorder)
    return next(iter(kernel_cases(read_module(lowered.bytecode), gpu)), None)


def _work(case: KernelCase, bench: Bench) -> float:
    """FLOPs of the kernel, as if vectors had 16 lanes and blocks were the best."""
    einsum = einsum_of(case.root)
    assert einsum is not None, "it is a contraction"
    vectors = bench.target.processor.vectors
    flops = cost_of(einsum, Rates(1.0, 1.0, 0.0), vectors).flops
    return flops * 16 / vectors.lanes / efficiency(einsum, vectors)
