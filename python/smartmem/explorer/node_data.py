"""Numbers that Model Explorer colours nodes by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from model_explorer import node_data_builder as builder

from smartmem.explorer.stages import KERNELS, Json

_GRADIENT = ((0.0, "#eef3fd"), (1.0, "#3b6fd4"))


def node_data(values: Json) -> Iterator[tuple[str, builder.ModelNodeData]]:
    """What can be shown, by name: bytes of each stage's operators, costs of the kernels.

    Args:
        values: as ``read_stages`` returns them.
    """
    report = values["report"]
    sizes = {
        stage: {str(node["id"]): node["bytes"] for node in graph["nodes"] if node["shape"]}
        for stage, graph in values["stages"].items()
    }
    kernels = report["graphs"]["after"]["nodes"]
    sizes[KERNELS] = {str(node["id"]): node["bytes"] for node in kernels if node["shape"]}
    yield "bytes of the result", _data(sizes)
    costs = {cost["number"]: cost for cost in report["kernel_costs"]}
    for name, title in (
        ("predicted_s", "predicted time in us"),
        ("measured_s", "measured time in us"),
    ):
        times = {
            str(node["id"]): 1e6 * costs[node["number"]][name]
            for node in kernels
            if node["number"] in costs and costs[node["number"]][name] is not None
        }
        if times:
            yield title, _data({KERNELS: times})


def _data(values: Mapping[str, Mapping[str, float]]) -> builder.ModelNodeData:
    gradient = [builder.GradientItem(stop=stop, bgColor=colour) for stop, colour in _GRADIENT]
    return builder.ModelNodeData(
        {
            graph: builder.GraphNodeData(
                results={
                    key: builder.NodeDataResult(value=value) for key, value in found.items()
                },
                gradient=gradient,
            )
            for graph, found in values.items()
        }
    )
