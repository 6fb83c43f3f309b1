"""The two builds of MLIR that SmartMem works with.

Models are compiled in torch-mlir's, with its complete bindings. The kernels that
iree-compile has made of them consist of IREE's operations, and so live in IREE's build.
Both have the same Python interface, but nothing of one fits into the other.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class MlirBuild:
    """The bindings of one build.

    Attributes:
        ir: its module ``ir``.
        passmanager: its module ``passmanager``.
    """

    ir: Any
    passmanager: Any


@functools.cache
def model_build() -> MlirBuild:
    """torch-mlir's build, for models."""
    return _build("torch_mlir")


@functools.cache
def kernel_build() -> MlirBuild:
    """IREE's build, for kernels that iree-compile has made."""
    # Its bindings have no module for SPIR-V, and search for one again at each operation they meet.
    name = "iree.compiler.dialects.spirv"
    if importlib.util.find_spec(name) is None:
        sys.modules[name] = ModuleType(name)
    return _build("iree.compiler")


def build_of(value: Any) -> MlirBuild:
    """The build that an operation, a context or another value of MLIR belongs to."""
    return kernel_build() if type(value).__module__.startswith("iree.") else model_build()


def _build(package: str) -> MlirBuild:
    return MlirBuild(
        importlib.import_module(f"{package}.ir"),
        importlib.import_module(f"{package}.passmanager"),
    )
