"""Looks at the kernels of a model before and after SmartMem, where the user asked for it."""

from __future__ import annotations

from pathlib import Path

from torch_mlir import ir

from smartmem.backend.iree_compile.compile_errors import CompileError
from smartmem.backend.iree_compile.kernels import KernelCounts, count_kernels
from smartmem.backend.targets.targets import Target
from smartmem.compiler.attempts import Built, levels_of
from smartmem.compiler.recorder import save_bytecode
from smartmem.files import scratch_folder
from smartmem.options import CompileOptions


def imported_kernels(
    module: ir.Module, target: Target, options: CompileOptions
) -> KernelCounts | None:
    """The kernels that IREE alone makes of an imported model.

    Returns:
        None unless ``options`` ask for it, or if IREE does not take the module: a file
        of a later stage, which holds operations of SmartMem.
    """
    if options.inspect_kernels is not True:
        return None
    with scratch_folder() as folder:
        path = Path(folder, "imported.mlirbc")
        save_bytecode(module, path)
        try:
            return _count(path, levels_of(options)[0], target, options)
        except CompileError:
            return None


def compiled_kernels(
    built: Built, target: Target, options: CompileOptions
) -> KernelCounts | None:
    """The kernels of a compiled model; None unless ``options`` ask for it.

    Raises:
        CompileError: iree-compile ran past its time limit.
    """
    if not options.inspect_kernels:
        return None
    return _count(built.bytecode, built.level, target, options)


def _count(path: Path, level: str, target: Target, options: CompileOptions) -> KernelCounts:
    return count_kernels(path, target, options.for_iree(level))
