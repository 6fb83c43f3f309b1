"""The command line of ``smartmem-opt``: its own options, and passes in their order."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from smartmem.errors import InvalidInputError
from smartmem.mlir.pipeline_text import unknown_pass
from smartmem.mlir.pipelines import PipelineElement, parse_flag, parse_pipeline
from smartmem.mlir.upstream_passes import upstream_passes
from smartmem.options import CompileOptions
from smartmem.passes import PASSES

SPLIT_MARKER = "// -----"

_SWITCHES = {
    "passes": {
        "verify-each": "verify the IR after each pass (default)",
        "no-verify-each": "do not verify the IR after each pass",
        "dump-pass-pipeline": "print the pipeline with all its options to stderr",
        "run-reproducer": "run the pipeline that the input, a reproducer, holds",
        "mlir-disable-threading": "changes nothing: all passes run in one thread",
        "smartmem-remarks": "print the decisions of SmartMem's passes as remarks",
        "smartmem-validate": "fail at the first pass that changes what the module computes; "
        "what shows it goes to smartmem-validation",
    },
    "input and output": {
        "no-implicit-module": "the input is one operation of any kind; add no module",
        "allow-unregistered-dialect": "accept operations of unknown dialects",
        "verify-roundtrip": "check that the input survives printing and parsing",
        "emit-bytecode": "write MLIR bytecode instead of text",
        "mlir-print-op-generic": "print the generic form of operations",
        "mlir-print-debuginfo": "print locations",
        "mlir-pretty-debuginfo": "print locations for readers; cannot be parsed again",
        "mlir-print-local-scope": "print attributes in place: no aliases, and no resource data",
    },
    "debugging (to stderr)": {
        "mlir-print-ir-before-all": "print the IR before each pass",
        "mlir-print-ir-after-all": "print the IR after each pass",
        "mlir-print-ir-after-change": "print the IR after each pass that changed it",
        "mlir-print-ir-after-failure": "print the IR after a pass that failed",
        "mlir-print-ir-module-scope": "print the whole module for passes on functions too",
        "mlir-timing": "print the time of each pass",
        "mlir-pass-statistics": "print what passes counted, where they were built to count",
    },
    "information": {
        "show-dialects": "list the dialects and exit",
        "list-passes": "list the passes and exit",
        "version": "print the versions of SmartMem, torch-mlir, LLVM and IREE and exit",
    },
}


@dataclass(frozen=True)
class PassArguments:
    """The passes asked for: a pipeline's text, or flags in their order.

    Attributes:
        pipeline: the text of ``--pass-pipeline``, or None.
        flags: name and options of each pass flag.
        options: the tool's own flags, to suggest for a misspelt one.
    """

    pipeline: str | None
    flags: Sequence[tuple[str, str]]
    options: Sequence[str]

    def __bool__(self) -> bool:
        return self.pipeline is not None or bool(self.flags)

    def elements(self, anchor: str) -> list[PipelineElement]:
        """The pipeline for an operation named ``anchor``.

        Raises:
            PassError: an unknown pass or option, or a malformed pipeline.
        """
        if self.pipeline is not None:
            return parse_pipeline(self.pipeline, anchor=anchor, passes=PASSES)
        return [
            parse_flag(name, options, anchor=anchor, passes=PASSES, other_flags=self.options)
            for name, options in self.flags
        ]


def _known_passes(text: str) -> tuple[str, ...]:
    """The names of passes in a list; PassError, with what is close, if one is none."""
    names = tuple(name.strip().removeprefix("--") for name in text.split(","))
    known = [*(cls.argument for cls in PASSES), *upstream_passes()]
    for name in names:
        if name not in known:
            raise unknown_pass(name, known)
    return names


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInputError(f"{message}; see smartmem-opt --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        print(message, end="", file=file)  # argparse keeps silent about a full disk


def parse_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, PassArguments]:
    """The tool's options, and the passes.

    Raises:
        InvalidInputError: a malformed option, or flags that exclude each other.
    """
    parser = argument_parser()
    switches = {f"--{name}" for group in _SWITCHES.values() for name in group}
    defaults = {
        option: action.const
        for action in parser._actions
        if action.nargs == "?"
        for option in action.option_strings
    }
    known = {option for action in parser._actions for option in action.option_strings}
    options: list[str] = []
    flags: list[tuple[str, str]] = []
    rest = iter(argv)
    for token in rest:
        flag, equals, value = _long_flag(token).partition("=")
        if token == "--":
            options += ["--", *rest]
        elif not token.startswith("-") or token == "-":
            options.append(token)
        elif flag not in known and not re.fullmatch("-v+", flag):
            flags.append((flag.removeprefix("--"), value))
        elif flag in switches and equals:
            options += _switch(flag, value, switches)
        elif flag in defaults and not equals:
            options.append(f"{flag}={defaults[flag]}")
        else:
            options.append(flag + equals + value)
    arguments = parser.parse_args(options)
    _check(arguments, flags)
    arguments.limits = _limits(arguments)
    arguments.deadline = time.monotonic() + arguments.timeout
    arguments.verify_each = not arguments.no_verify_each
    names = sorted(option.removeprefix("--") for option in known)
    return arguments, PassArguments(arguments.pass_pipeline, flags, names)


def _long_flag(token: str) -> str:
    """``token`` with two dashes if it is a long flag spelled with one, as LLVM's tools allow."""
    is_long = re.match(r"-[A-Za-z][\w-]", token) and not re.fullmatch("-v+", token)
    return f"-{token}" if is_long else token


