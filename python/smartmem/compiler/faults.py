"""Runs the passes of a compilation so that a fault of one is neither fatal nor silent.

A fault is what a pass raises that is no message to the user about the model, an upstream
pass that fails, and IR that does not verify behind a pass. What the pass has done is taken
back, and it runs anew without the step at which it failed (``PassContext.each``); where the
fault is in no step, the pass is left out. Under ``CompileOptions.strict`` it is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from torch_mlir import ir

from smartmem.compiler.activity import activity, time_is_over
from smartmem.compiler.fallback import Fallback
from smartmem.compiler.recorder import save_bytecode
from smartmem.deep_stack import run_deep
from smartmem.errors import PassError, SmartMemError, StrictError, TimeLimitError
from smartmem.files import make_folder
from smartmem.mlir.diagnostics import source_point
from smartmem.mlir.pipelines import PipelineElement, format_element, run_pipeline
from smartmem.options import CompileOptions
from smartmem.passes.base import Pass, PassContext, Steps

logger = logging.getLogger(__name__)

MAX_STEPS = 8
"""Steps of one pass that are left out, before the pass is."""


@dataclass
class Net:
    """What the passes of one compilation run in.

    Attributes:
        options: say whether a fault is an error, and where to save what it needs to happen.
        deadline: when the time limit is over, as ``time.monotonic`` tells it; None: never.
        fallbacks: what was given up, in order.
    """

    options: CompileOptions
    deadline: float | None = None
    fallbacks: list[Fallback] = field(default_factory=list)

    def run(
        self, module: ir.Module, elements: Sequence[PipelineElement], context: PassContext
    ) -> None:
        """Runs ``elements`` in order on ``module``, in place.

        Raises:
            StrictError: one failed, and faults are errors.
            TimeLimitError: one did not end in time.
            PassError: one failed without whose work there is nothing to compile.
            SmartMemError: what a pass says about the model.
        """
        for element in elements:
            # Others need no copy of the module, no thread and no verification.
            if isinstance(element, str) or element.is_for(context.processor):
                self._run_in_time(module, element, context)

    def _run_in_time(
        self, module: ir.Module, element: PipelineElement, context: PassContext
    ) -> None:
        run_in_time(
            lambda: self._run(module, element, context),
            f"pass {format_element(element)}",
            self.options,
            self.deadline,
        )

    @contextmanager
    def holding(self, what: str) -> Iterator[None]:
        """Gives up the body, which changes no module, where it fails.

        Raises:
            StrictError: it failed, and faults are errors.
        """
        try:
            yield
        except Exception as error:
            logger.debug("%s failed", what, exc_info=error)
            fallback = Fallback("skip_pass", (), None, describe(error), what)
            self._tell(fallback, "please report it, with the model", error)

    def _run(self, module: ir.Module, element: PipelineElement, context: PassContext) -> None:
        before = _Snapshot(module, context)
        skipped: set[int] = set()
        while True:
            context.steps = Steps(frozenset(skipped))
            try:
                run_pipeline(module, [element], context)
                return
            except Exception as error:
                if isinstance(error, SmartMemError) and not isinstance(error, PassError):
                    raise
                before.restore(module, context)
                self._give_up(module, element, context.steps, error)
            step = context.steps
            if step.at is None or step.number in skipped or len(skipped) == MAX_STEPS:
                return
            skipped.add(step.number)

    def _give_up(
        self, module: ir.Module, element: PipelineElement, steps: Steps, error: Exception
    ) -> None:
        """Tells of a fault; ``module`` is what it was before the pass.

        Raises:
            StrictError: faults are errors.
            PassError: the pass cannot be left out.
        """
        logger.debug("a pass failed", exc_info=error)
        name = format_element(element)
        fallback = Fallback(
            "skip_pass" if steps.at is None else "skip_operation",
            (),
            None,
            describe(error),
            name if steps.at is None else f"{name} at {_place(*steps.at)}",
        )
        if fallback in self.fallbacks:  # another sweep came to the same operation
            return
        self._tell(fallback, self._advice(module, name), error)
        if isinstance(element, Pass) and element.is_needed:
            raise PassError(element.argument, describe(error)) from error

    def _tell(self, fallback: Fallback, advice: str, error: Exception) -> None:
        message = f"{fallback}, because {fallback.reason}; {advice}"
        if self.options.strict:
            raise StrictError(message) from error
        self.fallbacks.append(fallback)
        logger.warning("%s", message)

    def _advice(self, module: ir.Module, name: str) -> str:
        if self.options.save_temps is None:
            return "please report it, with the file that --save-temps DIR saves for it"
        folder = make_folder(Path(self.options.save_temps))
        number = len(list(folder.glob("fault-*.mlirbc")))
        path = folder / f"fault-{number}.mlirbc"
        save_bytecode(module, path)
        return f"please report it with {path}, the module before {name}"


def run_in_time(
    work: Callable[[], None], name: str, options: CompileOptions, deadline: float | None
) -> None:
    """Calls ``work``, of this name for people, which may recurse deeply.

    Args:
        options: say how much time and memory it may take.
        deadline: when the time is over, as ``time.monotonic`` tells it; None: never.

    Raises:
        TimeLimitError: it did not end in time.
    """
    try:
        with activity(name, options, deadline):
            run_deep(work, deadline)
    except TimeoutError as error:
        raise TimeLimitError(time_is_over(name, options.timeout_s)) from error


class _Snapshot:
    """A module before a pass. Large constants lie in the context and are not copied."""

    def __init__(self, module: ir.Module, context: PassContext) -> None:
        self._copy = module.operation.clone()
        self._remarks, self._bindings = len(context.remarks), len(context.bindings)

    def restore(self, module: ir.Module, context: PassContext) -> None:
        """Makes ``module`` and what was said about it what they were."""
        del context.remarks[self._remarks :]
        del context.bindings[self._bindings :]
        block = module.operation.regions[0].blocks[0]
        for op in reversed(list(block.operations)):
            op.operation.erase()
        copy = self._copy.clone()  # held here: what lies in it does not always hold it
        for op in list(copy.regions[0].blocks[0].operations):
            block.append(op)


def describe(error: Exception) -> str:
    """The first line of an error, with its kind if it is no message for users."""
    first = next(iter(str(error).splitlines()), "")
    if isinstance(error, SmartMemError):
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _place(op: str, location: ir.Location) -> str:
    """An operation by its kind, and the layer's name or the place in a file."""
    point = source_point(location)
    named = str(location).removeprefix("loc(").removesuffix(")")
    return f"{op} ({named if point is None else point})"
