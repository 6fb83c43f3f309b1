"""``smartmem explore``: the stages of a compilation, as Model Explorer reads them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smartmem.errors import InvalidInputError
from smartmem.explorer.stages import read_stages, stages_of, write_stages
from smartmem.options import CompileOptions

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Json = dict[str, Any]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stages of a small model in a file."""
    import onnx
    from small_models import attention_model

    folder = tmp_path_factory.mktemp("stages")
    onnx.save(attention_model(), folder / "attention.onnx")
    path = folder / "attention.smartmem"
    write_stages(stages_of(folder / "attention.onnx", "cpu", CompileOptions()), path)
    return path


def test_stages_agree_with_the_report(stages: Path) -> None:
    values = read_stages(stages)
    report = values["report"]
    assert [*values["stages"]] == [s["name"] for s in report["stages"][:-2]]
    assert values["stages"]["input"] == report["graphs"]["before"]
    for stage in report["stages"][:-2]:
        nodes = values["stages"][stage["name"]]["nodes"]
        moving = [node for node in nodes if node["movement"] and not node["is_constant"]]
        assert len(moving) == stage["data_movement"], stage["name"]


def test_model_explorer_loads_the_stages(stages: Path) -> None:
    manager = pytest.importorskip(
        "model_explorer.extension_manager", reason="ai-edge-model-explorer is not installed"
    ).ExtensionManager
    from smartmem.explorer.show import EXTENSION

    loaded = manager([EXTENSION])
    loaded.load_extensions()
    found = next(e for e in loaded.get_extensions_metadata() if e["id"] == "smartmem")
    assert found["fileExts"] == ["smartmem"]
    command = {"extensionId": "smartmem", "modelPath": str(stages), "settings": {}}
    graphs = loaded.run_cmd({**command, "cmdId": "convert", "deleteAfterConversion": False})
    values = read_stages(stages)
    shown = {graph["id"]: graph for graph in graphs["graphs"]}
    assert [*shown] == [*values["stages"], "kernels"]
    for name, graph in values["stages"].items():
        edges = sum(len(node.get("incomingEdges", ())) for node in shown[name]["nodes"])
        assert (len(shown[name]["nodes"]), edges) == (len(graph["nodes"]), len(graph["edges"]))
    attributes = [
        {item["key"]: item["value"] for item in node.get("attrs", ())}
        for node in shown["input"]["nodes"]
    ]
    fates = values["report"]["graphs"]["fates"]
    assert [told["became"] for told in attributes] == [fate["outcome"] for fate in fates]


def test_numbers_are_about_nodes_that_there_are(stages: Path) -> None:
    pytest.importorskip("model_explorer", reason="ai-edge-model-explorer is not installed")
    from smartmem.explorer.main import graphs_of
    from smartmem.explorer.node_data import node_data
    from smartmem.explorer.show import configuration

    values = read_stages(stages)
    ids = {graph.id: {node.id for node in graph.nodes} for graph in graphs_of(values)}
    data = dict(node_data(values))
    assert {"bytes of the result", "predicted time in us"} <= {*data}
    for found in data.values():
        for graph, told in found.graphsData.items():
            assert told.results and {*told.results} <= ids[graph]
    assert len(configuration(stages).node_data_list) == len(data)


@pytest.mark.parametrize(
    ("layer", "namespace"),
    [("stages.0.mm", "stages/0"), ("/a/b/MatMul", "a/b"), ("m.mlir:3:4", ""), ("node", "")],
)
def test_a_layer_lies_in_its_modules(layer: str, namespace: str) -> None:
    pytest.importorskip("model_explorer", reason="ai-edge-model-explorer is not installed")
    from smartmem.explorer.main import _namespace

    assert _namespace(layer) == namespace


def test_what_holds_no_stages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.smartmem"
    for content, told in (
        ("{}", "holds no stages of schema"),
        ("no", "holds no stages; write"),
    ):
        path.write_text(content)
        with pytest.raises(InvalidInputError, match=told):
            read_stages(path)
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_stages(tmp_path / "none.smartmem")


def test_the_command_writes_the_file(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    done = cli("explore", mlir_file, "-t", "cpu", "--no-show")
    assert done.returncode == 0, done.stderr
    values = json.loads(mlir_file.with_suffix(".smartmem").read_text())
    assert values["report"]["model"] == mlir_file.name
    (tmp_path / "mine.smartmem").write_text("mine")
    done = cli("explore", mlir_file, "-t", "cpu", "--no-show", "-o", "mine.smartmem")
    assert done.returncode == 1 and (tmp_path / "mine.smartmem").read_text() == "mine"