def _switch(flag: str, value: str, switches: set[str]) -> Iterator[str]:
    """A flag without value for LLVM's ``--flag=true`` and ``--flag=false``."""
    if value in ("true", "1"):
        yield flag
    elif value not in ("false", "0"):
        raise InvalidInputError(f"{flag}={value}: the value must be true or false")
    elif (opposite := flag.replace("--", "--no-", 1)) in switches:
        yield opposite


def _check(arguments: argparse.Namespace, flags: Sequence[tuple[str, str]]) -> None:
    if arguments.smartmem_inputs and not arguments.smartmem_validate:
        raise InvalidInputError("--smartmem-inputs is for --smartmem-validate; give both")
    sources = {
        "--pass-pipeline": arguments.pass_pipeline is not None,
        "pass flags": bool(flags),
        "--run-reproducer": arguments.run_reproducer,
    }
    given = [name for name, present in sources.items() if present]
    if len(given) > 1:
        raise InvalidInputError(f"{' and '.join(given)} exclude each other; use one of them")
    if arguments.mlir_print_ir_tree_dir and (
        arguments.mlir_print_ir_before or arguments.mlir_print_ir_after
    ):
        raise InvalidInputError(
            "--mlir-print-ir-tree-dir takes what is printed around all passes; use it with "
            "--mlir-print-ir-after-all or --mlir-print-ir-before-all"
        )
    if arguments.split_input_file is not None:
        for name in (
            "emit_bytecode",
            "run_reproducer",
            "mlir_generate_reproducer",
            "mlir_pass_pipeline_crash_reproducer",
        ):
            if getattr(arguments, name):
                flag = name.replace("_", "-")
                raise InvalidInputError(
                    f"--{flag} works on one module; drop --split-input-file"
                )


def _limits(arguments: argparse.Namespace) -> CompileOptions:
    """The limits of the whole run; InvalidInputError if they are no positive numbers."""
    memory = None if arguments.memory is None else int(arguments.memory * 1e9)
    return CompileOptions(timeout_s=arguments.timeout, memory_limit=memory)


