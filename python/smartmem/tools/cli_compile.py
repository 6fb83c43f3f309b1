"""``smartmem compile``."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartmem.errors import InvalidInputError
from smartmem.tools.cli_console import command, note, result, stage_progress
from smartmem.tools.cli_files import STDOUT, check_output, refuse_terminal
from smartmem.tools.cli_settings import CompileSettings, MessageSettings

if TYPE_CHECKING:
    from smartmem.compiler.compile import CompiledModel

ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="ONNX, MLIR (text or bytecode) or torch.export (.pt2) file."
    ),
]


@command
def compile_command(
    model: ModelArgument,
    build: CompileSettings,
    messages: MessageSettings,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Output file; by default beside the model. - is stdout.",
        ),
    ] = None,
    emit: Annotated[
        str,
        typer.Option(
            metavar="STAGE",
            help="What to write: vmfb, or the IR of a stage: input, views ...",
        ),
    ] = "vmfb",
    elide: Annotated[
        bool, typer.Option("--elide", help="Leave large constants out of IR, for reading.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report there as JSON.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the report there as a page for a browser."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the original before writing.")
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="Largest accepted error of --check."),
    ] = None,
) -> None:
    """Compile a model to a module that `smartmem run` and IREE's tools can run.

    Prints wall time and peak memory to stderr.
    """
    from smartmem.compiler.compile import BUILD, IMAGES
    from smartmem.compiler.stages import refuse_module
    from smartmem.page.page import write_page

    refuse_module(model)
    suffix = _suffix(emit, output)
    path = output or model.with_suffix(suffix if emit == BUILD else f".{emit}{suffix}")
    check_output(path, suffix, model)
    if report is not None:
        check_output(report, ".json", model)
    if html is not None:
        check_output(html, ".html", model)
    if emit == IMAGES:
        _emit_kernels(model, build, messages, path, elide)
        return
    if emit != BUILD:
        _emit(model, build, messages, path, emit, elide)
        return
    refuse_terminal(path)
    compiled = _compile(model, build, messages, check, tolerance)
    _save(compiled, path, messages)
    if report is not None:
        compiled.report.save(report)
    if html is not None:
        write_page(compiled.report.to_json(), html)


def _suffix(emit: str, output: Path | None) -> str:
    from smartmem.compiler.compile import ALL_STAGES, BUILD, IMAGES

    if emit not in ALL_STAGES:
        known = ", ".join(ALL_STAGES)
        raise InvalidInputError(f"cannot emit '{emit}': no such stage; use one of {known}")
    if emit == BUILD:
        return ".vmfb"
    if emit == IMAGES:  # bytecode of IREE's phase loses constants
        return ".mlir"
    return ".mlirbc" if output is not None and output.suffix == ".mlirbc" else ".mlir"


def _compile(
    model: Path,
    build: CompileSettings,
    messages: MessageSettings,
    check: bool,
    tolerance: float | None,
) -> CompiledModel:
    import smartmem
    from smartmem.checking.check import check_model

    with stage_progress(messages, model.name) as progress:
        options, target = build.options(progress), build.target
        if not check:
            return smartmem.compile(model, target=target, options=options)
        checked = check_model(model, target=target, options=options, tolerance=tolerance)
    note(str(checked.result), messages)
    checked.result.require()
    return checked.compiled


def _save(compiled: CompiledModel, path: Path, messages: MessageSettings) -> None:
    from smartmem.report.text import cost_lines

    if path == STDOUT:
        with compiled.path.open("rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer)
    else:
        compiled.save(path)
    target, level = compiled.target.name, compiled.report.opt_level
    kernels = compiled.statistics.kernels
    note(f"wrote {path} for target {target} at {level}; kernels: {kernels}", messages)
    for line in cost_lines(compiled.report):
        note(line, messages)


def _emit(
    model: Path,
    build: CompileSettings,
    messages: MessageSettings,
    path: Path,
    stage: str,
    elide: bool,
) -> None:
    from smartmem.compiler.compile import module_at
    from smartmem.compiler.recorder import module_text, save_bytecode
    from smartmem.files import write_file

    with stage_progress(messages, model.name) as progress:
        module = module_at(model, stage, target=build.target, options=build.options(progress))
    if path.suffix == ".mlirbc":
        save_bytecode(module, path)
    elif path == STDOUT:
        result(module_text(module, elide=elide))
    else:
        text = module_text(module, elide=elide)
        write_file(path, lambda out: out.write(text.encode()))
    note(f"wrote {path}: stage {stage}", messages)


def _emit_kernels(
    model: Path, build: CompileSettings, messages: MessageSettings, path: Path, elide: bool
) -> None:
    """Writes the kernels behind the last stage that has IR; it takes a whole compilation."""
    import smartmem
    from smartmem.compiler.compile import IMAGES
    from smartmem.files import copy_file, scratch_folder, write_file

    with stage_progress(messages, model.name) as progress, scratch_folder() as folder:
        options = replace(build.options(progress), save_temps=Path(folder), keep_ir=elide)
        compiled = smartmem.compile(model, target=build.target, options=options)
        saved = next(Path(folder).glob(f"*-{IMAGES}.mlir"), None)
        if saved is None:
            raise InvalidInputError(
                f"kernels for target {build.target} access buffers as such, so there is no "
                f"stage '{IMAGES}'; choose a storage with --storage"
            )
        if elide:
            text = compiled.ir[IMAGES]
        elif path == STDOUT:
            text = saved.read_text()
        else:
            copy_file(saved, path)
    if path == STDOUT:
        result(text)
    elif elide:
        write_file(path, lambda out: out.write(text.encode()))
    note(f"wrote {path}: stage {IMAGES}", messages)
