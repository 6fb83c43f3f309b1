"""Run an ONNX model as it is, for comparison with what it was compiled to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from smartmem.parameters import Array

logger = logging.getLogger(__name__)

_Runner = Callable[[dict[str, Any]], Any]

_ERRORS_ONLY = 3
"""ONNX Runtime's log level."""


_FAULTY = "onnx's evaluator, which is wrong for some operators"


class OnnxReference:
    """Runs a model on ONNX Runtime, or on onnx's evaluator without it.

    Attributes:
        name: what runs it, and why no other does; known with the first call.
    """

    def __init__(self, model: Path | bytes | onnx.ModelProto, inputs: Sequence[str]) -> None:
        """Keeps ``model``, as the user gave it, which the first call reads again.

        Args:
            model: a file, its bytes, or a loaded model.
            inputs: the names that the arrays of a call belong to.
        """
        self.name = "ONNX"
        self._model, self._inputs = model, inputs
        self._runner: _Runner | None = None

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """The results of the model for ``arrays``."""
        if self._runner is None:
            self.name, self._runner = _runner(self._model)
        outputs = self._runner(dict(zip(self._inputs, arrays, strict=True)))
        return [np.asarray(output) for output in outputs]


def _runner(model: Path | bytes | onnx.ModelProto) -> tuple[str, _Runner]:
    if find_spec("onnxruntime") is None:
        return f"{_FAULTY} (ONNX Runtime is not installed)", _evaluator(model)
    found = _runtime(model)
    if found is None:
        return f"{_FAULTY} (ONNX Runtime cannot load the model)", _evaluator(model)
    return "ONNX Runtime", found


def _runtime(model: Path | bytes | onnx.ModelProto) -> _Runner | None:
    import onnxruntime

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


def _evaluator(model: Path | bytes | onnx.ModelProto) -> _Runner:
    evaluator = ReferenceEvaluator(str(model) if isinstance(model, Path) else model)
    return lambda feeds: evaluator.run(None, feeds)
