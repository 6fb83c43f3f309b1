"""The graphs of all stages of a compilation, in one file."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch_mlir import ir

import smartmem
from smartmem import dialect
from smartmem.backend.targets.targets import Target
from smartmem.compiler.stages import IR_STAGES
from smartmem.errors import InvalidInputError
from smartmem.files import scratch_folder, write_file
from smartmem.mlir.torch_dialects import load_torch_dialects
from smartmem.options import CompileOptions
from smartmem.report.graphs import model_graph

Json = dict[str, Any]

SUFFIX = ".smartmem"
SCHEMA_VERSION = 1
KERNELS = "kernels"
"""The name of the last graph: of kernels, behind the stages of operators."""


def stages_of(model: Path, target: str | Target, options: CompileOptions) -> Json:
    """The graphs of all stages of a compilation, and its report.

    Raises:
        SmartMemError: as for ``smartmem.compile``.
    """
    with scratch_folder() as folder:
        saving = replace(options, save_temps=Path(folder), keep_ir=False)
        compiled = smartmem.compile(model, target=target, options=saving)
        stages = {}
        for file in sorted(Path(folder).glob("*.mlirbc")):
            name = file.stem.partition("-")[2]
            if name in IR_STAGES[:-1]:  # the last is in regions: the graph of kernels
                stages[name] = _graph(file)
    report = compiled.report.to_json()
    return {"schema_version": SCHEMA_VERSION, "stages": stages, "report": report}


def _graph(bytecode: Path) -> Json:
    context = ir.Context()
    context.allow_unregistered_dialects = True
    load_torch_dialects(context)
    dialect.load(context)
    module = ir.Module.parseFile(str(bytecode), context)
    with context:
        return asdict(model_graph(module.operation))


def write_stages(values: Json, path: Path) -> None:
    """Writes what ``stages_of`` returned.

    Raises:
        InvalidInputError: the path cannot be written.
    """
    text = json.dumps(values) + "\n"
    write_file(path, lambda out: out.write(text.encode()))


def read_stages(path: Path) -> Json:
    """Reads such a file.

    Raises:
        InvalidInputError: it cannot be read, or is none, or one of another version.
    """
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInputError(
            f"{path} holds no stages; write it with `smartmem explore`"
        ) from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION or "stages" not in values or "report" not in values:
        raise InvalidInputError(
            f"{path} holds no stages of schema version {SCHEMA_VERSION}; write it anew with "
            "`smartmem explore`"
        )
    return dict(values)
