"""The kernels that the passes plan for networks cut down to a few blocks, without weights.

Networks of ``cut_networks.py``, with fewer blocks and channels than those of the README, lie
as ONNX graphs in ``test/Inputs/networks``. Their weights are drawn when they are read: how many
kernels a network takes does not depend on their values. ``planned_kernels.json`` beside them says
how many kernels the passes plan; ``test_planned_kernels.py`` compares.

    python benchmarks/planned_kernels.py             # counts again, after a wanted change
    python benchmarks/planned_kernels.py --export    # makes all graphs again, before
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from arguments import script_parser
from onnx import TensorProto, numpy_helper

from smartmem.compiler.compile import module_at
from smartmem.options import CompileOptions

FOLDER = Path(__file__).parents[1] / "test" / "Inputs" / "networks"
COUNTS = FOLDER / "planned_kernels.json"
TARGETS = ("cpu:znver4", "adreno")
_REGION = "flow.dispatch.region"
_KEPT = 64
"""Elements of a constant that stays in a graph: epsilons, shapes."""


def read_graph(path: Path) -> onnx.ModelProto:
    """A network with seeded weights."""
    model = onnx.load(path)
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        if not tensor.HasField("raw_data"):
            values = rng.standard_normal(tuple(tensor.dims), np.float32) / 8
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the shapes of its weights alone; changes ``model``."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) > _KEPT:
            empty = TensorProto(name=tensor.name, data_type=TensorProto.FLOAT, dims=tensor.dims)
            tensor.CopyFrom(empty)
    del model.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]
    del model.graph.value_info[:]
    return model


def planned_kernels(model: Any, target: str) -> dict[str, int]:
    """How many operations of which name of a lowered network become kernels.

    Those are its regions, and what computes outside of them.
    """
    options = CompileOptions(shipped_tuning=False)
    module = module_at(model, "lowered", target=target, options=options)
    function = module.body.operations[0].operation
    names = [op.operation.name for op in function.regions[0].blocks[0].operations]
    computing = (n for n in names if n == _REGION or n.startswith(("linalg.", "tm_tensor.")))
    counts = Counter(n for n in computing if n != "linalg.fill")
    return dict(sorted(counts.items()))


def count_all() -> dict[str, dict[str, dict[str, int]]]:
    """For each network and target."""
    return {
        path.stem: {target: planned_kernels(read_graph(path), target) for target in TARGETS}
        for path in sorted(FOLDER.glob("*.onnx"))
    }


def export() -> None:
    """Writes the graphs; needs PyTorch, timm and transformers."""
    import torch
    from cut_networks import NETWORKS

    FOLDER.mkdir(exist_ok=True)
    for name, build in NETWORKS.items():
        network, inputs = build()
        program = torch.onnx.export(network, inputs, dynamo=True, verbose=False)
        assert program is not None
        onnx.save(without_weights(program.model_proto), FOLDER / f"{name}.onnx")


def main() -> int:
    """Writes the counts."""
    parser = script_parser(__doc__)
    parser.add_argument("--export", action="store_true", help="make the graphs again, too")
    if parser.parse_args().export:
        export()
    COUNTS.write_text(json.dumps(count_all(), indent=2) + "\n")
    print(COUNTS.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
