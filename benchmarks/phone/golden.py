"""Records what phones' compilers make of the kernels of networks cut down to a few blocks.

``test_phone.py`` holds the record against the kernels of today, and against what is read from
two shaders' output, without these compilers.

    PHONE_ROOT=/opt/phone python benchmarks/phone/golden.py     # after a wanted change
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from arguments import script_parser
from compilers import GPUS, Compiled, Gpu, compile_shaders
from figures import figures_of
from planned_kernels import FOLDER, read_graph
from shaders import Kernel, export_shaders, read_index

from smartmem.backend.targets.targets import resolve_target

RECORD = Path(__file__).parents[2] / "test" / "Inputs" / "phone_kernels.json"
NETWORKS = ("vit", "mobilenetv2")
_NUMBER = re.compile(r"^main_dispatch_\d+_")
_TIMEOUT_S = 600
_KEPT = ("registers", "occupancy", "spills", "fills", "instructions")
_EXAMPLES = ("contraction", "normalization")
"""The classes of which one kernel's output is kept."""


def title_of(name: str) -> str:
    """A kernel's name without its number."""
    return _NUMBER.sub("", name)


def export_network(network: str, gpu: Gpu, folder: Path) -> list[Kernel]:
    """Writes the kernels of a cut-down network to a folder, and returns them."""
    model = read_graph(FOLDER / f"{network}.onnx")
    export_shaders(model, None, resolve_target(gpu.target), gpu.storage, folder, _TIMEOUT_S)
    return read_index(folder)


def _record(gpu: Gpu) -> dict[str, object]:
    rows: dict[str, list[dict[str, object]]] = {}
    examples: list[dict[str, object]] = []
    for network in NETWORKS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, Path(temporary).name)
            kernels = export_network(network, gpu, folder)
            compiled = compile_shaders(folder, [kernel.name for kernel in kernels], gpu)
        rows[network] = [_row(k, c, gpu) for k, c in zip(kernels, compiled, strict=True)]
        examples = examples or _examples(kernels, compiled, gpu)
    return {"kernels": rows, "examples": examples}


def _row(kernel: Kernel, compiled: Compiled, gpu: Gpu) -> dict[str, object]:
    found = asdict(figures_of(kernel, compiled, gpu))
    return {"name": title_of(kernel.name), **{key: found[key] for key in _KEPT}}


def _examples(
    kernels: Sequence[Kernel], compiled: Sequence[Compiled], gpu: Gpu
) -> list[dict[str, object]]:
    """Of each class the kernel with the shortest code: what comes out, and its figures."""
    found = []
    for kind in _EXAMPLES:
        pairs = [(k, c) for k, c in zip(kernels, compiled, strict=True) if k.kind == kind]
        kernel, output = min(pairs, key=lambda pair: len(pair[1].assembly))
        figures = asdict(figures_of(kernel, output, gpu))
        if gpu.driver == "panfrost":
            output = replace(output, assembly="")  # long, and not read
        record = {"kernel": asdict(kernel), "compiled": asdict(output), "figures": figures}
        found.append(record)
    return found


def main() -> int:
    """Writes the record."""
    script_parser(__doc__).parse_args()
    found = {name: _record(GPUS[name]) for name in ("a740", "g610")}
    RECORD.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
