"""The wheel: what is in it, and that it works where there is no source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import smartmem

ADD = """\
func.func @main(%a: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %e = tensor.empty() : tensor<3x2xf32>
  %t = linalg.transpose ins(%a : tensor<2x3xf32>) outs(%e : tensor<3x2xf32>)
       permutation = [1, 0]
  %r = arith.addf %t, %t : tensor<3x2xf32>
  return %r : tensor<3x2xf32>
}
"""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel without the Vulkan library, which nothing of C++ is compiled for."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"),
        *("--no-deps", "--no-build-isolation", "--config-settings=wheel.cmake=false"),
        *("--wheel-dir", folder, ROOT),
    )
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel and what it depends on, but not the source tree."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    path = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    # Paths in a .pth file are not searched for .pth files, such as an editable install's.
    packages = [entry for entry in sys.path if Path(entry).name == "site-packages"]
    (site / "dependencies.pth").write_text("\n".join(packages))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", path)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel)
    return path


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "VK_DRIVER_FILES": "/none", "VK_ICD_FILENAMES": "/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_is_for_any_machine_and_has_all_files(wheel: Path) -> None:
    assert wheel.name == f"smartmem-{smartmem.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "smartmem/py.typed",
        "smartmem/_data/examples/small_swin.onnx",
        "smartmem/_data/runtime/CMakeLists.txt",
        "smartmem/bundle/files/main.c",
        "smartmem/dialect/ops.py",
        "smartmem/passes/analysis/__init__.py",
        "smartmem/tuning/tables/cpu-x86_64-32x16.json",
    } <= names
    sources = {
        *(
            f"smartmem/{p.relative_to(ROOT / 'python/smartmem')}"
            for p in python_files("python")
        ),
        *(f"smartmem/{p.relative_to(ROOT)}" for p in python_files("passes")),
        *(f"smartmem/{p.relative_to(ROOT)}" for p in python_files("dialect")),
    }
    assert {name for name in names if name.endswith(".py")} == sources


def python_files(folder: str) -> list[Path]:
    return [*(ROOT / folder).rglob("*.py")]


def test_installed_wheel_runs(python: Path, tmp_path: Path) -> None:
    (tmp_path / "add.mlir").write_text(ADD)
    code = (
        "import smartmem; from smartmem.tools.cli_demo import example_model;"
        "print(smartmem.__version__, smartmem.__file__, example_model())"
    )
    version, *files = run(python, "-c", code, cwd=tmp_path).split()
    assert version == smartmem.__version__
    assert all(python.parents[1] in Path(file).parents for file in files)
    assert "compile" in run(python, "-m", "smartmem", "--help", cwd=tmp_path)
    raised = run(
        python.with_name("smartmem-opt"), "--smartmem-raise-views", "add.mlir", cwd=tmp_path
    )
    assert "smartmem.view" in raised
    ran = run(python.with_name("smartmem"), "run", "add.mlir", "--target=cpu", cwd=tmp_path)
    assert "float32[3, 2]" in ran
