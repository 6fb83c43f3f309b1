"""Compares what a module computes before and after each pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch_mlir import ir

from smartmem.checking.compare import TOLERANCES, OutputError, compare
from smartmem.errors import InterpreterError, InvalidInputError, ValidationError
from smartmem.interpreter import interpret
from smartmem.mlir.pipeline_text import PipelineElement, format_element
from smartmem.parameters import Array, Parameters
from smartmem.runtime.inputs import fit_arrays, random_inputs

if TYPE_CHECKING:
    from smartmem.passes import PassContext

FOLDER = Path("smartmem-validation")
"""Where reproducers go if nothing else is said."""


PASS_TOLERANCES = {**TOLERANCES, "float64": 1e-5, "float32": 1e-5}
"""Largest accepted change by one pass, for each dtype of a result. A pass has the whole
network behind it, in which its fault can fade, and rounds little: the passes that changed
random graphs were off by 5e-7 at most."""

_ROUNDED = dict.fromkeys(TOLERANCES, TOLERANCES["bfloat16"])
"""Of a pass that makes tensors narrow (``Pass.rounds``)."""

_ROUNDINGS = 4
"""A pass may change a result by so many times what the last bits of the inputs do. Of a deep
network with random weights, that can be more than ``PASS_TOLERANCES``: 1e-5 of ResNeXt50."""


def limits_of(element: PipelineElement) -> Mapping[str, float]:
    """The largest accepted change by one element of a pipeline, for each dtype of a result."""
    return _ROUNDED if getattr(element, "rounds", False) else PASS_TOLERANCES


@dataclass(frozen=True)
class Mismatch:
    """What a pass changes.

    Attributes:
        worst: the output that is furthest off; None if the module does not run any more.
        reason: in words.
    """

    worst: OutputError | None
    reason: str


@dataclass
class Validator:
    """Runs modules before and after passes.

    Attributes:
        folder: where to write a reproducer; None: nowhere.
        inputs: what to run on: arrays in order, or by name; None: random ones from
            ``seed``.
        seed: of the random arrays.
        tolerance: largest accepted error of a float; None: by the output's dtype, as
            ``PASS_TOLERANCES`` says.
        target: the target's name, for the reproducer.
        validated: passes that changed a module and were compared.
        unchanged: passes that left a module as it was.
        largest_error: of a result, of all passes that kept the numbers.
    """

    folder: Path | None = FOLDER
    inputs: Any = None
    seed: int = 0
    tolerance: float | None = None
    target: str | None = None
    validated: int = 0
    unchanged: int = 0
    largest_error: float = 0.0
    _known: tuple[str, list[Array]] = field(default=("", []), repr=False)
    _arrays_used: list[Array] | None = field(default=None, repr=False)

    def around(
        self,
        module: ir.Module | ir.Operation,
        element: PipelineElement,
        context: PassContext,
        run: Callable[[], None],
    ) -> None:
        """Runs one element of a pipeline with ``run``, which changes ``module`` in place.

        Raises:
            ValidationError: the module computes something else then; names the pass.
            UnsupportedError: the module holds something that the interpreter does not know.
            InterpreterError: the module before has no defined result on these inputs.
        """
        before = module.operation.clone()
        expected = self._results(module, context.parameters)
        run()
        if text_of(module) == self._known[0]:
            self.unchanged += 1
            return
        self.validated += 1
        found = self._mismatch(module, expected, context.parameters, limits_of(element))
        if found is None or self._is_rounding(found, before, expected, context.parameters):
            return
        self._fail(found, before, element, context)

    def _results(self, module: ir.Module | ir.Operation, parameters: Parameters) -> list[Array]:
        text = text_of(module)
        if text != self._known[0]:
            self._known = text, interpret(module, self.arrays(module), parameters)
        return self._known[1]

    def arrays(self, module: ir.Module | ir.Operation) -> list[Array]:
        """What the module runs on."""
        if self._arrays_used is None:
            self._arrays_used = inputs_of(module, self.inputs, self.seed)
        return self._arrays_used

    def _mismatch(
        self,
        module: ir.Module | ir.Operation,
        expected: list[Array],
        parameters: Parameters,
        limits: Mapping[str, float],
    ) -> Mismatch | None:
        try:
            actual = self._results(module, parameters)
        except InterpreterError as error:
            return Mismatch(None, str(error))
        found = mismatch(expected, actual, self.tolerance, limits)
        if found is None:
            names = [""] * len(expected)
            errors = (e.error for e in compare(names, expected, actual))
            self.largest_error = max(self.largest_error, *errors, 0.0)
        return found

    def _is_rounding(
        self,
        found: Mismatch,
        before: ir.Operation,
        expected: list[Array],
        parameters: Parameters,
    ) -> bool:
        """Whether a pass changes results by what the last bits of the inputs change.

        By ``_ROUNDINGS`` times that at most, and by no more than a check accepts.
        """
        if self.tolerance is not None or found.worst is None:
            return False
        try:
            moved = interpret(before, _next_to(self.arrays(before), self.seed), parameters)
        except InterpreterError:
            return False
        names = [""] * len(expected)
        pairs = zip(
            compare(names, expected, self._known[1]),
            compare(names, expected, moved),
            strict=True,
        )
        return all(
            own.error <= PASS_TOLERANCES.get(own.dtype, 0.0)
            or (own.ok and own.error <= _ROUNDINGS * last_bits.error)
            for own, last_bits in pairs
        )

    def _fail(
        self,
        found: Mismatch,
        before: ir.Operation,
        element: PipelineElement,
        context: PassContext,
    ) -> None:
        from smartmem.validation.reproducer import write_reproducer

        name = format_element(element)
        message = f"pass {name} changes what the model computes: {found.reason}"
        if self.folder is not None:
            path = write_reproducer(self, before, element, context)
            message += f"; {path} shows it"
        raise ValidationError(message, name)


def validate(
    module: ir.Module | ir.Operation,
    elements: PipelineElement | Sequence[PipelineElement],
    context: PassContext,
    validator: Validator | None = None,
) -> Validator:
    """Runs passes on a module, in place, and compares what it computes around each.

    Args:
        validator: how; None: on random inputs, and nothing is written.

    Returns:
        The validator, which counts what it has seen.

    Raises:
        ValidationError: a pass changes what the module computes.
        SmartMemError: as ``run_pipeline`` and ``interpret``.
    """
    from smartmem.mlir.pipelines import run_pipeline
    from smartmem.passes import Pass

    validator = Validator(folder=None) if validator is None else validator
    listed = [elements] if isinstance(elements, str | Pass) else elements
    for element in listed:
        run = functools.partial(run_pipeline, module, [element], context)
        validator.around(module, element, context, run)
    return validator


def mismatch(
    expected: Sequence[Array],
    actual: Sequence[Array],
    tolerance: float | None = None,
    limits: Mapping[str, float] = TOLERANCES,
) -> Mismatch | None:
    """How results differ by more than their tolerance, if they do.

    Args:
        tolerance: of floats; None: by their dtype.
        limits: the tolerance of each dtype of floats.
    """
    if len(expected) != len(actual):
        return Mismatch(None, f"{len(actual)} results in place of {len(expected)}")
    names = [f"result {n}" for n in range(len(expected))]
    errors = compare(names, expected, actual, tolerance)
    if tolerance is None:
        errors = tuple(replace(e, tolerance=limits.get(e.dtype, 0.0)) for e in errors)
    wrong = [e for e in errors if not e.ok]
    if not wrong:
        return None
    worst = max(wrong, key=lambda error: error.error)
    detail = f" ({worst.detail})" if worst.detail else ""
    return Mismatch(worst, f"{worst.name} is off by {worst.error:.2e}{detail}")


def inputs_of(module: ir.Module | ir.Operation, given: Any, seed: int) -> list[Array]:
    """The arrays for the entry function of a module: those given, or random ones.

    Raises:
        UnsupportedError: it takes something else than tensors of static shape.
        InvalidInputError: the arrays given do not fit.
    """
    from smartmem.frontend.finish import function_specs

    specs, _ = function_specs(module if isinstance(module, ir.Module) else module.opview)
    for spec in specs:
        if any(n < 0 for n in spec.shape):
            raise InvalidInputError(f"{spec.name} has a dynamic shape; only static ones run")
    return random_inputs(specs, seed) if given is None else fit_arrays(specs, given)


def _next_to(arrays: Sequence[Array], seed: int) -> list[Array]:
    """Each float one unit in the last place up or down."""
    rng = np.random.default_rng(seed)
    return [
        np.nextafter(a, rng.choice(np.array([-np.inf, np.inf], a.dtype), a.shape))
        if a.dtype.kind == "f"
        else a
        for a in arrays
    ]


def text_of(module: ir.Module | ir.Operation) -> str:
    """The module as text, the data of resources left out: their keys tell them apart."""
    text: Any = module.operation.get_asm(large_resource_limit=0, assume_verified=True)
    return str(text)
