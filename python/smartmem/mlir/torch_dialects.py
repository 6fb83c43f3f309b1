"""torch-mlir's dialects: ``torch``, and ``tm_tensor`` for what linalg cannot say.

``tm_tensor`` holds scans, scatters and sorts. SmartMem's passes leave its operations as
they are; iree-compile has code for them.
"""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.passmanager import PassManager

# Python cannot register tm_tensor, but a pass that can produce it loads it.
_LOADER = "builtin.module(func.func(convert-torch-to-tmtensor))"


def load_torch_dialects(context: ir.Context) -> None:
    """Makes the dialects known to ``context``, so that text and bytecode with them parse."""
    # The native module registers torch-mlir's passes, too, when it is loaded.
    from torch_mlir._mlir_libs import _torchMlir

    _torchMlir.register_dialect(context)
    empty = ir.Module.create(ir.Location.unknown(context))
    with context:
        PassManager.parse(_LOADER).run(empty.operation)
