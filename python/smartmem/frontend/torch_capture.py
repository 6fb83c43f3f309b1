"""From a PyTorch model and example inputs to a ``torch.export.ExportedProgram``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from smartmem.errors import InvalidInputError, SmartMemError
from smartmem.frontend.torch_archive import safe_archive
from smartmem.frontend.torch_tensors import to_tensor
from smartmem.parameters import Array

_TELLTALES = ("torch._subclasses.fake_tensor", "torch.export")
"""PyTorch's loggers that show the traceback of an exception that is raised as well."""

Inputs = torch.Tensor | Array | Sequence[Any] | Mapping[str, Any]


def export(model: torch.nn.Module, inputs: Inputs | None) -> ExportedProgram:
    """Captures ``model`` in evaluation mode.

    Args:
        inputs: as for ``import_torch``.

    Raises:
        InvalidInputError: there are no inputs, or the model does not run on them, or
            one of its or their tensors is sparse or has no data.
    """
    if inputs is None:
        raise InvalidInputError(
            "a PyTorch module needs example inputs: pass inputs=(tensor, ...) or "
            "inputs={'name': tensor}"
        )
    args, kwargs = _split_inputs(inputs)
    _check_data(model, (args, kwargs))
    with inference_mode_of(model), quiet_torch():
        try:
            return torch.export.export(model, args, kwargs, strict=False)
        except Exception as error:  # the model's own code runs here and raises anything
            raise InvalidInputError(
                f"torch.export cannot capture {type(model).__name__} with these inputs: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error


def _check_data(model: torch.nn.Module, inputs: Any) -> None:
    example = [t for t in pytree.tree_leaves(inputs) if isinstance(t, torch.Tensor)]
    for number, tensor in enumerate(example):
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            raise InvalidInputError(
                f"example input {number} is a tensor without plain elements "
                f"({tensor.layout}, device {tensor.device}, {tensor.dtype}); give a dense one "
                "that has data"
            )
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_meta:
            raise InvalidInputError(
                f"the model's {name} is on the device meta and has no data; load the weights first"
            )


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Without PyTorch's warnings about its own use of its own tree classes, and without
    its logging the traceback of an exception that it raises as well."""
    loggers = [logging.getLogger(name) for name in _TELLTALES]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _split_inputs(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    def convert(value: Any) -> Any:
        return pytree.tree_map_only(np.ndarray, to_tensor, value)

    if isinstance(inputs, Mapping):
        return (), {name: convert(value) for name, value in inputs.items()}
    if isinstance(inputs, (torch.Tensor, np.ndarray)):
        inputs = (inputs,)
    return tuple(convert(value) for value in inputs), {}


@contextmanager
def inference_mode_of(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients; every submodule gets its own mode back."""
    before = {module: module.training for module in model.modules()}
    for module in before:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in before.items():
            module.training = training


def load_program(path: Path) -> ExportedProgram:
    """Reads a file written by ``torch.export.save``.

    Raises:
        InvalidInputError: ``path`` is no such file, or holds something that would run
            when it is loaded.
    """
    try:
        with safe_archive(path) as archive, quiet_torch():
            return torch.export.load(archive)
    except SmartMemError:
        raise
    except Exception as error:  # torch.export.load documents no exception types
        raise InvalidInputError(
            f"{path} is not a program saved by torch.export.save: {first_line(error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of the message, or the kind of error where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
