"""The kernels of a model as SPIR-V files, with what an inference runs of them.

A folder holds a file for each kernel, and ``kernels.json``: its class, the user's layers, its
workgroups, and how often one inference dispatches it. The compilers of phones read the folder.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from iree.compiler import ir as kernel_ir

from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.iree_compile.compile_errors import CompileError
from smartmem.backend.iree_compile.regions import read_module
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.module.spirv import Words, instructions_of, shaders
from smartmem.backend.targets.targets import Target
from smartmem.checking.kernel_parts import parts_of
from smartmem.compiler.attempts import DEFAULT_LEVELS
from smartmem.compiler.compile import kernel_stage, measured_storages
from smartmem.compiler.kernel_stage import RESOURCES, KernelStage
from smartmem.compiler.lowered import Job, lower
from smartmem.compiler.recorder import StageRecorder, save_bytecode
from smartmem.compiler.stages import IR_STAGES, import_stage
from smartmem.frontend import import_model
from smartmem.options import CompileOptions
from smartmem.passes.analysis.images.shader_bindings import nested, shaders_of

INDEX = "kernels.json"
STOCK = "stock"
"""The variant that IREE compiles alone; the others are SmartMem's storages."""

_ENTRY_POINT, _EXT_INST = 15, 12
_FADD, _FMUL = 129, 133
_SQRT, _INVERSE_SQRT, _EXP, _FLOOR, _FMA = 31, 32, 27, 8, 50
_FMAX, _NMAX = 40, 80
_CONTRACTIONS = re.compile(r"matmul|matvec|conv|contract|dot")
_LAYERS = 4
"""Names of layers that are kept of a kernel."""


@dataclass(frozen=True)
class Kernel:
    """One kernel of a module.

    Attributes:
        name: its entry point.
        kind: contraction, window, softmax, normalization, reduction or elementwise.
        layers: names that the model gives to what it was made of.
        workgroup: threads of a workgroup in x, y and z.
        workgroups: of one dispatch, at most; 0 where only the run tells.
        dispatches: of one inference.
        products: multiply-adds of one dispatch that the kernel's name tells; 0 if it does not.
    """

    name: str
    kind: str
    layers: tuple[str, ...]
    workgroup: tuple[int, ...]
    workgroups: int
    dispatches: int
    products: int

    @property
    def threads(self) -> int:
        """Of a workgroup."""
        return math.prod(self.workgroup)

    @property
    def invocations(self) -> int:
        """Threads of one dispatch."""
        return self.threads * self.workgroups


@dataclass
class _Recorded:
    """What the module behind code generation says of a kernel."""

    group: int | None
    workgroup: tuple[int, ...]
    workgroups: int
    dispatches: int = 0


class Recorder:
    """Notes what iree-compile has made of kernels, and lets a stage rewrite them."""

    failure: str | None = None

    def __init__(self, stage: KernelStage | None) -> None:
        self._stage = stage
        flags = stage.flags if stage else ()
        self.flags = tuple(dict.fromkeys((*flags, "--mlir-print-debuginfo")))
        self.found: dict[str, _Recorded] = {}

    def run(self, source: Path, output: Path) -> None:
        """Reads the module in ``source``; writes it to ``output``, rewritten if so asked."""
        content = source.read_bytes()
        head, marker, _ = content.rpartition(RESOURCES)
        self.found = _recorded(head if marker else content)
        if self._stage is None:
            output.write_bytes(content)
            return
        self._stage.run(source, output)
        if self._stage.failure is not None:
            self.give_up(self._stage.failure)

    def give_up(self, reason: str) -> None:
        """A figure of kernels that are not what was asked for is none.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(reason)


def export_shaders(
    model: Any, inputs: Any, target: Target, variant: str, folder: Path, timeout_s: float
) -> None:
    """Compiles a model and writes its kernels to a folder.

    Args:
        model, inputs: as ``smartmem.compile`` takes them.
        variant: ``stock``, or the storage that SmartMem's kernels read through.

    Raises:
        SmartMemError: it does not compile in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        module = Path(name, "module.vmfb")
        if variant == STOCK:
            bytecode, layers = Path(name, "stock.mlirbc"), {}
            save_bytecode(import_model(model, inputs=inputs).module, bytecode)
            recorder = _compiled(bytecode, target, None, module, timeout_s)
        else:
            options = CompileOptions(keep_ir=False, storage=variant, timeout_s=timeout_s)
            job = Job(model, inputs, target, options)
            recorded = StageRecorder(IR_STAGES, options)
            imported = import_stage(model, inputs, options, recorded)
            lowered = lower(imported, job, recorded)
            layers = _layers(lowered.bytecode)
            stage = kernel_stage(target, options, measured_storages(lowered))
            recorder = _compiled(lowered.bytecode, target, stage, module, timeout_s)
        _write(folder, module, recorder.found, layers)


