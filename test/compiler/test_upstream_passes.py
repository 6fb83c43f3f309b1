"""The list of passes read from MLIR's shared library."""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.passmanager import PassManager

from smartmem.mlir.upstream_passes import upstream_passes


def test_lists_passes_and_pipelines_of_mlir_and_torch_mlir() -> None:
    expected = {
        "canonicalize",
        "cse",
        "fold-memref-alias-ops",  # only the end of a longer string in the library
        "linalg-fuse-elementwise-ops",
        "sccp",
        "tosa-to-linalg-pipeline",
        "convert-torch-to-linalg",
        "torch-backend-to-linalg-on-tensors-backend-pipeline",
    }
    assert expected <= set(upstream_passes())


def _fault(name: str) -> str:
    try:
        PassManager("any").add(name)
    except ValueError as error:
        return str(error)
    return ""


def test_the_pipeline_parser_knows_every_name() -> None:
    with ir.Context():
        faults = [_fault(name) for name in upstream_passes()]
    # A pass on functions cannot be added here, but its name is known.
    assert [fault for fault in faults if fault and "restricted to" not in fault] == []
