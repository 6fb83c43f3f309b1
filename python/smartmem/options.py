"""The options of one compilation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.errors import InvalidInputError
from smartmem.weight_format import weight_format

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, index, count)`` when a stage begins, and once more with
``index == count`` and the stage "done" when all are over."""

OPT_LEVELS = ("O0", "O1", "O2", "O3")
LAYOUTS = ("rule", "model", "search")
PRECISIONS = ("model", "f32", "f16", "bf16", "auto")

STRICT_VARIABLE = "SMARTMEM_STRICT"
"""Set to 1 where every compilation is to be strict unless it says otherwise: in tests, in
continuous integration and in benchmarks."""

STORAGES = ("auto", "buffer", "texel_buffer", "image2d")


@dataclass(frozen=True)
class CompileOptions:
    """What a user may set; every field has a default that suits most models."""

    # Import
    input_format: str | None = None
    """Format of a model file; None takes it from the suffix and the content."""

    input_shapes: Mapping[str, tuple[int, ...]] | None = None
    """Shape of each input whose dimensions the model leaves open."""

    # Code generation
    opt_level: str | None = None
    """Optimization level of iree-compile, O0 to O3. None takes O3, and O1 if iree-compile
    fails at O3: for some GPU targets it cannot do all that it tries there."""

    iree_flags: tuple[str, ...] = ()
    """Further flags for iree-compile, after those of the target."""

    storage: str = "auto"
    """How kernels read what they only read: buffer, texel_buffer or image2d. auto takes what
    was measured for a kernel, where ``tuning`` says it, and else what is best for the target
    by the table in ``backend/targets/storage.py``. Other than buffers, it takes SmartMem's Vulkan
    library to run the module."""

    storage_writes: str = "buffer"
    """How kernels write what they only write: buffer, texel_buffer or image2d."""

    precision: str = "model"
    """In what tensors are stored: ``f32``, ``f16``, ``bf16``, ``model``: what the model computes
    in, or ``auto``: f16 (or the model's own type) where ``max_error`` allows it. Inputs and
    outputs keep their types."""

    max_error: float = 5e-3
    """The most that ``auto`` may put an output off, as a part of its largest number. It is
    measured on the example inputs, or on random ones, in the reference interpreter."""

    layout: str = "rule"
    """How the order of dims of each tensor between kernels is chosen: ``rule`` (what the
    consumers prefer), ``model`` (each by an analytic cost model) or ``search`` (all together
    by that model)."""

    weights: str | None = None
    """How the weights of linear layers are stored: ``int8`` or ``int4``, rounded to nearest,
    with ``:group=32`` for the weights of a channel that share a scale (int4: 32, int8: all)
    and ``,error=0.1`` for the largest relative error of a layer's weights (0.15 and 0.02);
    layers past it keep theirs. CPUs only. None: as the model has them."""

    tuning: Path | None = None
    """File that ``smartmem tune`` wrote: measured tile sizes, which win over the shipped ones
    and those that are computed; storage; and the rates of the cost model."""

    shipped_tuning: bool = True
    """Whether the measured tile sizes that come with SmartMem are used."""

    # Limits
    timeout_s: float = 600.0
    """Seconds that a compilation may take: import, passes and iree-compile. In Python the
    import and calls of MLIR are not interrupted; what is over is said behind them. The
    command ``smartmem`` works in a child process, which is killed."""

    memory_limit: int | None = None
    """Bytes of memory that iree-compile may take, and under the command ``smartmem`` also
    the import and the passes; None: four fifths of the machine's, or of its control
    group's. Watched on Linux only."""

    strict: bool = field(default_factory=lambda: os.environ.get(STRICT_VARIABLE) == "1")
    """Whether it is an error to give up something that failed: a pass, a kernel's grouping
    or tile sizes, the compilation of images. Else it is a warning and in
    ``Report.fallbacks``. A lower ``opt_level``, where that is None, is no such step."""

    # Looking inside
    save_temps: str | Path | None = None
    """Folder for the bytecode of every stage; ``compile`` can start from such a file."""

    keep_ir: bool = True
    """Whether ``CompiledModel.ir`` keeps the text of every stage, parameters left out."""

    inspect_kernels: bool | Literal["compiled"] = False
    """Whether the report says what the kernels move, beside those that IREE makes of the
    imported model by itself; costs two more, shorter runs of iree-compile. "compiled": those
    of the compiled model alone, one more run."""

    validate: bool = False
    """Whether each pass is checked: the module runs in the reference interpreter before and
    after it, on random inputs, and must compute the same. The first pass that changes
    numbers is an error, and what shows it is written to ``save_temps``, or to a folder
    ``smartmem-validation``."""

    progress: Progress | None = None
    """Told about every stage that begins."""

    def for_iree(self, opt_level: str, timeout_s: float | None = None) -> IreeOptions:
        """What of it iree-compile is run with.

        Args:
            opt_level: the level to compile at.
            timeout_s: if it is not to take all of the time.
        """
        seconds = self.timeout_s if timeout_s is None else timeout_s
        return IreeOptions(opt_level, self.iree_flags, seconds, self.memory_limit)

    def __post_init__(self) -> None:
        if self.opt_level not in (None, *OPT_LEVELS):
            known = ", ".join(OPT_LEVELS)
            raise InvalidInputError(
                f"optimization level '{self.opt_level}' is unknown; use one of {known}"
            )
        for name, values in (("storage", STORAGES), ("storage_writes", STORAGES[1:])):
            if (value := getattr(self, name)) not in values:
                known = ", ".join(values)
                raise InvalidInputError(f"{name} '{value}' is unknown; use one of {known}")
        if self.precision not in PRECISIONS:
            raise InvalidInputError(
                f"precision '{self.precision}' is unknown; use one of {', '.join(PRECISIONS)}"
            )
        if not self.max_error > 0:
            raise InvalidInputError(
                f"a largest error of {self.max_error} is not positive; give a number above 0"
            )
        if self.layout not in LAYOUTS:
            raise InvalidInputError(
                f"layout strategy '{self.layout}' is unknown; use one of {', '.join(LAYOUTS)}"
            )
        if self.weights is not None:
            weight_format(self.weights)
        if not self.timeout_s > 0:
            raise InvalidInputError(
                f"a time limit of {self.timeout_s} s is not positive; give seconds above 0"
            )
        if self.memory_limit is not None and self.memory_limit <= 0:
            raise InvalidInputError(
                f"a memory limit of {self.memory_limit} bytes is not positive; give more"
            )