def read_index(folder: Path) -> list[Kernel]:
    """The kernels of a folder that ``export_shaders`` wrote."""
    return [read_kernel(row) for row in json.loads((folder / INDEX).read_text())]


def read_kernel(row: dict[str, Any]) -> Kernel:
    """A kernel from JSON."""
    lists = {key: tuple(row[key]) for key in ("layers", "workgroup")}
    return Kernel(**{**row, **lists})


def _compiled(
    bytecode: Path, target: Target, stage: KernelStage | None, output: Path, timeout_s: float
) -> Recorder:
    """The recorder of the compilation at the best level that succeeds."""
    *levels, last = DEFAULT_LEVELS
    for level in (*levels, last):
        recorder = Recorder(stage)
        try:
            options = IreeOptions(level, timeout_s=timeout_s)
            compile_bytecode(bytecode, target, options, output=output, kernels=recorder)
        except CompileError:
            if level == last:
                raise
        else:
            return recorder
    raise AssertionError("there is a level")


def _recorded(text: bytes) -> dict[str, _Recorded]:
    with kernel_ir.Context():
        module = kernel_ir.Module.parse(text)
        found = {
            shader.entry: _Recorded(
                shader.group, shader.workgroup_size, math.prod(shader.workgroups or (0,))
            )
            for shader in shaders_of(module.operation)
        }
        for op in module.body.operations:
            if op.operation.name == "util.func":
                for entry in _dispatched(op.operation):
                    found[entry].dispatches += 1
    return found


def _dispatched(function: Any) -> Iterator[str]:
    for op in nested(function):
        if op.name == "stream.cmd.dispatch":
            symbol = str(kernel_ir.ArrayAttr(op.attributes["entry_points"])[0])
            yield symbol.replace('"', "").rpartition("@")[2]


def _layers(bytecode: Path) -> dict[int, tuple[str, ...]]:
    """Names of the model's layers by the number of the group that computes them."""
    parts = parts_of(read_module(bytecode))
    return {p.number: p.places[:_LAYERS] for p in parts if p.number is not None}


def _write(
    folder: Path,
    module: Path,
    recorded: dict[str, _Recorded],
    layers: dict[int, tuple[str, ...]],
) -> None:
    kernels = []
    for shader in shaders(module.read_bytes()):
        name, kind = _read(shader)
        found = recorded[name]
        if not found.dispatches:
            continue  # it runs when the module is loaded
        (folder / f"{name}.spv").write_bytes(shader.tobytes())
        named = layers.get(found.group, ()) if found.group is not None else ()
        counts = found.workgroup, found.workgroups, found.dispatches
        kernels.append(Kernel(name, kind, named, *counts, _products(name)))
    text = json.dumps([asdict(kernel) for kernel in kernels], indent=1)
    (folder / INDEX).write_text(text + "\n")


def _products(name: str) -> int:
    """The multiply-adds of a contraction, of which IREE's name for it lists the loops."""
    match = re.search(r"_((?:\d+x)+\d+)_", name)
    contracts = match is not None and _CONTRACTIONS.search(name)
    return math.prod(map(int, match[1].split("x"))) if match and contracts else 0


def _read(shader: Words) -> tuple[str, str]:
    """A shader's entry point, and its class."""
    codes: Counter[int] = Counter()
    functions: Counter[int] = Counter()
    name = ""
    for instruction in instructions_of(shader):
        code = int(instruction[0]) & 0xFFFF
        codes[code] += 1
        if code == _ENTRY_POINT:
            name = np.ascontiguousarray(instruction[3:]).tobytes().split(b"\0", 1)[0].decode()
        elif code == _EXT_INST:
            functions[int(instruction[4])] += 1
    return name, _kind(name, codes, functions)


def _kind(name: str, codes: Counter[int], functions: Counter[int]) -> str:
    if _CONTRACTIONS.search(name):
        return "contraction"
    if "reduction" in name:
        if functions[_EXP] + functions[_FLOOR] and functions[_FMAX] + functions[_NMAX]:
            return "softmax"
        roots = functions[_SQRT] + functions[_INVERSE_SQRT]
        return "normalization" if roots else "reduction"
    combined = min(codes[_FADD], codes[_FMUL]) + functions[_FMA] + functions[_FMAX]
    return "window" if combined >= _TAPS else "elementwise"


_TAPS = 8
"""What the smallest window adds up."""
