"""``smartmem-opt``: runs passes of SmartMem and of MLIR on MLIR text or bytecode.

The flags are those of ``mlir-opt``; see docs/how-to/use-smartmem-opt.md.
"""

from __future__ import annotations

import argparse
import io
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch_mlir import ir

from smartmem.compiler.activity import activities
from smartmem.errors import (
    InterpreterError,
    InvalidInputError,
    SmartMemError,
    UnsupportedError,
    ValidationError,
)
from smartmem.files import write_file
from smartmem.mlir.diagnostics import collect_diagnostics
from smartmem.mlir.ir_printing import PrintOptions
from smartmem.mlir.pipelines import (
    MODULE,
    PipelineElement,
    expand_pipeline,
    run_pipeline,
    works_on,
)
from smartmem.parameters import Parameters
from smartmem.passes import Pass, PassContext
from smartmem.tools.opt_arguments import PassArguments, parse_arguments
from smartmem.tools.opt_diagnostics import Reporter, unmet_expectations
from smartmem.tools.opt_listing import dialect_listing, pass_listing, versions
from smartmem.tools.opt_reproducer import read_reproducer, reproducer
from smartmem.tools.opt_source import (
    Source,
    make_context,
    parse_source,
    read_source,
    verify_roundtrip,
)
from smartmem.tools.process import run_tool, say
from smartmem.tools.supervisor import supervised

if TYPE_CHECKING:
    from smartmem.validation import Validator

_LOG_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def main() -> int:
    """Runs the tool in a child process; returns its exit status.

    That is 0, 1 for any fault, 130 for Ctrl-C, 143 for SIGTERM.
    """
    return supervised(lambda: run(sys.argv[1:]), "smartmem-opt")


def run(argv: Sequence[str]) -> int:
    """Runs the tool in this process, which a crash of MLIR ends; as ``main``."""
    return run_tool(lambda: _main(argv))


def _main(argv: Sequence[str]) -> int:
    try:
        arguments, passes = parse_arguments(argv)
        level = _LOG_LEVELS[min(arguments.verbose, len(_LOG_LEVELS) - 1)]
        logging.basicConfig(level=level, stream=sys.stderr, format="%(name)s: %(message)s")
        return _run(arguments, passes)
    except SmartMemError as error:
        _log_traceback(error)
        say(f"error: {error}")
        return 1


def _run(arguments: argparse.Namespace, passes: PassArguments) -> int:
    information = _information(arguments)
    if information:
        print(information)
        return 0
    to_terminal = arguments.output == "-" and sys.stdout is not None and sys.stdout.isatty()
    if arguments.emit_bytecode and to_terminal:
        raise InvalidInputError("bytecode is not for a terminal; give a file with -o FILE")
    # Faults of the command line are found before the input is read.
    elements = passes.elements(MODULE)
    source = read_source(arguments.input)
    if arguments.run_reproducer:
        passes, arguments.verify_each = read_reproducer(source)
        elements = passes.elements(MODULE)
    arguments.works_on = works_on(elements)
    expanded = expand_pipeline(elements)
    if arguments.dump_pass_pipeline:
        print(f"Pass Manager with {len(elements)} passes:\n{expanded}", file=sys.stderr)
    return _process_all(source, arguments, passes)


def _information(arguments: argparse.Namespace) -> str:
    if arguments.version:
        return versions()
    if arguments.show_dialects:
        return dialect_listing()
    return pass_listing() if arguments.list_passes else ""


def _process_all(source: Source, arguments: argparse.Namespace, passes: PassArguments) -> int:
    """Processes each part, also after one failed; writes only if none did."""
    marker = arguments.split_input_file
    parts = [source] if marker is None else source.split(marker)
    outputs: list[str | bytes] = []
    succeeded = True
    for part in parts:
        reporter = Reporter(source, keep=bool(arguments.verify_diagnostics))
        output = _process(part, arguments, passes, reporter)
        if output is not None:
            outputs.append(output)
        succeeded &= _as_expected(part, arguments, reporter, output is not None)
    if not succeeded:
        return 1
    _write(outputs, arguments)
    return 0


def _as_expected(
    part: Source, arguments: argparse.Namespace, reporter: Reporter, succeeded: bool
) -> bool:
    if not arguments.verify_diagnostics:
        return succeeded
    only_expected = arguments.verify_diagnostics == "only-expected"
    faults = unmet_expectations(reporter, part, only_expected)
    for fault in faults:
        reporter.show(fault)
    return not faults


def _process(
    part: Source, arguments: argparse.Namespace, passes: PassArguments, reporter: Reporter
) -> str | bytes | None:
    """The output for one part of the input, or None when an error has been reported."""
    context = make_context(arguments.allow_unregistered_dialect, arguments.works_on)
    limits, deadline = arguments.limits, arguments.deadline
    try:
        with collect_diagnostics(context, reporter), activities(limits, deadline) as begin:
            begin(f"the parser on {part.name}")
            with reporter.stage():
                module = parse_source(part, context, not arguments.no_implicit_module)
            if arguments.verify_roundtrip:
                begin(f"the round trip of {part.name}")
                with reporter.stage():
                    verify_roundtrip(module.operation)
            with reporter.stage():
                _run_passes(module, arguments, passes, reporter, begin)
            begin(f"the printer of {part.name}")
            return _printed(module.operation, arguments)
    except SmartMemError as error:
        _log_traceback(error)
        return None


