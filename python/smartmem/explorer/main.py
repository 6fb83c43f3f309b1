"""The adapter: what ``smartmem explore`` wrote, as Model Explorer's graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from model_explorer import Adapter, AdapterMetadata, ModelExplorerGraphs, graph_builder

from smartmem.explorer.stages import KERNELS, SUFFIX, Json, read_stages


class SmartMemAdapter(Adapter):
    """Shows a graph for each stage of the compilation, and one of the kernels."""

    metadata = AdapterMetadata(
        id="smartmem",
        name="SmartMem",
        description="The stages of a compilation by SmartMem, and its kernels.",
        fileExts=[SUFFIX.removeprefix(".")],
    )

    def convert(self, model_path: str, settings: dict[str, Any]) -> ModelExplorerGraphs:
        """The graphs of a file, the model as imported first.

        Raises:
            InvalidInputError: it is none that ``smartmem explore`` wrote.
        """
        return {"graphs": graphs_of(read_stages(Path(model_path)))}


def graphs_of(values: Json) -> list[graph_builder.Graph]:
    """The graphs of all stages, and of the kernels."""
    report = values["report"]
    fates = {fate["operator"]: fate for fate in report["graphs"]["fates"]}
    graphs = []
    for number, (stage, graph) in enumerate(values["stages"].items()):
        told = fates if number == 0 else {}  # they are about what was imported
        nodes = [_operator(node, told.get(node["id"])) for node in graph["nodes"]]
        graphs.append(_graph(stage, nodes, graph["edges"]))
    costs = {cost["number"]: cost for cost in report["kernel_costs"]}
    layouts = {layout["name"]: layout for layout in report["layouts"]}
    after = report["graphs"]["after"]
    nodes = [_kernel(node, costs, layouts) for node in after["nodes"]]
    graphs.append(_graph(KERNELS, nodes, after["edges"]))
    return graphs


def _graph(
    name: str, nodes: list[graph_builder.GraphNode], edges: Iterable[Json]
) -> graph_builder.Graph:
    by_id = {node.id: node for node in nodes}
    for edge in edges:
        target = by_id[str(edge["target"])]
        target.incomingEdges.append(
            graph_builder.IncomingEdge(
                sourceNodeId=str(edge["source"]),
                targetNodeInputId=str(len(target.incomingEdges)),
            )
        )
    return graph_builder.Graph(id=name, nodes=nodes)


def _operator(node: Json, fate: Json | None) -> graph_builder.GraphNode:
    told = {name: node[name] for name in ("layer", "group", "mapping", "movement")}
    if fate is not None:
        told |= {"became": fate["outcome"], "because": "; ".join(fate["reasons"])}
        told["kernels"] = ", ".join(map(str, fate["kernels"]))
    return _node(node, node["layer"], told)


def _kernel(
    node: Json, costs: Mapping[int, Json], layouts: Mapping[str, Json]
) -> graph_builder.GraphNode:
    number = node["number"]
    layout = layouts.get(node["name"] if node["kind"] == "weight" else f"kernel {number}")
    told: dict[str, Any] = {"kind": node["kind"], "layers": ", ".join(node["layers"])}
    if number is not None:
        told["kernel"] = number
        told |= {k: costs[number][k] for k in ("flops", "bytes", "predicted_s", "measured_s")}
    if layout is not None:
        told |= {"layout because": layout["reason"], "storage": layout["storage"]}
        loads = (f"kernel {read['kernel']}: {read['loads']}" for read in layout["reads"])
        told["read by"] = ", ".join(loads)
    layer = next(iter(node["layers"]), "")
    return _node(node, layer, told)


def _node(node: Json, layer: str, told: Mapping[str, Any]) -> graph_builder.GraphNode:
    key_value = graph_builder.KeyValue
    shape = "x".join([*map(str, node["shape"]), node["dtype"]])
    return graph_builder.GraphNode(
        id=str(node["id"]),
        label=node["name"],
        namespace=_namespace(layer),
        attrs=[
            key_value(key=key, value=str(value))
            for key, value in told.items()
            if value not in (None, "")
        ],
        outputsMetadata=[
            graph_builder.MetadataItem(
                id="0", attrs=[key_value(key="tensor_shape", value=shape)]
            )
        ],
    )


def _namespace(layer: str) -> str:
    """The modules that a layer lies in: stages.0.attn.mm and /stages.0/attn/mm lie in three."""
    if "/" in layer:
        parts = [part for part in layer.split("/") if part]
    else:
        parts = layer.split(".") if ":" not in layer else [layer]
    return "/".join(parts[:-1])
