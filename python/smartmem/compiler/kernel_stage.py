"""The stage between iree-compile's code generation and its end: passes on kernels.

iree-compile stops behind code generation and writes what it has, as text; SmartMem's passes
run on it, in IREE's build of MLIR; iree-compile goes on from the result. Constants stand
at the end of the text and are carried over unread: they are most of it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from smartmem.backend.module.metadata import REFLECTION_KEY, with_images
from smartmem.compiler.activity import activity
from smartmem.errors import InvalidInputError
from smartmem.files import make_folder, write_file
from smartmem.mlir.builds import kernel_build
from smartmem.mlir.pipelines import run_pipeline
from smartmem.options import CompileOptions
from smartmem.passes import KERNEL_STAGE, BindImages, Pass, PassContext
from smartmem.passes.analysis.images.image_choices import Storage

logger = logging.getLogger(__name__)

RESOURCES = b"\n{-#"
"""Where the constants begin in the text of a module."""

_MARK = b"// smartmem.stage = images\n"
"""The first line of a file of kernels. Their module belongs to IREE and has no mark."""

_TEXT_ELEMENTS = 16


class KernelStage:
    """Runs passes on the kernels of a module; made anew for each module.

    Attributes:
        flags: for iree-compile, so that the passes can tell apart what kernels bind.
        context: remarks and bindings of the last run.
        seconds: wall time of all runs.
        text: the IR after the last run, constants left out; empty unless it is kept.
        failure: why the last run was given up, or None.
    """

    def __init__(
        self,
        passes: Sequence[Pass],
        options: CompileOptions,
        number: int,
        storages: Mapping[int, Storage] | None = None,
    ) -> None:
        """
        Args:
            passes: in their order.
            options: say what is kept and saved.
            number: the stage's place among all, for the file that is saved.
            storages: how the kernels of some groups are to read, by number.
        """
        self._storages = storages or {}
        self.flags: tuple[str, ...] = (
            *(flag for pass_ in passes for flag in _flags(pass_)),
            # Tells of which group a kernel is.
            *(("--mlir-print-debuginfo",) if self._storages else ()),
        )
        self.context = PassContext()
        self.seconds = 0.0
        self.text = ""
        self.failure: str | None = None
        self._passes = passes
        self._options = options
        self._file = f"{number:02}-{KERNEL_STAGE[0]}.mlir"

    def run(self, source: Path, output: Path) -> None:
        """Rewrites the module in the file ``source`` into ``output``.

        A fault of a pass is no fault of the model: it is kept as ``failure``, and
        ``output`` is what ``source`` was.

        Raises:
            InvalidInputError: a file cannot be written.
        """
        start = time.perf_counter()
        self.context, self.failure = PassContext(storages=self._storages), None
        content = source.read_bytes()
        head, marker, resources = content.rpartition(RESOURCES)
        if not marker:
            head, resources = content, b""
        try:
            rewritten = self._rewritten(head)
        except InvalidInputError:
            raise
        except Exception as error:
            logger.debug("a pass on kernels failed", exc_info=error)
            self.give_up(next(iter(str(error).splitlines()), type(error).__name__))
            rewritten = head
        self._write(output, rewritten, marker + resources)
        if self._options.save_temps is not None:
            path = make_folder(Path(self._options.save_temps)) / self._file
            self._write(path, _MARK + rewritten, marker + resources)
        self.seconds += time.perf_counter() - start

    def give_up(self, reason: str) -> None:
        """Notes that the kernels stay what they were."""
        self.context, self.failure, self.text = PassContext(), reason, ""

    def _rewritten(self, text: bytes) -> bytes:
        ir = kernel_build().ir
        with ir.Context():
            module = ir.Module.parse(text)
            deadline = time.monotonic() + self._options.timeout_s
            for pass_ in self._passes:
                with activity(f"pass {pass_.argument}", self._options, deadline):
                    run_pipeline(module, [pass_], self.context)
            self._note_images(module)
            if self._options.keep_ir:
                self.text = module.operation.get_asm(large_elements_limit=_TEXT_ELEMENTS)
            return str(module.operation.get_asm()).rstrip("\n").encode()

    def _note_images(self, module: Any) -> None:
        """Makes the compiled module say which kinds of images its kernels access."""
        ir = kernel_build().ir
        for function in module.body.operations:
            if "iree.reflection" not in function.attributes:
                continue
            entries = {
                e.name: e.attr for e in ir.DictAttr(function.attributes["iree.reflection"])
            }
            if REFLECTION_KEY in entries:
                text = ir.StringAttr(entries[REFLECTION_KEY]).value
                noted = with_images(json.loads(text), self.context.bindings)
                entries[REFLECTION_KEY] = ir.StringAttr.get(json.dumps(noted))
                function.attributes["iree.reflection"] = ir.DictAttr.get(entries)

    def _write(self, path: Path, head: bytes, rest: bytes) -> None:
        def write(out: Any) -> None:
            out.write(head)
            out.write(rest or b"\n")

        write_file(path, write)


def _flags(pass_: Pass) -> tuple[str, ...]:
    """What iree-compile needs so that a pass can do its work."""
    if not isinstance(pass_, BindImages):
        return ()
    return (
        # One binding for each tensor, and not one for all that lies in one buffer.
        "--iree-scheduling-optimize-bindings=false",
        f"--iree-stream-resource-min-offset-alignment={max(pass_.alignment, 64)}",
    )


def holds_kernels(model: Any) -> bool:
    """Whether ``model`` is a file that ``KernelStage`` saved."""
    if not isinstance(model, str | Path) or not Path(model).is_file():
        return False
    with suppress(OSError), Path(model).open("rb") as file:
        return file.read(len(_MARK)) == _MARK
    return False
