"""What may stand in a saved program: names of operators, plain names, sizes.

PyTorch looks operators up by name in its own modules, writes names into Python code that
it runs, and evaluates size expressions. Each string is checked for what it is used as.
"""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any

import torch
from torch.utils._sympy import functions

from smartmem.errors import InvalidInputError

_PLAIN = re.compile(r"[\w.+\-:/ ,\[\]]*")
_SYMBOL = re.compile(r"[a-z]{1,3}\d+")
_NUMBER = re.compile(r"[\d.e+\-]+")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|quantized_decomposed|torchvision)\.\w+(\.\w+)?"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|torch\.(sym_\w+|_sym_\w+)|math\.\w+"
)
_KEPT_METADATA = ("stack_trace", "nn_module_stack")
# Handed to operators as they are, in quotes.
_ARGUMENTS = ("as_string", "as_strings")
_TREES = ("in_spec", "out_spec")
_SIZES = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Constant),
    *(
        ast.Name,
        ast.Call,
        ast.keyword,
        ast.Load,
        ast.operator,
        ast.unaryop,
        ast.cmpop,
        ast.boolop,
    ),
)
_FUNCTIONS = frozenset(
    (
        *("Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Pow", "Abs", "floor"),
        *("ceiling", "Max", "Min", "Eq", "Ne"),
    )
) | {name for name, value in vars(functions).items() if isinstance(value, type)}


def checked_program(program: dict[str, Any]) -> dict[str, Any]:
    """``program``, the JSON of an exported program, without what is not needed.

    Raises:
        InvalidInputError: it names something else than an operator, or holds text that
            would be run.
    """
    program["guards_code"] = []  # Python code about the inputs, which are fixed anyway
    _check("", program)
    return program


def _check(key: str, value: Any) -> None:
    if isinstance(value, dict):
        if key == "metadata":
            _drop_all_but(_KEPT_METADATA, value)
            return
        for name, inner in value.items():
            _check_text(name, "the name")
            _check(name, inner)
    elif isinstance(value, list):
        for inner in value:
            _check(key, inner)
    elif isinstance(value, str):
        _check_string(key, value)


def _drop_all_but(names: tuple[str, ...], mapping: dict[str, Any]) -> None:
    for name in [name for name in mapping if name not in names]:
        del mapping[name]


def _check_string(key: str, text: str) -> None:
    if key in ("target", "as_operator"):
        _check_operator(text)
    elif key == "expr_str":
        _check_size(text)
    elif key in _TREES:
        _check_tree(json.loads(text) if text else None)
    elif key not in _ARGUMENTS:
        _check_text(text, f"the {key or 'text'}")


def _check_text(text: str, what: str) -> None:
    if not _PLAIN.fullmatch(text):
        raise InvalidInputError(
            f"the saved program holds {what} {text[:60]!r}, which is no plain name; rename "
            "it in the model and save the program anew"
        )


def _check_operator(target: str) -> None:
    if _OPERATOR.fullmatch(target) and _is_operator(target):
        return
    raise InvalidInputError(
        f"the saved program calls {target[:60]!r}, which is no operator of PyTorch's that "
        "SmartMem knows; export the model without it"
    )


def _is_operator(target: str) -> bool:
    value: Any = torch if target.startswith("torch") else math
    if target.startswith("_operator"):
        return True
    for name in target.split(".")[1:]:
        value = getattr(value, name, None)
    if not target.startswith("torch.ops."):
        return callable(value)
    if isinstance(value, torch._ops.OpOverload):
        # What takes the name of a file reads or writes it.
        return not any("file" in argument.name for argument in value._schema.arguments)
    return isinstance(value, torch._ops.HigherOrderOperator)


def _check_size(text: str) -> None:
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except SyntaxError:
        nodes = []
    if not nodes or not all(map(_is_size, nodes)):
        raise InvalidInputError(
            f"the saved program holds the size {text[:60]!r}, which is no arithmetic; export "
            "the model with static shapes"
        )


def _is_size(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return bool(_SYMBOL.fullmatch(node.id)) or node.id in _FUNCTIONS
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(_SYMBOL.fullmatch(node.value) or _NUMBER.fullmatch(node.value))
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float))
    return isinstance(node, _SIZES)


def _check_tree(value: Any) -> None:
    """A structure of inputs or outputs: registered types, and keys in JSON of their own."""
    if isinstance(value, list):
        for inner in value:
            _check_tree(inner)
    elif isinstance(value, dict):
        if "__enum__" in value or "default_factory_module" in value:
            raise InvalidInputError(
                "the saved program takes or returns an enumeration or a defaultdict; use "
                "strings or a dict, and save the program anew"
            )
        for name, inner in value.items():
            is_json = name == "context" and isinstance(inner, str)
            _check_tree(json.loads(inner) if is_json else inner)
    elif isinstance(value, str):
        _check_text(value, "the key")
