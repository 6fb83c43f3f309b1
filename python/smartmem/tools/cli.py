"""``smartmem``: compiles models and runs, checks and measures them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import smartmem
from smartmem.tools import (
    cli_bundle,
    cli_compile,
    cli_demo,
    cli_device,
    cli_doctor,
    cli_explore,
    cli_info,
    cli_profile,
    cli_report,
    cli_run,
    cli_targets,
    cli_tune,
)
from smartmem.tools.process import run_tool
from smartmem.tools.supervisor import supervised

app = typer.Typer(
    name="smartmem",
    help="Compile neural networks for mobile GPUs and CPUs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("compile")(cli_compile.compile_command)
app.command("info")(cli_info.info_command)
app.command("run")(cli_run.run_command)
app.command("check")(cli_run.check_command)
app.command("benchmark")(cli_run.benchmark_command)
app.command("profile")(cli_profile.profile_command)
app.command("tune")(cli_tune.tune_command)
app.command("targets")(cli_targets.targets_command)
app.command("report")(cli_report.report_command)
app.command("explore")(cli_explore.explore_command)
app.command("bundle")(cli_bundle.bundle_command)
app.command("device")(cli_device.device_command)
app.command("doctor")(cli_doctor.doctor_command)
app.command("demo")(cli_demo.demo_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"smartmem {smartmem.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the tool; exits with 0, 1 for a fault, 2 for a wrong command line, 130 for Ctrl-C,
    143 for SIGTERM."""
    sys.exit(supervised(lambda: run_tool(app)))


if __name__ == "__main__":
    main()