def _run_passes(
    module: ir.Module | ir.Operation,
    arguments: argparse.Namespace,
    passes: PassArguments,
    reporter: Reporter,
    begin: Callable[[str], None],
) -> None:
    elements = passes.elements(module.operation.name)
    pass_context = _pass_context(arguments.smartmem_target, arguments.smartmem_tuning)
    validates = arguments.smartmem_validate
    if validates:
        pass_context.validator = _validator(arguments)
    own = validates or any(isinstance(e, Pass) for e in elements)
    if arguments.works_on == "model" and own:
        from smartmem.frontend.mlir import read_resources

        pass_context.parameters = read_resources(module)
    _write_reproducers(module.operation, elements, arguments)
    try:
        run_pipeline(
            module,
            elements,
            pass_context,
            verify_each=arguments.verify_each,
            timing=arguments.mlir_timing,
            statistics=arguments.mlir_pass_statistics,
            print_options=_print_options(arguments),
            on_step=lambda names: begin(f"pass {names}"),
            on_diagnostic=reporter,
        )
    except (ValidationError, UnsupportedError, InterpreterError) as error:
        if validates:  # no pass has said it
            function = next(iter(module.operation.regions[0].blocks[0].operations))
            function.location.emit_error(str(error))
        raise
    finally:
        if arguments.smartmem_remarks:
            reporter.remarks(pass_context.remarks)
    if arguments.mlir_pass_pipeline_crash_reproducer:
        Path(arguments.mlir_pass_pipeline_crash_reproducer).unlink()


def _validator(arguments: argparse.Namespace) -> Validator:
    from smartmem.runtime.array_files import read_arrays
    from smartmem.validation import Validator

    given = arguments.smartmem_inputs
    inputs = None if given is None else read_arrays([Path(given)])
    return Validator(inputs=inputs, target=arguments.smartmem_target)


def _pass_context(target: str | None, tuning: str | None) -> PassContext:
    if target is None and tuning is None:
        return PassContext()
    from smartmem.backend.targets.targets import resolve_target
    from smartmem.compiler.stages import pass_context
    from smartmem.options import CompileOptions
    from smartmem.tuning.table import read_table

    if target is None:  # of whatever machine the measurements are
        return PassContext(tuning=None if tuning is None else read_table(Path(tuning)))
    options = CompileOptions(tuning=Path(tuning) if tuning else None, shipped_tuning=False)
    return pass_context(Parameters(), resolve_target(target), options)


def _write_reproducers(
    operation: ir.Operation,
    elements: Sequence[PipelineElement],
    arguments: argparse.Namespace,
) -> None:
    # Before the run, since a crash in MLIR ends the process.
    names = (arguments.mlir_generate_reproducer, arguments.mlir_pass_pipeline_crash_reproducer)
    paths = [Path(name) for name in names if name]
    if not paths:
        return
    text = reproducer(operation, elements, arguments.verify_each).encode()
    for path in paths:
        write_file(path, lambda out: out.write(text))


def _print_options(arguments: argparse.Namespace) -> PrintOptions:
    return PrintOptions(
        before_all=arguments.mlir_print_ir_before_all,
        after_all=arguments.mlir_print_ir_after_all,
        after_change=arguments.mlir_print_ir_after_change,
        after_failure=arguments.mlir_print_ir_after_failure,
        before=arguments.mlir_print_ir_before,
        after=arguments.mlir_print_ir_after,
        module_scope=arguments.mlir_print_ir_module_scope,
        tree_dir=arguments.mlir_print_ir_tree_dir,
        elide_elements=arguments.mlir_elide_elementsattrs_if_larger,
        elide_resources=arguments.mlir_elide_resource_strings_if_larger,
        debug_info=arguments.mlir_print_debuginfo,
        generic=arguments.mlir_print_op_generic,
    )


def _printed(operation: ir.Operation, arguments: argparse.Namespace) -> str | bytes:
    if arguments.emit_bytecode:
        buffer = io.BytesIO()
        operation.write_bytecode(buffer)
        return buffer.getvalue()
    text: str = operation.get_asm(
        large_elements_limit=arguments.mlir_elide_elementsattrs_if_larger,
        large_resource_limit=arguments.mlir_elide_resource_strings_if_larger,
        enable_debug_info=arguments.mlir_print_debuginfo or arguments.mlir_pretty_debuginfo,
        pretty_debug_info=arguments.mlir_pretty_debuginfo,
        print_generic_op_form=arguments.mlir_print_op_generic,
        use_local_scope=arguments.mlir_print_local_scope,
    )
    return text.rstrip("\n") + "\n"


def _write(outputs: Sequence[str | bytes], arguments: argparse.Namespace) -> None:
    texts = [output for output in outputs if isinstance(output, str)]
    joined = f"\n{arguments.output_split_marker}\n".join(texts).encode()
    data = joined + b"".join(output for output in outputs if isinstance(output, bytes))
    if arguments.output != "-":
        write_file(Path(arguments.output), lambda out: out.write(data))
        return
    if sys.stdout is None:
        raise InvalidInputError("standard output is closed; give a file with -o FILE")
    # Under PYTHONUNBUFFERED this is a raw stream, and a pipe takes only what fits.
    rest = memoryview(data)
    while rest:
        rest = rest[sys.stdout.buffer.write(rest) :]


def _log_traceback(error: SmartMemError) -> None:
    if logging.getLogger().isEnabledFor(logging.INFO):
        traceback.print_exception(error)
