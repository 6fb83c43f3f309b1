"""The pages on the commands, from their parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import typer

from reference_pages.markdown import NOTE, table
from smartmem.tools.cli import app
from smartmem.tools.opt_arguments import argument_parser

_METAVARS = {int: "N", float: "NUMBER"}
_COMMON = """\
`smartmem --version` prints the version, `smartmem COMMAND --help` what stands here. The exit
status is 0, 1 after a fault, 2 for a wrong command line, 130 after Ctrl-C, 143 after SIGTERM.
`python -m smartmem` is the same command.
"""


def smartmem_page() -> str:
    """The command ``smartmem``: each subcommand with its arguments and options."""
    group: Any = typer.main.get_command(app)
    listed = table(
        ("command", ""),
        [
            [f"[`{name}`](#{name})", _summary(command)]
            for name, command in group.commands.items()
        ],
    )
    sections = "\n".join(_command(name, command) for name, command in group.commands.items())
    return f"{NOTE}# `smartmem`\n\n{group.help}\n\n{listed}\n{_COMMON}\n{sections}"


def _summary(command: Any) -> str:
    return str(command.help).split("\n\n")[0]


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p not in arguments and p.name != "help"]
    usage = " ".join([f"smartmem {name} [OPTIONS]", *(str(p.metavar) for p in arguments)])
    rows = [_argument(p) for p in arguments] + [_option(p) for p in options]
    return (
        f"## {name}\n\n{command.help}\n\n```text\n{usage}\n```\n\n"
        f"{table(('', 'default', 'meaning'), rows)}"
    )


def _argument(parameter: Any) -> list[str]:
    return [f"`{parameter.metavar}`", "", parameter.help or ""]


def _option(parameter: Any) -> list[str]:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.is_flag or parameter.count:
        return [names, "", parameter.help]
    metavar = parameter.metavar or _METAVARS.get(type(parameter.default), "TEXT")
    default = "" if parameter.default is None else f"`{parameter.default}`"
    return [f"{names} `{metavar}`", default, parameter.help]


def opt_page() -> str:
    """The command ``smartmem-opt``: its options by group."""
    parser = argument_parser()
    groups = "\n".join(
        f"## {_title(group)}\n\n{table(('', 'meaning'), rows)}"
        for group in parser._action_groups
        if (rows := list(_actions(group)))
    )
    usage = parser.format_usage().removeprefix("usage: ").strip()
    return (
        f"{NOTE}# `smartmem-opt`\n\n{parser.description} {parser.epilog}\n"
        "[Passes](passes.md) describes SmartMem's own.\n\n"
        f"```text\n{usage}\n```\n\n{groups}"
    )


def _title(group: argparse._ArgumentGroup) -> str:
    known = {"positional arguments": "Arguments", "options": "General"}
    title = group.title or ""
    return known.get(title, title[:1].upper() + title[1:])


def _actions(group: argparse._ArgumentGroup) -> Iterator[list[str]]:
    for action in group._group_actions:
        names = ", ".join(f"`{_spelled(o, action)}`" for o in action.option_strings)
        text = (action.help or "") % {"default": action.default}
        yield [names or f"`{action.dest}`", text]


def _spelled(option: str, action: argparse.Action) -> str:
    if action.nargs == 0:
        return option
    name = action.metavar or "|".join(map(str, action.choices or ["VALUE"]))
    separator = "=" if option.startswith("--") else " "
    value = f"{separator}{name}"
    return f"{option}[{value}]" if action.nargs == "?" else f"{option}{value}"
