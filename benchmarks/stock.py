"""What SmartMem is compared with: the unmodified import, compiled by IREE alone."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from smartmem.backend.iree_compile.compile import CompileStatistics, compile_bytecode
from smartmem.backend.iree_compile.compile_errors import CompileError
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.targets.targets import Target
from smartmem.compiler.attempts import DEFAULT_LEVELS
from smartmem.compiler.recorder import save_bytecode
from smartmem.frontend import import_model


def compile_stock(
    model: Any, target: Target, output: Path, *, inputs: Any = None, timeout_s: float = 1200.0
) -> CompileStatistics:
    """Compiles a model with the flags that SmartMem uses, and none of its passes.

    Args:
        model: as for ``smartmem.compile``.
        target: what to compile for.
        output: the ``.vmfb`` to write.
        inputs: example inputs of the model, for an ``nn.Module``.
        timeout_s: wall time of iree-compile at each optimization level.

    Raises:
        SmartMemError: the import failed, or iree-compile at every level.
    """
    with tempfile.TemporaryDirectory() as folder:
        bytecode = Path(folder, "stock.mlirbc")
        save_bytecode(import_model(model, inputs=inputs).module, bytecode)
        *levels, last = (IreeOptions(level, timeout_s=timeout_s) for level in DEFAULT_LEVELS)
        for options in levels:  # iree-compile fails on some networks at O3
            with contextlib.suppress(CompileError):
                return compile_bytecode(bytecode, target, options, output=output)
        return compile_bytecode(bytecode, target, last, output=output)
