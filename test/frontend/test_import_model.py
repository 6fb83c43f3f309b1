"""Which reader a model goes to, and what is said of things that are no models."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch_mlir import ir

from smartmem.errors import InvalidInputError, ToolMissingError
from smartmem.frontend import import_model
from smartmem.frontend.imported_model import unique_names

IDENTITY = (
    "func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> { return %x : tensor<2x3xf32> }"
)


def test_text_without_a_known_suffix_is_mlir(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_text(IDENTITY)
    assert import_model(path).source == "mlir"
    assert import_model(str(path)).source == "mlir"


def test_bytes_of_text_are_mlir() -> None:
    model = import_model(IDENTITY.encode())
    assert [spec.shape for spec in model.inputs] == [(2, 3)]


def test_format_overrides_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text(IDENTITY)
    assert import_model(path, input_format="mlir").source == "mlir"
    with pytest.raises(InvalidInputError, match=r"model\.onnx is not a complete ONNX model"):
        import_model(path)


def test_module_is_copied() -> None:
    with ir.Context():
        module = ir.Module.parse(IDENTITY.replace("@main", "@f"))
    before = str(module)
    model = import_model(module)
    assert str(module) == before
    assert model.module.context is not module.context
    assert "@main" in str(model.module)


def test_unknown_format() -> None:
    with pytest.raises(InvalidInputError, match=r"'tflite'; use one of torch, onnx, mlir"):
        import_model(IDENTITY.encode(), input_format="tflite")


def test_shapes_are_checked_where_they_are_fixed_already() -> None:
    assert import_model(IDENTITY.encode(), input_shapes={"arg0": [2, 3]}).inputs
    for shapes in ({"arg0": (2, 4)}, {"x": (2, 3)}):
        with pytest.raises(InvalidInputError, match=r"inputs are arg0: float32\[2, 3\]"):
            import_model(IDENTITY.encode(), input_shapes=shapes)


def test_unknown_object() -> None:
    with pytest.raises(InvalidInputError, match="cannot import a dict"):
        import_model({})


@pytest.mark.parametrize("name", ["missing.onnx", "."])
def test_unreadable_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"cannot read the model .*(No such|directory)"):
        import_model(tmp_path / name)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.touch()
    with pytest.raises(InvalidInputError, match=r"empty\.onnx is an empty file"):
        import_model(path)


def test_pickle_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"\x80\x04.")
    with pytest.raises(InvalidInputError, match=r"pickled Python objects.*\.pt2"):
        import_model(path)


@pytest.mark.parametrize(("package", "suffix"), [("torch", ".pt2"), ("onnx", ".onnx")])
def test_missing_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ToolMissingError, match=rf"pip install 'smartmem\[{package}\]'"):
        import_model(path)


def test_unique_names_never_collide() -> None:
    assert unique_names(["y", "y", "y_1", "y"]) == ["y", "y_1", "y_1_1", "y_2"]
