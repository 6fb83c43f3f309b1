"""The kinds of files that ``fuzz_inputs`` gives to the tools."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from fuzzed_onnx import OnnxModels
from fuzzed_text import MLIR, MlirModules, target_files, tuning_files
from fuzzing import Case, Kind, damaged

import smartmem


class Modules:
    """Damaged modules, which have to be refused before they run."""

    name = "modules"

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "model.mlir")
            source.write_text(MLIR)
            smartmem.compile(source, target="cpu").save(Path(folder, "model.vmfb"))
            self._module = Path(folder, "model.vmfb").read_bytes()

    def case(self, rng: random.Random) -> Case:
        content = damaged(self._module, rng)
        is_whole = content == self._module  # what was made zero was zero
        statuses, outputs = ((0,), ["m-bundle"]) if is_whole else ((1,), [])
        command = rng.choice(("run", "run", "info", "bundle"))
        files = {"m.vmfb": content}
        return Case("smartmem", [command, "m.vmfb", "-q"], files, outputs, statuses)


KINDS: Mapping[str, Callable[[], Kind]] = {
    "modules": Modules,
    "onnx": OnnxModels,
    "mlir": MlirModules,
    "tuning": tuning_files,
    "target": target_files,
}
