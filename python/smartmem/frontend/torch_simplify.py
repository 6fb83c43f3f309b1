"""Rewrites on an exported program that torch-mlir's lowering cannot make later.

    as_strided(x, x's own shape and strides)   ->  x
    _safe_softmax(x) with no fully masked row  ->  _softmax(x)

PyTorch's attention computes the safe softmax, which looks at all scores again to give
0 for a row where each one is -inf. Scores of a matrix product, plus a constant mask that
leaves something in every row, have no such row.
"""

from __future__ import annotations

import math

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

_aten = torch.ops.aten
# Ops that give -inf only where their first operand holds it.
_KEEPS_FINITE = frozenset(
    (
        _aten.view.default,
        _aten._unsafe_view.default,
        _aten.expand.default,
        _aten.clone.default,
        _aten.permute.default,
        _aten.unsqueeze.default,
        _aten.squeeze.dims,
        _aten.mul.Scalar,
        _aten.div.Scalar,
    )
)
_PRODUCTS = frozenset((_aten.bmm.default, _aten.mm.default, _aten.addmm.default))


def simplify(program: ExportedProgram) -> None:
    """Applies the rewrites to ``program``, after its constants are folded."""
    constants = _constants(program)
    for node in list(program.graph.nodes):
        if node.op != "call_function":
            continue
        if node.target == _aten.as_strided.default and _is_identity(node):
            _replace(node, _operand(node, 0))
        elif node.target == _aten._safe_softmax.default and _is_plain(node, constants):
            with program.graph.inserting_before(node):
                new = program.graph.call_function(
                    _aten._softmax.default, (node.args[0], node.args[1], False)
                )
            new.meta = dict(node.meta)
            _replace(node, new)


def _replace(node: fx.Node, new: fx.Node) -> None:
    graph, name = node.graph, node.name
    node.replace_all_uses_with(new)
    graph.erase_node(node)
    if new.op == "call_function":
        new.name = name  # the signature names the outputs


def _operand(node: fx.Node, index: int) -> fx.Node:
    operand = node.args[index]
    assert isinstance(operand, fx.Node)
    return operand


def _is_identity(node: fx.Node) -> bool:
    source, result = _operand(node, 0).meta["val"], node.meta["val"]
    is_output = any(user.op == "output" for user in node.users)
    return (
        not is_output
        and source.shape == result.shape
        and source.storage_offset() == result.storage_offset()
        and all(
            size == 1 or a == b
            for size, a, b in zip(source.shape, source.stride(), result.stride(), strict=True)
        )
    )


def _constants(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """Tensors by the name of the placeholder that stands for them."""
    known = {**program.state_dict, **program.constants}
    return {
        spec.arg.name: known[spec.target]
        for spec in program.graph_signature.input_specs
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
    }


def _is_plain(softmax: fx.Node, constants: dict[str, torch.Tensor]) -> bool:
    if len(softmax.args) > 2 or softmax.kwargs.get("dtype") is not None:
        return False
    scores, dim = _operand(softmax, 0), softmax.args[1]
    last = scores.meta["val"].dim() - 1
    return dim in (-1, last) and _has_finite_rows(scores, constants, as_rows=True)


def _has_finite_rows(node: object, constants: dict[str, torch.Tensor], as_rows: bool) -> bool:
    """Whether no row of ``node`` can be all -inf.

    Args:
        as_rows: the rows of ``node`` are those of the softmax. Where they are not (a
            reshape is in between), a mask has to be finite everywhere.
    """
    if not isinstance(node, fx.Node):
        return False
    if node.target in _PRODUCTS:
        return True
    if node.target in _KEEPS_FINITE:
        same_rows = node.target in (_aten.mul.Scalar, _aten.div.Scalar)
        return _has_finite_rows(node.args[0], constants, as_rows and same_rows)
    if node.target == _aten.mul.Tensor and isinstance(node.args[1], (int, float)):
        return _has_finite_rows(node.args[0], constants, as_rows)
    if node.target == _aten.add.Tensor:
        for scores, mask in (node.args, node.args[::-1]):
            if _leaves_every_row(mask, constants, as_rows):
                # Two masks can together hide what each alone leaves.
                return _has_finite_rows(scores, constants, as_rows=False)
    return False


def _leaves_every_row(mask: object, constants: dict[str, torch.Tensor], as_rows: bool) -> bool:
    if not isinstance(mask, fx.Node):
        return False
    if mask.target == _aten.full.default:
        fill = mask.args[1]
        return isinstance(fill, (int, float)) and math.isfinite(fill)
    value = constants.get(mask.name)
    if value is None or value.dim() == 0:
        return False
    finite = torch.isfinite(value)
    return bool((finite.any(dim=-1) if as_rows else finite).all())
