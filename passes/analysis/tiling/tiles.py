"""What tile sizes of every form have: IREE's notation of them, and a line for the report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class Tiles(ABC):
    """Sizes for the loops of an operation; 0 leaves a loop whole."""

    @abstractmethod
    def lowering(self, *, is_root: bool = True) -> str:
        """The ``lowering_config``; that of a kernel's root can have more than the others'."""

    @property
    @abstractmethod
    def translation(self) -> str:
        """The ``translation_info``: the pipeline of the code generator, and its options."""


def thread_lowering(levels: Sequence[Sequence[int]]) -> str:
    """The ``lowering_config`` of a GPU, of sizes by level."""
    return f"#iree_codegen.lowering_config<tile_sizes = [{', '.join(map(listed, levels))}]>"


def thread_translation(pipeline: str, threads: Sequence[int]) -> str:
    """The ``translation_info`` of a GPU: how so many threads of a workgroup share the work."""
    kind = f"pipeline = #iree_gpu.spirv_pipeline<{pipeline}>"
    return f"<{kind} workgroup_size = {listed(threads)}>"


def listed(sizes: Sequence[int]) -> str:
    """``[1, 2]``, as MLIR writes a list."""
    return f"[{', '.join(map(str, sizes))}]"
