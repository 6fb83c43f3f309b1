"""The stages of a compilation that are SmartMem's own: import and passes.

The order of the passes is ``smartmem.passes.PIPELINE``; this module names none of them.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem.backend.metadata import REFLECTION_KEY, encode_metadata
from smartmem.backend.targets import Target
from smartmem.errors import InvalidInputError
from smartmem.files import scratch_folder
from smartmem.frontend import ImportedModel, import_model
from smartmem.frontend.finish import entry_function
from smartmem.options import CompileOptions
from smartmem.passes import PIPELINE, PassContext, Remark
from smartmem.pipelines import run_pipeline
from smartmem.recorder import StageRecorder, save_bytecode
from smartmem.tensor_spec import TensorSpec

INPUT = "input"
IR_STAGES = (INPUT, *(name for name, _ in PIPELINE))
"""The stages that leave IR, in order: the keys of ``CompiledModel.ir``."""


def import_stage(
    model: Any, inputs: Any, options: CompileOptions, recorder: StageRecorder
) -> ImportedModel:
    """Imports a model; arguments and errors as for ``smartmem.compile``."""
    refuse_module(model)
    with recorder.stage(first_stage(model), "import"):
        imported = import_model(
            model,
            inputs=inputs,
            input_format=options.input_format,
            input_shapes=options.input_shapes,
        )
    recorder.keep(imported.module)
    return imported


def refuse_module(model: Any) -> None:
    """Raises InvalidInputError if ``model`` is the file of a compiled module."""
    if _is_path(model) and Path(model).suffix == ".vmfb":
        raise InvalidInputError(
            f"{model} is compiled already; run it with `smartmem run` or smartmem.load"
        )


@dataclass(frozen=True)
class Lowered:
    """A model after all stages that are ours.

    Attributes:
        folder: holds the lowered module as bytecode.
        name: the model's name for people.
        source: where it came from, as ``ImportedModel.source`` says.
        inputs: what it takes.
        outputs: what it returns.
        parameter_bytes: size of its parameters after import.
        remarks: of all passes.
    """

    folder: tempfile.TemporaryDirectory[str]
    name: str
    source: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameter_bytes: int
    remarks: tuple[Remark, ...]

    @property
    def bytecode(self) -> Path:
        """The file of the lowered module."""
        return Path(self.folder.name) / "lowered.mlirbc"


def lower(
    imported: ImportedModel, model: Any, target: Target, recorder: StageRecorder
) -> Lowered:
    """Runs the stages of ``smartmem.passes.PIPELINE`` on ``imported.module``, in place.

    Args:
        imported: the imported ``model``.
        model: as given to ``compile``; a file of a later stage skips the stages before.

    Raises:
        SmartMemError: a pass failed.
    """
    parameter_bytes = imported.parameters.nbytes
    context = PassContext(imported.parameters)
    run_stages(imported.module, context, recorder, after=first_stage(model))
    lowered = Lowered(
        scratch_folder(),
        model_name(model),
        imported.source,
        imported.inputs,
        imported.outputs,
        parameter_bytes,
        tuple(context.remarks),
    )
    with recorder.extend():
        embed_metadata(imported, target)
        save_bytecode(imported.module, lowered.bytecode)
    return lowered


def embed_metadata(imported: ImportedModel, target: Target) -> None:
    """Makes the compiled module say what it was compiled for and what it takes."""
    text = encode_metadata(target, imported.inputs, imported.outputs)
    main = entry_function(imported.module)
    with imported.module.context:
        main.attributes["iree.reflection"] = ir.DictAttr.get(
            {REFLECTION_KEY: ir.StringAttr.get(text)}
        )


def run_stages(
    module: ir.Module,
    context: PassContext,
    recorder: StageRecorder,
    *,
    after: str = INPUT,
    until: str = IR_STAGES[-1],
) -> None:
    """Runs the stages behind ``after`` up to ``until`` on ``module``, in place.

    Raises:
        SmartMemError: a pass failed.
    """
    for name, passes in PIPELINE[IR_STAGES.index(after) : IR_STAGES.index(until)]:
        with recorder.stage(name, "smartmem"):
            run_pipeline(module, [p if isinstance(p, str) else p() for p in passes], context)
        recorder.keep(module)


def first_stage(model: Any) -> str:
    """The stage whose IR ``model`` is.

    That is ``INPUT`` except for a file ``NN-<stage>.mlirbc`` that ``StageRecorder.keep``
    wrote, or the same module as ``.mlir``.
    """
    name = Path(model).name if _is_path(model) else ""
    match = re.fullmatch(r"\d\d-(.+)\.(?:mlir|mlirbc)", name)
    return match.group(1) if match and match.group(1) in IR_STAGES else INPUT


def model_name(model: Any) -> str:
    """What people call the model: its file's name, or its class's."""
    if _is_path(model):
        return Path(model).name
    return type(model).__name__


def _is_path(model: Any) -> bool:
    return isinstance(model, str | Path)
