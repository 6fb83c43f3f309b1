"""Writes what shows that a pass changes numbers: a function, its inputs and the pass."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch_mlir import ir

from smartmem.errors import InterpreterError, SmartMemError, UnsupportedError
from smartmem.files import make_folder, write_file
from smartmem.interpreter import interpret
from smartmem.mlir.pipeline_text import PipelineElement, format_element
from smartmem.mlir.pipelines import run_pipeline
from smartmem.passes.base import PassContext, Steps
from smartmem.runtime.array_files import write_arrays
from smartmem.validation.reduction import Part, reduced
from smartmem.validation.validator import Mismatch, limits_of, mismatch

if TYPE_CHECKING:
    from smartmem.validation.validator import Validator

MODULE, INPUTS, README = "reproducer.mlir", "inputs.npz", "README.txt"


def write_reproducer(
    validator: Validator, before: ir.Operation, element: PipelineElement, context: PassContext
) -> Path:
    """Cuts down the module before a pass to what the pass still breaks, and writes it.

    Returns:
        The folder, which has the name of the pass.

    Raises:
        InvalidInputError: it cannot be written.
    """
    from smartmem.tools.opt_reproducer import reproducer

    assert validator.folder is not None
    difference = functools.partial(
        difference_of, element=element, context=context, tolerance=validator.tolerance
    )
    part = reduced(
        before,
        validator.arrays(before),
        context.parameters,
        lambda p: difference(p) is not None,
    )
    name = re.sub(r"[^A-Za-z0-9-]+", "-", format_element(element)).strip("-")
    folder = make_folder(_free(validator.folder, name))
    text = reproducer(part.module, [element], True).encode()
    write_file(folder / MODULE, lambda out: out.write(text))
    arrays = {f"arg{n}": array for n, array in enumerate(part.inputs)}
    write_arrays(folder / INPUTS, arrays)
    about = _readme(folder, element, difference(part), validator.target).encode()
    write_file(folder / README, lambda out: out.write(about))
    return folder


def difference_of(
    part: Part, element: PipelineElement, context: PassContext, tolerance: float | None
) -> Mismatch | None:
    """What a pass changes of what a part computes; the part stays as it is."""
    own = replace(
        context, remarks=[], bindings=[], steps=Steps(context.steps.skipped), validator=None
    )
    copy = part.module.clone()
    try:
        expected = interpret(part.module, part.inputs, context.parameters)
        run_pipeline(copy, [element], own)
    except SmartMemError:
        return None  # another fault, if it is one
    try:
        actual = interpret(copy, part.inputs, context.parameters)
        return mismatch(expected, actual, tolerance, limits_of(element))
    except UnsupportedError:
        return None
    except InterpreterError as error:
        return Mismatch(None, str(error))


def _free(folder: Path, name: str) -> Path:
    """A folder that does not exist: a reproducer is not overwritten by the next."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}"
    return path


def _readme(
    folder: Path, element: PipelineElement, found: Mismatch | None, target: str | None
) -> str:
    asked = "" if target is None else f" --smartmem-target={target}"
    reason = "only in the whole model" if found is None else found.reason
    return f"""{format_element(element)} changes what the function computes: {reason}.

{MODULE} is the function before the pass, {INPUTS} what it ran on. To see it again:

  smartmem-opt --run-reproducer --smartmem-validate{asked} \\
    --smartmem-inputs={folder / INPUTS} {folder / MODULE}
"""
