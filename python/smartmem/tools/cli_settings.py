"""Groups of options that several commands of ``smartmem`` share.

Each group is a dataclass; ``expand_settings`` spreads its fields over the signature of a
command, where typer finds them as options of their own.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from smartmem.errors import InvalidInputError
from smartmem.options import CompileOptions, Progress

_IMPORT = "Import"
_BUILD = "Compilation"
_MESSAGES = "Messages"


@dataclass(frozen=True)
class CompileSettings:
    """How a model is imported and compiled."""

    target: Annotated[
        str,
        typer.Option(
            "--target",
            "-t",
            metavar="TARGET",
            help="What to compile for: cpu, vulkan, adreno, valhall4 ..., or a target file; "
            "`smartmem targets` lists them. auto: a real Vulkan device, else the CPU.",
            rich_help_panel=_BUILD,
        ),
    ] = "auto"
    opt_level: Annotated[
        str | None,
        typer.Option(
            "--opt-level",
            "-O",
            metavar="LEVEL",
            help="Optimization level of iree-compile, O0 to O3; by default O3, or O1 if it "
            "fails there.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.opt_level
    iree_flag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FLAG",
            help="A further flag for iree-compile, e.g. --iree-flag=--iree-opt-strip-assertions;"
            " may be repeated.",
            rich_help_panel=_BUILD,
        ),
    ] = None
    storage: Annotated[
        str,
        typer.Option(
            metavar="STORAGE",
            help="How kernels read what they only read: buffer, texel_buffer, image2d; auto "
            "takes what was measured (--tuning), or else what is best for the target.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.storage
    storage_writes: Annotated[
        str,
        typer.Option(
            metavar="STORAGE",
            help="How kernels write what they only write: buffer, texel_buffer, image2d.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.storage_writes
    precision: Annotated[
        str,
        typer.Option(
            metavar="TYPE",
            help="In what tensors are stored: f32, f16, bf16, model (what the model computes "
            "in), or auto: f16 where --max-error allows it.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.precision
    max_error: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="The most that --precision auto may put an output off, as a part of its "
            "largest number.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.max_error
    layout: Annotated[
        str,
        typer.Option(
            metavar="STRATEGY",
            help="How tensors' layouts are chosen: rule (what consumers prefer), model "
            "(each by a cost model) or search (all together by that model).",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.layout
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Round linear layers' weights: int8, or int4 with a scale for 32 of a channel "
            "(int4:group=32). Layers past an error (int4:error=0.15) keep theirs. CPUs only.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.weights
    tuning: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What `smartmem tune` measured: tile sizes, storage and costs.",
            rich_help_panel=_BUILD,
        ),
    ] = None
    shipped_tuning: Annotated[
        bool,
        typer.Option(
            "--shipped-tuning/--no-shipped-tuning",
            help="Use the measured tile sizes that come with SmartMem.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.shipped_tuning
    timeout: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Time limit of import, passes and iree-compile together.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.timeout_s
    memory: Annotated[
        float | None,
        typer.Option(
            "--memory",
            metavar="GB",
            help="Memory limit of import and passes, and of iree-compile; by default four "
            "fifths of the machine's.",
            rich_help_panel=_BUILD,
        ),
    ] = None
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict",
            help="Fail where a pass or a kernel's grouping or tile sizes would be given up; by "
            "default that is a warning, unless SMARTMEM_STRICT is 1.",
            show_default=False,
            rich_help_panel=_BUILD,
        ),
    ] = None
    validate: Annotated[
        bool,
        typer.Option(
            "--validate",
            help="Run the model in an interpreter before and after each pass, and fail at the "
            "first that changes numbers; what shows it goes to --save-temps, or to "
            "smartmem-validation.",
            rich_help_panel=_BUILD,
        ),
    ] = CompileOptions.validate
    save_temps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save the IR of every stage there; compile continues from such a file.",
            rich_help_panel=_BUILD,
        ),
    ] = None
    input_shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=1x3x224x224",
            help="Shape of an input whose dimensions the model leaves open; may be repeated.",
            rich_help_panel=_IMPORT,
        ),
    ] = None
    input_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="Format of the model: onnx, torch or mlir; by default its suffix and content tell.",
            rich_help_panel=_IMPORT,
        ),
    ] = None

    def options(
        self, progress: Progress | None, *, inspect_kernels: bool | Literal["compiled"] = False
    ) -> CompileOptions:
        """The options for ``smartmem.compile``.

        Raises:
            InvalidInputError: a shape or a number does not make sense.
        """
        strict = {} if self.strict is None else {"strict": self.strict}
        return CompileOptions(
            **strict,
            input_format=self.input_format,
            input_shapes=parse_shapes(self.input_shape or []) or None,
            opt_level=_opt_level(self.opt_level) if self.opt_level else None,
            iree_flags=tuple(self.iree_flag or ()),
            storage=self.storage,
            storage_writes=self.storage_writes,
            precision=self.precision,
            max_error=self.max_error,
            layout=self.layout,
            weights=self.weights,
            tuning=self.tuning,
            shipped_tuning=self.shipped_tuning,
            timeout_s=self.timeout,
            memory_limit=None if self.memory is None else int(self.memory * 1e9),
            save_temps=self.save_temps,
            validate=self.validate,
            keep_ir=False,
            inspect_kernels=inspect_kernels,
            progress=progress,
        )


@dataclass(frozen=True)
class DataSettings:
    """The arrays that a model runs on."""

    input: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="A .npz with one array for each input by name, or one .npy for each input "
            "in order; random arrays by default.",
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of the random inputs.")] = 0


@dataclass(frozen=True)
class MessageSettings:
    """What is said on stderr."""

    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            metavar="",
            help="Say more, and show the traceback of an error; -vv shows all logs.",
            rich_help_panel=_MESSAGES,
        ),
    ] = 0
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Say nothing but errors.", rich_help_panel=_MESSAGES
        ),
    ] = False
    progress: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress",
            help="Show progress bars; by default only on a terminal.",
            show_default=False,
            rich_help_panel=_MESSAGES,
        ),
    ] = None


def _opt_level(text: str) -> str:
    """``O3`` for each of its common spellings: ``-O3``, ``-O O3``, ``-O o3``."""
    return f"O{text.lstrip('oO')}"


def parse_shapes(texts: list[str]) -> dict[str, tuple[int, ...]]:
    """The shapes of ``["x=1x3x224x224", "mask=1x77"]`` by input name.

    Raises:
        InvalidInputError: a text of another form.
    """
    return dict(_parse_shape(text) for text in texts)


def _parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, separator, shape = text.rpartition("=")
    sizes = shape.split("x")
    if not (separator and name and all(size.isdecimal() and int(size) for size in sizes)):
        raise InvalidInputError(
            f"input shape '{text}' is not of the form NAME=1x3x224x224; "
            "give the input's name and sizes above 0"
        )
    return name, tuple(map(int, sizes))


def expand_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a settings class replaced by its fields."""
    hints = get_type_hints(command, include_extras=True)
    kept: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            groups[parameter.name] = hint
        else:
            kept.append(parameter.replace(annotation=hint))
    fields = [field for group in groups.values() for field in _parameters(group)]

    @functools.wraps(command)
    def expanded(**values: Any) -> None:
        settings = {
            name: group(**{f.name: values.pop(f.name) for f in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        command(**values, **settings)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*kept, *fields)]
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {p.name: p.annotation for p in parameters}
    return expanded


def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(group)
    ]
