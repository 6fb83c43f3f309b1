"""``.pt2`` files: nothing that they hold runs, and harmless ones load."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from smartmem.errors import InvalidInputError
from smartmem.frontend import import_model


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.path, "ran"))


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A file that does not exist unless code of the archive ran."""
    return tmp_path / "ran"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A harmless program."""
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(nn.Linear(3, 2).eval(), (torch.zeros(1, 3),)), path)
    return path


def rewrite(path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """The archive with another member ``name``, which it can lack."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    root = next(iter(members)).partition("/")[0]
    members[f"{root}/{name}"] = change(members.get(f"{root}/{name}", b""))
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


def rewrite_json(path: Path, name: str, change: Callable[[Any], None]) -> Path:
    """The archive with a changed JSON member."""

    def changed(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return json.dumps(value).encode()

    return rewrite(path, name, changed)


def assert_refused(path: Path, trap: Path, match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        import_model(path)
    assert not trap.exists()


@pytest.mark.parametrize("suffix", [".pt2", ".zip", ""])
def test_pickled_sample_inputs(program: Path, trap: Path, suffix: str) -> None:
    attack = pickle.dumps(Attack(trap))
    path = rewrite(program, "data/sample_inputs/model.pt", lambda _: attack)
    assert_refused(
        path.rename(path.with_suffix(suffix)), trap, r"sample_inputs/model\.pt.*never"
    )


@pytest.mark.parametrize("kind", ["weights/model_weights", "constants/model_constants"])
def test_pickled_tensors(program: Path, trap: Path, kind: str) -> None:
    attack = pickle.dumps(Attack(trap))
    stem = "weight_0" if "weights" in kind else "tensor_0"
    path = rewrite(program, f"data/{kind.partition('/')[0]}/{stem}", lambda _: attack)

    def change(config: Any) -> None:
        payload = {"path_name": stem, "is_param": True, "use_pickle": True, "tensor_meta": None}
        config["config"]["weight"] = payload

    assert_refused(rewrite_json(path, f"data/{kind}_config.json", change), trap, "never runs")


@pytest.mark.parametrize(
    "member",
    ["data/weights/model.pt", "data/aotinductor/model/a.so", "data/constants/custom_obj_0"],
)
def test_members_that_no_program_needs(program: Path, trap: Path, member: str) -> None:
    path = rewrite(program, member, lambda _: pickle.dumps(Attack(trap)))
    assert_refused(path, trap, "never runs")


def test_pickles_of_any_kind(tmp_path: Path, trap: Path) -> None:
    path = tmp_path / "objects"
    torch.save(Attack(trap), path)
    assert_refused(path, trap, r"data\.pkl.*torch\.export\.save")


@pytest.mark.parametrize(
    "target",
    ["torch.os.system", "torch.load", "_operator.methodcaller", "torch.ops.load_library"],
)
def test_functions_that_are_no_operators(program: Path, trap: Path, target: str) -> None:
    def change(model: Any) -> None:
        model["graph_module"]["graph"]["nodes"][0]["target"] = target

    assert_refused(rewrite_json(program, "models/model.json", change), trap, target)


def test_text_that_would_be_run(program: Path, trap: Path) -> None:
    code = f"__import__('pathlib').Path({str(trap)!r}).write_text('ran')"

    def size(model: Any) -> None:
        values = model["graph_module"]["graph"]["tensor_values"]
        values["linear"]["sizes"][0] = {"as_expr": {"expr_str": code, "hint": None}}

    def name(model: Any) -> None:
        graph = model["graph_module"]["graph"]
        graph["nodes"][0]["inputs"][0]["arg"]["as_tensor"]["name"] = f"x={code}"

    def tree(model: Any) -> None:
        signature = model["graph_module"]["module_call_graph"][0]["signature"]
        context = json.dumps({"__enum__": True, "fqn": "this:d", "name": "x"})
        signature["in_spec"] = json.dumps([1, {"type": "builtins.dict", "context": context}])

    original = program.read_bytes()
    for change, match in ((size, "no arithmetic"), (name, "plain name"), (tree, "enumeration")):
        program.write_bytes(original)
        assert_refused(rewrite_json(program, "models/model.json", change), trap, match)


def test_guards_are_left_out(program: Path, trap: Path) -> None:
    code = f"open({str(trap)!r}, 'w')"
    path = rewrite_json(program, "models/model.json", lambda m: m.update(guards_code=[code]))
    model = import_model(path)
    assert model.reference is not None
    model.reference([np.zeros((1, 3), np.float32)])
    assert not trap.exists()


def test_harmless_programs_load(tmp_path: Path) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleDict({"a b": nn.Linear(3, 3)})

        def forward(self, *, x: Any, mask: Any) -> Any:
            y = torch.einsum("bi,ij->bj", x, self.layers["a b"].weight)
            return {"o/x": y + torch.tensor([1.0, 2, 3]), "l": [x + mask]}

    example = torch.zeros(2, 3)
    program = torch.export.export(Model(), (), {"x": example, "mask": example})
    torch.export.save(program, tmp_path / "model.pt2")
    model = import_model(tmp_path / "model.pt2")
    assert [spec.name for spec in model.outputs] == ["o/x", "l_0"]


def test_harmless_sizes_load(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", min=2, max=9)
    layers = nn.Sequential(nn.Linear(3, 2), nn.Flatten(0))
    program = torch.export.export(layers, (torch.zeros(4, 3),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    model = import_model(tmp_path / "model.pt2", inputs=torch.zeros(5, 3))
    assert [spec.shape for spec in model.outputs] == [(10,)]
