"""Run an ONNX model as it is, for comparison with what it was compiled to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from smartmem.frontend.imported_model import Reference
from smartmem.parameters import Array

logger = logging.getLogger(__name__)

_Runner = Callable[[dict[str, Any]], Any]

_ERRORS_ONLY = 3
"""ONNX Runtime's log level."""


def onnx_reference(model: Path | bytes | onnx.ModelProto, inputs: Sequence[str]) -> Reference:
    """A function that runs ``model`` on ONNX Runtime, or on onnx's evaluator without it.

    Args:
        model: as the user gave it; read again by the first call.
        inputs: the names that the arrays of a call belong to.
    """

    @lru_cache(maxsize=1)
    def runner() -> _Runner:
        return _runtime(model) or _evaluator(model)

    def run(arrays: Sequence[Array]) -> list[Array]:
        outputs = runner()(dict(zip(inputs, arrays, strict=True)))
        return [np.asarray(output) for output in outputs]

    return run


def _runtime(
    model: Path | bytes | onnx.ModelProto,
) -> _Runner | None:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # By path, the runtime finds external data and takes models past protobuf's 2 GB.
    content = str(model) if isinstance(model, Path) else model
    try:
        session = onnxruntime.InferenceSession(
            content.SerializeToString() if isinstance(content, onnx.ModelProto) else content,
            options,
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # noqa: BLE001 (its errors have no common base)
        # It lags behind onnx in versions, and leaves operators out that onnx evaluates.
        logger.info("ONNX Runtime cannot load the model (%s): onnx evaluates it", error)
        return None
    return lambda feeds: session.run(None, feeds)


def _evaluator(
    model: Path | bytes | onnx.ModelProto,
) -> _Runner:
    evaluator = ReferenceEvaluator(str(model) if isinstance(model, Path) else model)
    return lambda feeds: evaluator.run(None, feeds)
