"""From an imported model to a module that iree-compile takes, and what is known of it."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem.backend.iree_compile.kernels import KernelCounts
from smartmem.backend.iree_compile.load_time import widen_at_load
from smartmem.backend.iree_compile.regions import place_groups
from smartmem.backend.module.metadata import REFLECTION_KEY, encode_metadata
from smartmem.backend.targets.targets import Target
from smartmem.compiler.double_precision import refuse_double_precision
from smartmem.compiler.fallback import Fallback
from smartmem.compiler.faults import Net, describe, run_in_time
from smartmem.compiler.inspection import imported_kernels
from smartmem.compiler.recorder import StageRecorder, save_bytecode
from smartmem.compiler.stages import (
    IR_STAGES,
    first_stage,
    model_context,
    model_name,
    read_model,
    run_stages,
)
from smartmem.errors import PassError
from smartmem.files import scratch_folder
from smartmem.frontend import ImportedModel
from smartmem.frontend.finish import entry_function
from smartmem.mlir.memo import remembering
from smartmem.mlir.pipelines import run_pipeline
from smartmem.options import CompileOptions
from smartmem.passes import PLAIN, PassContext, Remark
from smartmem.report.graphs import KernelGraph, ModelGraph, kernel_graph, model_graph
from smartmem.report.layouts import Layouts, layouts_of
from smartmem.tensor_spec import TensorSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What a user asked to compile; the arguments of ``smartmem.compile``."""

    model: Any
    inputs: Any
    target: Target
    options: CompileOptions

    def read(self, deadline: float | None = None) -> ImportedModel:
        """Imports the model; errors as for ``smartmem.compile``.

        Also a second time, where the first import was changed in vain: to keep a copy
        would take its size in memory or on the disk, and it is rarely needed.
        """
        return read_model(self.model, self.inputs, self.options, deadline)


@dataclass(frozen=True)
class Lowered:
    """A model after all stages that are ours.

    Attributes:
        job: what was asked for.
        folder: holds the lowered module as bytecode.
        source: where the model came from, as ``ImportedModel.source`` says.
        inputs: what it takes.
        outputs: what it returns.
        parameter_bytes: size of its parameters after import.
        kernels_before: the kernels that IREE makes of the import; None unless they are to
            be inspected.
        remarks: of all passes.
        layouts: what they chose; none if a pass failed.
        graph_before: the model as imported.
        graph_after: its kernels; none if a pass failed.
        fallbacks: what was given up because a pass failed, in order.
    """

    job: Job
    folder: tempfile.TemporaryDirectory[str]
    source: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameter_bytes: int
    kernels_before: KernelCounts | None
    remarks: tuple[Remark, ...]
    layouts: Layouts
    graph_before: ModelGraph
    graph_after: KernelGraph
    fallbacks: tuple[Fallback, ...]

    @property
    def name(self) -> str:
        """The model's name for people."""
        return model_name(self.job.model)

    @property
    def bytecode(self) -> Path:
        """The file of the lowered module."""
        return Path(self.folder.name) / "lowered.mlirbc"

    def save_plain(self, path: Path, deadline: float | None = None) -> None:
        """Writes the model as it was imported, no pass having eliminated anything.

        Args:
            deadline: when the time limit is over, as ``time.monotonic`` tells it.

        Raises:
            TimeLimitError: it was over.
            SmartMemError: it cannot be imported again, or the path cannot be written.
        """
        imported = self.job.read(deadline)
        processor, asked = self.job.target.processor, self.job.options.precision
        precision = "model" if asked == "auto" else asked  # nothing measures an error here
        context = PassContext(imported.parameters, processor=processor, precision=precision)
        _run_plain(imported.module, context, Net(self.job.options, deadline))
        embed_metadata(imported, self.job.target)
        widen_at_load(imported.module)
        save_bytecode(imported.module, path)


def lower(
    imported: ImportedModel,
    job: Job,
    recorder: StageRecorder,
    deadline: float | None = None,
) -> Lowered:
    """Runs the stages of ``smartmem.passes.PIPELINE`` on ``imported.module``, in place.

    What fails of a pass is given up (see ``faults``). If that leaves nothing to compile, the
    model is imported again and lowered without elimination: what IREE alone can compile must
    compile.

    Args:
        imported: the imported ``job.model``. That of a later stage skips the stages
            before.
        deadline: when the time limit is over, as ``time.monotonic`` tells it.

    Raises:
        TimeLimitError: it was over.
        StrictError: something failed, and that is to be an error.
        SmartMemError: what a pass says about the model.
    """
    refuse_double_precision(imported.module, job.target)
    parameter_bytes = imported.parameters.nbytes
    before = imported_kernels(imported.module, job.target, job.options)
    context = model_context(imported, job.inputs, job.target, job.options)
    net, layouts = Net(job.options, deadline), Layouts()
    graph_before, graph_after = ModelGraph(), KernelGraph()
    with recorder.extend(), net.holding("the report's graph of the model"):
        graph_before = model_graph(imported.module.operation)
    weights = frozenset(imported.parameters)
    try:
        after = first_stage(imported.module)
        with remembering():
            run_stages(imported.module, context, recorder, net, after=after)
            with recorder.extend(), net.holding("the report of layouts"):
                layouts = layouts_of(imported.module.operation, context, weights)
                graph_after = kernel_graph(imported.module.operation)
    except PassError as error:
        imported = job.read(deadline)
        context = model_context(imported, job.inputs, job.target, job.options)
        _without_passes(imported.module, context, recorder, net, error)
    lowered = Lowered(
        job,
        scratch_folder(),
        imported.source,
        imported.inputs,
        imported.outputs,
        parameter_bytes,
        before,
        tuple(context.remarks),
        layouts,
        graph_before,
        graph_after,
        tuple(net.fallbacks),
    )
    with recorder.extend():
        embed_metadata(imported, job.target)
        place_groups(imported.module.operation)
        widen_at_load(imported.module)
        save_bytecode(imported.module, lowered.bytecode)
    return lowered


def _without_passes(
    module: ir.Module,
    context: PassContext,
    recorder: StageRecorder,
    net: Net,
    error: PassError,
) -> None:
    """Lowers ``module`` in place with ``PLAIN`` alone, because of ``error``."""
    with recorder.stage(IR_STAGES[-1], "smartmem"):
        _run_plain(module, context, net)
    recorder.keep(module)
    fallback = Fallback("plain_lowering", (), None, describe(error))
    logger.warning("%s, because %s", fallback, fallback.reason)
    net.fallbacks.append(fallback)


def _run_plain(module: ir.Module, context: PassContext, net: Net) -> None:
    """Runs ``PLAIN`` on ``module``, in place; nothing of it can be given up."""
    for pass_ in PLAIN:
        work = partial(run_pipeline, module, [pass_], context)
        run_in_time(work, f"pass {pass_.argument}", net.options, net.deadline)


def embed_metadata(imported: ImportedModel, target: Target) -> None:
    """Makes the compiled module say what it was compiled for and what it takes."""
    text = encode_metadata(target, imported.inputs, imported.outputs)
    main = entry_function(imported.module)
    with imported.module.context:
        main.attributes["iree.reflection"] = ir.DictAttr.get(
            {REFLECTION_KEY: ir.StringAttr.get(text)}
        )
