"""Goes on from kernels that a compilation saved as the stage ``images``."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from smartmem.backend.iree_compile.compile import CompileStatistics, finish_kernels
from smartmem.backend.module.module_file import ModuleFile
from smartmem.backend.targets.targets import Target
from smartmem.compiler.kernel_stage import RESOURCES
from smartmem.compiler.recorder import StageRecorder, peak_memory
from smartmem.errors import InvalidInputError
from smartmem.mlir.builds import kernel_build
from smartmem.options import CompileOptions
from smartmem.passes.analysis.images.shader_bindings import constant_of, nested
from smartmem.report.graphs import KernelGraph, ModelGraph
from smartmem.report.inventory import Inventory
from smartmem.report.layouts import Layouts
from smartmem.report.report import Report

_LEVEL = "O3"


def compile_kernels(
    path: Path, target: Target, options: CompileOptions, output: Path, recorder: StageRecorder
) -> Report:
    """Compiles saved kernels to the end and writes the module to ``output``.

    What was done to them before, the report cannot say: it holds neither operations nor
    decisions.

    Raises:
        InvalidInputError: the file cannot be read, or was saved for another target.
        CompileError: iree-compile failed or ran past a limit.
    """
    level = options.opt_level or _LEVEL
    with recorder.stage("vmfb", "iree-compile"):
        run = finish_kernels(path, target, options.for_iree(level), output=output)
    metadata = ModuleFile(output).metadata
    if metadata.target_name not in (None, target.name):
        output.unlink()
        raise InvalidInputError(
            f"{path} holds kernels for target {metadata.target_name}, not {target.name}; "
            f"compile it with --target {metadata.target_name}"
        )
    recorder.done()
    return Report(
        model=path.name,
        source="mlir",
        target=target.name,
        opt_level=level,
        inputs=metadata.inputs,
        outputs=metadata.outputs,
        inventory=Inventory((), ()),
        inventory_left=Inventory((), ()),
        kernels=_statistics(path, run.seconds, run.peak_rss_bytes),
        parameter_bytes=0,
        module_bytes=output.stat().st_size,
        kernels_before=None,
        kernel_counts=None,
        stages=tuple(recorder.records),
        own_peak_bytes=peak_memory(),
        bindings=(),
        remarks=(),
        layouts=Layouts(),
        graph_before=ModelGraph(),
        graph_after=KernelGraph(),
        fallbacks=(),
    )


def _statistics(path: Path, seconds: float, peak_rss_bytes: int) -> CompileStatistics:
    """What the host code of saved kernels runs in one inference, and its memory."""
    content = path.read_bytes()
    head, marker, _ = content.rpartition(RESOURCES)
    ir = kernel_build().ir
    with ir.Context():
        module = ir.Module.parse(head if marker else content)
        functions = [op.operation for op in module.body.operations]
        inference = [op for f in functions if f.name == "util.func" for op in nested(f)]
        names = Counter(op.name for op in inference)
        constants = [
            op.attributes["value"]
            for f in functions
            if f.name == "util.initializer"
            for op in nested(f)
            if op.name == "util.buffer.constant"
        ]
        return CompileStatistics(
            kernels=names["stream.cmd.dispatch"],
            copies=names["stream.cmd.copy"],
            fills=names["stream.cmd.fill"],
            transient_bytes=sum(map(_transient_bytes, inference)),
            constant_bytes=sum(map(_bytes, constants)),
            seconds=seconds,
            peak_rss_bytes=peak_rss_bytes,
        )


def _transient_bytes(op: Any) -> int:
    if op.name != "stream.resource.alloca":  # results count too, as IREE counts them
        return 0
    return constant_of(op.operands[0]) or 0


def _bytes(value: Any) -> int:
    match = re.match(r"#util\.composite<(\d+)xi8", str(value))
    return int(match[1]) if match else 0
