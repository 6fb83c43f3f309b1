"""Pass pipelines that mix SmartMem's passes with those of MLIR.

A pipeline is a list of elements: a ``Pass`` instance for one of SmartMem's, the text of
an upstream element such as ``canonicalize{max-iterations=2}`` or ``func.func(cse)``
otherwise. ``parse_pipeline`` makes such a list from text; the compiler writes its lists
directly::

    run_pipeline(module, [RaiseViews(), "canonicalize", "cse", LowerViews()], context)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from torch_mlir import ir
from torch_mlir.passmanager import ExternalPass, PassManager

from smartmem.errors import PassError, SmartMemError
from smartmem.mlir.builds import build_of, model_build
from smartmem.mlir.diagnostics import Diagnostic, collect_diagnostics
from smartmem.mlir.ir_printing import PrintOptions
from smartmem.mlir.memo import remembering
from smartmem.mlir.pipeline_text import (
    MODULE,
    PipelineElement,
    add_upstream,
    format_element,
    format_pipeline,
    parse_flag,
    parse_pipeline,
)
from smartmem.passes import Pass, PassContext

__all__ = [
    "MODULE",
    "PipelineElement",
    "PrintOptions",
    "expand_pipeline",
    "format_element",
    "format_pipeline",
    "parse_flag",
    "parse_pipeline",
    "run_pipeline",
    "works_on",
]


def run_pipeline(
    module: ir.Module | ir.Operation,
    elements: Sequence[PipelineElement],
    context: PassContext,
    *,
    verify_each: bool = True,
    timing: bool = False,
    statistics: bool = False,
    print_options: PrintOptions | None = None,
    on_step: Callable[[str], None] | None = None,
    on_diagnostic: Callable[[Diagnostic], None] | None = None,
) -> None:
    """Runs ``elements`` in order on ``module``, changing it in place.

    Args:
        module: the module, or another operation when no element is a ``Pass``; in the
            build of MLIR that ``works_on`` tells.
        context: parameters and remarks, shared by all passes of SmartMem.
        verify_each: verify the IR after each pass.
        timing: print the time of each pass to stderr at the end.
        statistics: print what passes counted to stderr at the end.
        on_step: called with the name of the pass that runs next, or with the names of the
            upstream passes of which one does.
        on_diagnostic: called with each diagnostic at once, warnings and remarks too.

    Raises:
        PassError: an unknown upstream pass, or one that failed; holds the diagnostics.
        ValidationError: ``context`` has a validator, and a pass changed what ``module``
            computes. With a validator each element is run alone.
        SmartMemError: whatever a pass of SmartMem raised.
    """
    if context.validator is not None:
        own = replace(context, validator=None)
        for element in elements:
            run_one = partial(
                run_pipeline,
                module,
                [element],
                own,
                verify_each=verify_each,
                timing=timing,
                statistics=statistics,
                print_options=print_options,
                on_diagnostic=on_diagnostic,
                on_step=on_step,
            )
            if isinstance(element, Pass) and not element.keeps_numbers:
                run_one()
            else:
                context.validator.around(module, element, own, run_one)
        return
    if not elements:
        return
    operation, printing = module.operation, print_options or PrintOptions()
    elements = printing.apart(elements)
    run = _Run(elements, context, verify_each, on_diagnostic, printing, on_step)
    with operation.context:
        manager = run.manager(operation.name, build_of(operation).passmanager.PassManager)
        manager.enable_verifier(verify_each)
        if timing:
            manager.enable_timing()
        if statistics:
            manager.enable_statistics()
        printing.enable(manager)
        run.tell_next(0)
        with remembering(), collect_diagnostics(operation.context, run.record):
            succeeded = _succeeds(manager, operation)
    if run.failure is not None:
        raise run.take_failure()
    if not succeeded:
        raise run.upstream_failure()


def expand_pipeline(elements: Sequence[PipelineElement], anchor: str = MODULE) -> str:
    """The text of a pipeline with every option of every pass.

    Raises:
        PassError: an unknown upstream pass or option.
    """
    with ir.Context():
        run = _Run(elements, PassContext(), True, None)
        return str(run.manager(anchor, model_build().passmanager.PassManager))


def works_on(elements: Sequence[PipelineElement]) -> Literal["model", "kernels"]:
    """What the passes of SmartMem in ``elements`` take (see ``Pass.works_on``).

    Raises:
        PassError: some take models and others kernels.
    """
    own = [element for element in elements if isinstance(element, Pass)]
    kernels = [element for element in own if element.works_on == "kernels"]
    if kernels and len(kernels) < len(own):
        raise PassError(
            kernels[0].argument,
            "works on the kernels that iree-compile makes of a model, and not in one "
            "pipeline with passes on models",
        )
    return "kernels" if kernels else "model"


def _succeeds(manager: PassManager, operation: ir.Operation) -> bool:
    try:
        manager.run(operation)
    except build_of(operation).ir.MLIRError:
        return False
    return True


class _Run:
    """One run of a pipeline: what has been reported, and how far it came."""

    def __init__(
        self,
        elements: Sequence[PipelineElement],
        context: PassContext,
        verify_each: bool,
        on_diagnostic: Callable[[Diagnostic], None] | None,
        printing: PrintOptions | None = None,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self._printing = printing or PrintOptions()
        self._on_step = on_step
        self.failure: BaseException | None = None
        self._elements = elements
        self._context = context
        self._verify_each = verify_each
        self._on_diagnostic = on_diagnostic
        self._errors: list[Diagnostic] = []
        self._done = -1  # index of the last pass of SmartMem that returned

    def record(self, diagnostic: Diagnostic) -> None:
        if diagnostic.severity == "error":
            self._errors.append(diagnostic)
        if self._on_diagnostic is not None:
            self._on_diagnostic(diagnostic)

    def manager(self, anchor: str, make: Callable[[str], PassManager]) -> PassManager:
        """A pass manager for an operation named ``anchor``, in the current context.

        Args:
            make: the class of pass managers of the operation's build of MLIR.

        Raises:
            PassError: an unknown upstream pass or option.
        """
        manager = make(anchor)
        for index, element in enumerate(self._elements):
            self._printing.before_pass(manager, element)
            if isinstance(element, str):
                add_upstream(manager, element)
            else:
                manager.add(
                    self._callback(index, element),
                    name=type(element).__name__,
                    argument=format_element(element),
                    description=element.summary,
                )
            self._printing.after_pass(manager, element)
        return manager

    def tell_next(self, index: int) -> None:
        """Says what runs from the element of this index on."""
        if self._on_step is None or index >= len(self._elements):
            return
        element = self._elements[index]
        is_own = isinstance(element, Pass)
        self._on_step(format_element(element) if is_own else self._suspects_from(index))

    def _callback(
        self, index: int, pass_: Pass
    ) -> Callable[[ir.Operation, ExternalPass], None]:
        def run(operation: ir.Operation, external: ExternalPass) -> None:
            errors = len(self._errors)
            self.tell_next(index)
            # An exception must not travel through MLIR's C++ frames, so it waits here
            # until the pass manager has returned.
            try:
                if pass_.is_for(self._context.processor):
                    pass_.run(operation, self._context)
            except SmartMemError as error:
                self.failure = error
                if len(self._errors) == errors:
                    operation.location.emit_error(str(error))
            except BaseException as error:  # noqa: BLE001 (raised again by run_pipeline)
                self.failure = error
            if self.failure is not None:
                external.signal_pass_failure()
            self._done = index
            self.tell_next(index + 1)

        return run

    def take_failure(self) -> BaseException:
        """What a pass has raised, which is not kept.

        Its traceback holds the pass manager, which holds this object where Python's garbage
        collector does not see it: kept here, it would never be freed, nor would anything
        that the callers have in their variables.
        """
        failure, self.failure = self.failure, None
        assert failure is not None
        return failure

    def upstream_failure(self) -> PassError:
        """The error of a run that failed outside of the passes of SmartMem."""
        diagnostics = tuple(map(str, self._errors))
        reason = diagnostics[0] if diagnostics else "failed and gave no reason"
        if len(diagnostics) > 1:
            reason += f" (and {len(diagnostics) - 1} more)"
        return PassError(self._suspects(), reason, diagnostics)

    def _suspects(self) -> str:
        # MLIR does not tell which pass failed. It is one that follows the last pass of
        # SmartMem that returned, or that pass itself if it left IR that does not verify.
        return self._suspects_from(max(self._done if self._verify_each else self._done + 1, 0))

    def _suspects_from(self, first: int) -> str:
        """The element of this index, and the upstream ones that follow it."""
        suspects = [format_element(self._elements[first])]
        for element in self._elements[first + 1 :]:
            if not isinstance(element, str):
                break
            suspects.append(element)
        return " or ".join(suspects)
