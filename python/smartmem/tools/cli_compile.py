"""``smartmem compile``."""

from __future__ import annotations

import shutil
import sys
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartmem.errors import InvalidInputError, SmartMemError
from smartmem.tools.cli_console import command, note, result, stage_progress
from smartmem.tools.cli_files import STDOUT, check_output, refuse_terminal
from smartmem.tools.cli_settings import CompileSettings, MessageSettings
from smartmem.tools.process import say

if TYPE_CHECKING:
    from smartmem.compiler.compile import CompiledModel

ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="ONNX, MLIR (text or bytecode) or torch.export (.pt2) file."
    ),
]
ModelsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="MODEL...", help="ONNX, MLIR (text or bytecode) or torch.export (.pt2) files."
    ),
]


@dataclass(frozen=True)
class _Wanted:
    """What is to be made of each model."""

    build: CompileSettings
    messages: MessageSettings
    emit: str
    elide: bool
    check: bool
    tolerance: float | None


@dataclass(frozen=True)
class _Outputs:
    """Where the output, the report and the page of one model go, or of several: folders."""

    output: Path | None
    report: Path | None
    html: Path | None

    def of(self, model: Path, suffix: str) -> _Outputs:
        """Those of one of several models, in the folders.

        Raises:
            InvalidInputError: one of them is no folder.
        """
        names = (f"{model.stem}{suffix}", f"{model.stem}.report.json", f"{model.stem}.html")
        paths = zip(("-o", "--report", "--html"), astuple(self), names, strict=True)
        return _Outputs(*(_in_folder(option, path, name) for option, path, name in paths))


def _in_folder(option: str, folder: Path | None, name: str) -> Path | None:
    if folder is None:
        return None
    if not folder.is_dir():
        raise InvalidInputError(
            f"{option} {folder} is no folder; with several models it names one that exists"
        )
    return folder / name


@command
def compile_command(
    models: ModelsArgument,
    build: CompileSettings,
    messages: MessageSettings,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Output file; by default beside the model. - is stdout. Of several models, a "
            "folder, as with --report and --html.",
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
    """Compile models to modules that `smartmem run` and IREE's tools can run.

    Prints wall time and peak memory to stderr. One of several models that fails leaves the
    others alone; the end is 1 then.
    """
    wanted = _Wanted(build, messages, emit, elide, check, tolerance)
    outputs = _Outputs(output, report, html)
    if len(models) == 1:
        _make(models[0], outputs, wanted)
        return
    suffix = _suffix(emit, None)
    _refuse_equal(models, outputs)
    each = [outputs.of(model, _ending(emit, suffix)) for model in models]
    failed = [m for m, paths in zip(models, each, strict=True) if not _made(m, paths, wanted)]
    if failed:
        raise InvalidInputError(
            f"{len(failed)} of {len(models)} models failed: {', '.join(map(str, failed))}"
        )


def _refuse_equal(models: list[Path], outputs: _Outputs) -> None:
    """Raises InvalidInputError if two models' outputs would be one file."""
    in_folders = any(astuple(outputs))
    names = [Path(m.stem) if in_folders else m.with_suffix("").absolute() for m in models]
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise InvalidInputError(
            f"two models are called {twice.name}, and their outputs would be one file; "
            "compile them one by one"
        )


def _made(model: Path, outputs: _Outputs, wanted: _Wanted) -> bool:
    """Makes the outputs of one of several models; tells an error, and whether there was none."""
    try:
        _make(model, outputs, wanted)
    except SmartMemError as error:
        say(f"error: {model}: {error}")
        return False
    return True


def _ending(emit: str, suffix: str) -> str:
    from smartmem.compiler.compile import BUILD

    return suffix if emit == BUILD else f".{emit}{suffix}"


def _make(model: Path, outputs: _Outputs, wanted: _Wanted) -> None:
    from smartmem.compiler.compile import BUILD, IMAGES
    from smartmem.compiler.stages import refuse_module
    from smartmem.page.page import write_page

    build, messages, emit = wanted.build, wanted.messages, wanted.emit
    report, html = outputs.report, outputs.html
    refuse_module(model)
    suffix = _suffix(emit, outputs.output)
    path = outputs.output or model.with_suffix(_ending(emit, suffix))
    check_output(path, suffix, model)
    if report is not None:
        check_output(report, ".json", model)
    if html is not None:
        check_output(html, ".html", model)
    if emit == IMAGES:
        _emit_kernels(model, build, messages, path, wanted.elide)
        return
    if emit != BUILD:
        _emit(model, build, messages, path, emit, wanted.elide)
        return
    refuse_terminal(path)
    compiled = _compile(model, build, messages, wanted.check, wanted.tolerance)
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