def argument_parser() -> argparse.ArgumentParser:
    """The parser of the tool's own options, which are all but the passes."""
    parser = _Parser(
        prog="smartmem-opt",
        usage="smartmem-opt [options] [--PASS[='option=value ...'] ...] [input]",
        description="Runs passes of SmartMem and of MLIR on MLIR text or bytecode.",
        epilog="Every pass is a flag too; smartmem-opt --list-passes names them.",
        allow_abbrev=False,
    )
    parser.add_argument("input", nargs="?", default="-", help="MLIR file, - is stdin (default)")
    groups = {name: parser.add_argument_group(name) for name in _SWITCHES}
    _add_valued_options(groups)
    for name, switches in _SWITCHES.items():
        for switch, text in switches.items():
            groups[name].add_argument(f"--{switch}", action="store_true", help=text)
    groups["debugging (to stderr)"].add_argument(
        "-v", "--verbose", action="count", default=0,
        help="log what happens, and tracebacks; twice for more",
    )  # fmt: skip
    return parser


def _add_valued_options(groups: dict[str, argparse._ArgumentGroup]) -> None:
    passes, in_out, debugging, _ = groups.values()
    passes.add_argument(
        "--pass-pipeline", metavar="TEXT",
        help="such as 'builtin.module(canonicalize,func.func(cse))'",
    )  # fmt: skip
    passes.add_argument(
        "--smartmem-target", metavar="TARGET",
        help="what passes are to compile for, as `smartmem targets` lists; no part of a "
        "reproducer (default: a CPU with AVX-512)",
    )  # fmt: skip
    passes.add_argument(
        "--smartmem-tuning", metavar="FILE",
        help="what was measured for passes, as `smartmem tune` writes; no part of a "
        "reproducer (default: nothing, also of what is shipped)",
    )  # fmt: skip
    passes.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=CompileOptions.timeout_s,
        help="time limit of the whole run (default: %(default)g)",
    )  # fmt: skip
    passes.add_argument(
        "--memory", metavar="GB", type=float,
        help="memory limit (default: four fifths of the machine's)",
    )  # fmt: skip
    passes.add_argument(
        "--smartmem-inputs", metavar="FILE",
        help="what --smartmem-validate runs the module on: a .npz with an array for each "
        "argument, in order (default: random arrays)",
    )  # fmt: skip
    in_out.add_argument(
        "-o", dest="output", metavar="FILE", default="-", help="output, - is stdout (default)"
    )
    in_out.add_argument(
        "--split-input-file", nargs="?", const=SPLIT_MARKER, metavar="MARKER",
        help=f"process the parts between lines '{SPLIT_MARKER}' one by one",
    )  # fmt: skip
    in_out.add_argument(
        "--output-split-marker", metavar="MARKER", default=SPLIT_MARKER,
        help="line between the parts of the output",
    )  # fmt: skip
    in_out.add_argument(
        "--verify-diagnostics", nargs="?", const="all", choices=["all", "only-expected"],
        help="check diagnostics against comments such as // expected-error@+1 {{text}}",
    )  # fmt: skip
    in_out.add_argument(
        "--mlir-elide-elementsattrs-if-larger", metavar="N", type=int,
        help="print ... for constants of more than N elements",
    )  # fmt: skip
    in_out.add_argument(
        "--mlir-elide-resource-strings-if-larger", metavar="N", type=int,
        help="print ... for resources of more than N characters",
    )  # fmt: skip
    for when in ("before", "after"):
        debugging.add_argument(
            f"--mlir-print-ir-{when}", metavar="PASS", type=_known_passes, default=(),
            help=f"print the module {when} these passes, separated by commas",
        )  # fmt: skip
    debugging.add_argument(
        "--mlir-print-ir-tree-dir", metavar="DIR", help="print the IR to files below DIR"
    )
    debugging.add_argument(
        "--mlir-generate-reproducer", metavar="FILE",
        help="write the input and the pipeline to FILE for --run-reproducer",
    )  # fmt: skip
    debugging.add_argument(
        "--mlir-pass-pipeline-crash-reproducer", metavar="FILE",
        help="the same, but leave FILE only if the pipeline fails or the tool crashes",
    )  # fmt: skip
