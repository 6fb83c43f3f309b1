"""Compares a network in f32, f16 and bf16: time, bytes, errors, and products in f16.

On the CPU, the network is converted (``model.half()``), and its inferences alternate with those in
f32. For GPUs, the f32 network is compiled with ``--precision f16``: what part of its products is f16
is counted in the last IR, and with ``--target vulkan`` it runs, also on inputs 100 times as large.

    python benchmarks/compare_precisions.py vit_tiny_patch16_224 mobilenetv2_100
    python benchmarks/compare_precisions.py vit mobilenetv2 --target adreno
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from arguments import check_names, script_parser
from cut_networks import NETWORKS
from models import MODELS, Built
from torch import nn

import smartmem
from smartmem import CompileOptions
from smartmem.compiler.compile import CompiledModel, module_at
from smartmem.passes.analysis.ir.loops import contracts, loop_nest
from smartmem.passes.base import REGION, operations

_DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
_BUILDERS: dict[str, Callable[[], Built]] = {
    **NETWORKS,
    **{name: case.build for name, case in MODELS.items()},
}


def main() -> None:
    """Prints one line for each network and type."""
    parser = script_parser(__doc__ or "")
    parser.add_argument("networks", nargs="*", default=["vit", "mobilenetv2"])
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--runs", type=int, default=50)
    arguments = parser.parse_args()
    check_names(parser, arguments.networks, _BUILDERS)
    for name in arguments.networks:
        if arguments.target == "cpu":
            _compare_times(name, arguments.runs)
        else:
            _compare_kernels(name, arguments.target)


def _compare_times(name: str, runs: int) -> None:
    built = {key: _converted(name, dtype) for key, dtype in _DTYPES.items()}
    compiled = {
        key: smartmem.compile(model, inputs=inputs, target="cpu")
        for key, (model, inputs) in built.items()
    }
    times: dict[str, list[float]] = {key: [] for key in built}
    for _ in range(runs):
        for key, (_, inputs) in built.items():
            start = time.perf_counter()
            compiled[key](*inputs)
            times[key].append(time.perf_counter() - start)
    model, inputs = built["f32"]
    for key, (_, own) in built.items():
        paired = statistics.median(a / b for a, b in zip(times[key], times["f32"], strict=True))
        print(
            f"{name:22} {key:4} {min(times[key]) * 1e3:8.3f} ms  of f32: median {paired:.2f}, "
            f"fastest {min(times[key]) / min(times['f32']):.2f}  "
            f"{_mebibytes(compiled[key]):7.2f} MiB  "
            f"error {_error(compiled[key], own, model, inputs):.1e}",
            flush=True,
        )


def _compare_kernels(name: str, target: str) -> None:
    model, inputs = _BUILDERS[name]()
    for precision in ("f32", "f16"):
        options = CompileOptions(precision=precision)
        compiled = smartmem.compile(model, inputs=inputs, target=target, options=options)
        share = _share(
            module_at(model, "lowered", inputs=inputs, target=target, options=options)
        )
        errors = ""
        if target == "vulkan":
            large = tuple(x * 100 if x.is_floating_point() else x for x in inputs)
            errors = f"error {_error(compiled, inputs, model, inputs):.1e}, of 100 times the "
            errors += f"inputs {_error(compiled, large, model, large):.1e}"
        print(
            f"{name:22} {precision:4} {_mebibytes(compiled):7.2f} MiB  products in f16 "
            f"{share:6.1%}  {errors}",
            flush=True,
        )


def _converted(name: str, dtype: torch.dtype) -> Built:
    model, inputs = _BUILDERS[name]()
    return model.to(dtype), tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)


def _share(module: Any) -> float:
    """The part of all products in kernels' sums of products that is computed in f16."""
    all_of, halves = 0, 0
    regions = [op for op in operations(module.operation) if op.name == REGION]
    for op in (op for region in regions for op in operations(region)[1:] if contracts(op)):
        nest = loop_nest(op)
        products = math.prod(nest.domain) if nest is not None else 0
        all_of += products
        halves += products if str(op.results[0].type).endswith("xf16>") else 0
    return halves / all_of if all_of else 0.0


def _error(compiled: CompiledModel, own: Any, model: nn.Module, inputs: Any) -> float:
    """Of the first output, as a part of the largest number of the network's own in f32."""
    with torch.no_grad():
        expected = _first(model(*inputs))
    difference = (_first(compiled(*own)).float() - expected).abs().max()
    return float(difference / expected.abs().max())


def _first(outputs: Any) -> torch.Tensor:
    first = outputs if isinstance(outputs, torch.Tensor) else next(iter(outputs))
    assert isinstance(first, torch.Tensor)
    return first


def _mebibytes(compiled: CompiledModel) -> float:
    return float(compiled.path.stat().st_size) / 2**20


if __name__ == "__main__":
    main()
