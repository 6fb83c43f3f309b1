"""Runs text of MLIR in the reference interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch_mlir import ir

from smartmem.interpreter import Array, interpret
from smartmem.tools.opt_source import Source, make_context, parse_source


def parsed(text: str) -> ir.Module:
    """The module that ``text`` holds, which may have operations of unknown dialects."""
    module = parse_source(Source("test.mlir", text), make_context(True), True)
    assert isinstance(module, ir.Module)
    return module


def run(text: str, *inputs: Any) -> list[Array]:
    """What the function of ``text`` computes."""
    return interpret(parsed(text), inputs)


def run_body(body: str, arguments: Sequence[str], results: str, *inputs: Any) -> list[Array]:
    """What ``body`` computes, which returns; its arguments are %0, %1 and so on."""
    listed = ", ".join(f"%arg{n}: {type_}" for n, type_ in enumerate(arguments))
    return run(f"func.func @main({listed}) -> ({results}) {{\n{body}\n}}", *inputs)
