"""Complex numbers as pairs of real tensors: what is compiled knows no complex type.

Each operator of a complex tensor is traced on PyTorch's ``ComplexTensor``, which computes
it from real and imaginary parts, and the real operators take its place:

    view_as_real(mul(view_as_complex(x), c))  ->  selects, products, sums and one stack

Rotary embeddings, spectra (``torch_fft``) and layers that work on them come this way.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import fx
from torch._subclasses.complex_tensor import ComplexTensor
from torch._subclasses.complex_tensor._ops.common import lookup_complex
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, OutputKind, TensorArgument
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from smartmem.errors import UnsupportedError
from smartmem.frontend import torch_fft
from smartmem.frontend.torch_program import operator_at

_aten = torch.ops.aten
_Rule = Callable[..., Any]
_Values = dict[fx.Node, Any]
"""What stands for a node: a node, a ``_Pair``, or a list of these."""


class _Pair(NamedTuple):
    """The real and the imaginary part, nodes or tensors."""

    re: Any
    im: Any


def make_real(program: ExportedProgram, table: Mapping[Any, _Rule]) -> None:
    """Replaces all complex tensors of ``program``, whose operators are decomposed.

    Args:
        table: decompositions of the real operators that come in.

    Raises:
        UnsupportedError: an input or output is complex, or an operator of complex tensors
            has no rule; the message names it.
    """
    nodes = list(program.graph.nodes)
    if not any(map(_is_complex, nodes)):
        return
    _check_signature(program)
    values: _Values = {}
    for node in nodes:
        if node.op == "placeholder" and _is_complex(node):
            values[node] = _split_constant(program, node)
        elif node.op == "call_function" and _touches_complex(node, values):
            _rewrite(node, values, table)
    for node in reversed([node for node in nodes if node in values]):
        if not node.users:
            program.graph.erase_node(node)
    program.graph.eliminate_dead_code()


def _is_complex(node: fx.Node) -> bool:
    leaves = pytree.tree_leaves(node.meta.get("val"))
    return any(isinstance(leaf, torch.Tensor) and leaf.is_complex() for leaf in leaves)


def _touches_complex(node: fx.Node, values: _Values) -> bool:
    return _is_complex(node) or any(source in values for source in node.all_input_nodes)


def _check_signature(program: ExportedProgram) -> None:
    complex_nodes = {node.name for node in program.graph.nodes if _is_complex(node)}
    signature = program.graph_signature
    inputs = [s.arg.name for s in signature.input_specs if s.kind == InputKind.USER_INPUT]
    outputs = [s.arg.name for s in signature.output_specs if s.kind == OutputKind.USER_OUTPUT]
    for what, names, advice in (
        (
            "input",
            inputs,
            "take real and imaginary parts, and make it by torch.view_as_complex",
        ),
        ("output", outputs, "return torch.view_as_real of it"),
    ):
        found = next((name for name in names if name in complex_nodes), None)
        if found is not None:
            raise UnsupportedError(f"{what} {found} of the model is complex; {advice}")


def _split_constant(program: ExportedProgram, node: fx.Node) -> _Pair:
    """Two constants, without a place in the model's state, for a complex one."""
    specs = program.graph_signature.input_specs
    index = next(i for i, spec in enumerate(specs) if spec.arg.name == node.name)
    target = specs[index].target
    value = {**program.state_dict, **program.constants}[target].detach().resolve_conj()
    parts, new = [], []
    for part, tensor in (("real", value.real), ("imag", value.imag)):
        name = f"{target}.{part}"
        program.constants[name] = tensor.contiguous()
        with program.graph.inserting_before(node):
            placeholder = program.graph.placeholder(f"{node.name}_{part}")
        placeholder.meta["val"] = _part(node.meta["val"], part)
        new.append(InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(placeholder.name), name))
        parts.append(placeholder)
    specs[index : index + 1] = new
    return _Pair(*parts)


def _part(value: torch.Tensor, part: str) -> torch.Tensor:
    with value.fake_mode:  # type: ignore[attr-defined]
        return torch.empty(value.shape, dtype=getattr(value, part).dtype, device=value.device)


def _rewrite(node: fx.Node, values: _Values, table: Mapping[Any, _Rule]) -> None:
    if node.target is operator.getitem:
        source, index = node.args
        result = values[source][index]  # type: ignore[index]
    else:
        result = _traced(node, values, table)
    values[node] = result
    if isinstance(result, fx.Node):
        _take_place(node, result)


def _take_place(node: fx.Node, result: fx.Node) -> None:
    graph, name = node.graph, node.name
    if any(user.op == "output" for user in node.users) and result.op == "placeholder":
        with graph.inserting_before(node):
            copy = graph.call_function(_aten.clone.default, (result,))
        copy.meta = dict(result.meta)
        result = copy
    node.replace_all_uses_with(result)
    if any(user.op == "output" for user in result.users):
        node.name = f"{name}_complex"
        result.name = name  # the signature names the outputs


def _traced(node: fx.Node, values: _Values, table: Mapping[Any, _Rule]) -> Any:
    """Writes the real operators of ``node`` before it, and returns what stands for it."""
    given = {n: values.get(n, n) for n in node.all_input_nodes}
    leaves, structure = pytree.tree_flatten(given)
    results: list[Any] = []

    def compute(*tensors: torch.Tensor) -> list[torch.Tensor]:
        known = _joined(pytree.tree_unflatten(list(tensors), structure))
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
        # Directly: a composite operator is decomposed before the mode sees it.
        called: Any = _MAKERS.get(node.target, node.target)
        with _RealArithmetic():  # type: ignore[no-untyped-call]
            results[:] = [called(*args, **kwargs)]
        if any(map(_is_left_complex, pytree.tree_leaves(results))):
            raise NotImplementedError(str(node.target))
        return pytree.tree_leaves(pytree.tree_map_only(ComplexTensor, _parts, results[0]))

    try:
        examples = [leaf.meta["val"] for leaf in leaves]
        with _fake_mode(node):
            traced = make_fx(compute, decomposition_table=dict(table))(*examples)
    except UnsupportedError:
        raise
    except Exception as error:  # PyTorch's rules raise anything
        raise UnsupportedError(
            f"{operator_at(node)} of complex numbers cannot be compiled; compute with real "
            "and imaginary parts, or leave it out of the model"
        ) from error
    found = iter(_inlined(node, traced.graph, leaves))
    return pytree.tree_map_only(
        torch.Tensor,
        lambda t: _Pair(next(found), next(found)) if _is_pair(t) else next(found),
        results[0],
        is_leaf=_is_pair,
    )


def _inlined(node: fx.Node, traced: fx.Graph, given: list[fx.Node]) -> list[fx.Node]:
    """Copies the operators of ``traced`` to before ``node``; returns the results."""
    kept: dict[str, Any] = {
        k: node.meta[k] for k in ("nn_module_stack", "stack_trace") if k in node.meta
    }
    sources = iter(given)
    new: dict[fx.Node, fx.Node] = {}
    for inner in traced.nodes:
        if inner.op == "placeholder":
            new[inner] = next(sources)
        elif inner.op == "output":
            return [new[result] for result in inner.args[0]]
        else:
            with node.graph.inserting_before(node):
                new[inner] = node.graph.node_copy(inner, new.__getitem__)
            new[inner].meta.update(kept)
    raise AssertionError("a graph ends with its output")


def _is_left_complex(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_complex() and not _is_pair(value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, ComplexTensor)


def _parts(value: ComplexTensor) -> list[torch.Tensor]:
    return [value.re, value.im]


def _joined(known: dict[fx.Node, Any]) -> dict[fx.Node, Any]:
    return pytree.tree_map_only(
        _Pair, lambda pair: ComplexTensor(*pair), known, is_leaf=lambda v: isinstance(v, _Pair)
    )


def _fake_mode(node: fx.Node) -> Any:
    leaves = pytree.tree_leaves(node.meta["val"])
    first: Any = next(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
    return first.fake_mode


class _RealArithmetic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes what takes or makes complex tensors on pairs of real ones."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        leaves = pytree.tree_leaves((args, kwargs))
        pairs, wanted = any(map(_is_pair, leaves)), any(map(_asks_for_complex, leaves))
        tensors = any(isinstance(leaf, torch.Tensor) for leaf in leaves)
        with self:  # PyTorch's rules are made of operators for which there are rules
            if func in _MAKERS:
                return _MAKERS[func](*args, **kwargs)
            if wanted and not tensors and func in _FILLS:
                return _filled(*_FILLS[func](*args), **kwargs)
            if pairs or (wanted and tensors):
                return _of_pairs(func, args, kwargs)
        return func(*args, **kwargs)


def _of_pairs(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    packet = func.overloadpacket
    if packet in _BOTH_PARTS:
        return _by_parts(func, args, kwargs)
    if packet in _PRODUCTS and _is_pair(args[0]) and _is_real(args[1]):
        return _by_parts(func, args, kwargs)
    if packet == _aten.mul and _is_pair(args[1]) and _is_real(args[0]):
        return _by_parts(func, args[::-1], kwargs)
    if packet == _aten.pow:
        return _power(*args)
    if packet in _ARITHMETIC:
        args = tuple(
            _filled((), a) if isinstance(a, complex | float | int) else a for a in args
        )
    if not any(map(_is_pair, pytree.tree_leaves((args, kwargs)))):
        args, kwargs = pytree.tree_map_only(torch.Tensor, _widened, (args, kwargs))
    rule = lookup_complex(func, *args, **kwargs)
    if rule is None:
        raise NotImplementedError(str(func))
    return rule(*args, **kwargs)


def _by_parts(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    re, im = (
        func(*pytree.tree_map_only(ComplexTensor, part, args), **kwargs)
        for part in (lambda pair: pair.re, lambda pair: pair.im)
    )
    return ComplexTensor(re, im)


def _is_real(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return not value.is_complex()
    return isinstance(value, int | float)


def _power(x: torch.Tensor, exponent: object) -> torch.Tensor:
    # PyTorch's rule takes the logarithm, which zero has not.
    if not isinstance(exponent, int | float) or exponent not in range(1, 9):
        raise NotImplementedError("pow")
    return functools.reduce(operator.mul, [x] * int(exponent))


def _asks_for_complex(value: object) -> bool:
    return isinstance(value, complex) or (isinstance(value, torch.dtype) and value.is_complex)


def _widened(x: torch.Tensor) -> torch.Tensor:
    x = x if x.is_floating_point() else x.to(torch.get_default_dtype())
    return ComplexTensor(x, torch.zeros_like(x))


def _polar(size: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    return ComplexTensor(size * torch.cos(angle), size * torch.sin(angle))


def _filled(size: Any, value: complex, **kwargs: Any) -> torch.Tensor:
    given = {**kwargs, "dtype": (kwargs.get("dtype") or torch.complex64).to_real()}
    value = complex(value)
    return ComplexTensor(
        *(torch.full(size, part, **given) for part in (value.real, value.imag))
    )


_ARITHMETIC = frozenset(
    (_aten.add, _aten.sub, _aten.rsub, _aten.mul, _aten.div, _aten.eq, _aten.ne, _aten.where)
)
"""Take numbers in the place of tensors."""

_PRODUCTS = frozenset((_aten.mul, _aten.div))
"""Do the same to both parts where the second operand is real."""

_BOTH_PARTS = frozenset(
    (
        _aten.roll,
        _aten.unfold,
        _aten.unfold_backward,
        _aten.reflection_pad1d,
        _aten.tril,
        _aten.triu,
    )
)
"""Do the same to both parts; beside those that PyTorch knows as such."""

_FILLS: dict[Any, _Rule] = {
    _aten.full.default: lambda size, value: (size, value),
    _aten.scalar_tensor.default: lambda value: ((), value),
    _aten.ones.default: lambda size: (size, 1),
    _aten.zeros.default: lambda size: (size, 0),
    _aten.empty.memory_format: lambda size: (size, 0),
    _aten.empty_strided.default: lambda size, _: (size, 0),
}
"""Size and value of what makes a tensor of one number."""

_MAKERS: dict[Any, _Rule] = {
    _aten.complex.default: ComplexTensor,
    _aten.view_as_complex.default: lambda x: ComplexTensor(x[..., 0], x[..., 1]),
    _aten.polar.default: _polar,
    _aten.stft.default: torch_fft.short_time,
    _aten.istft.default: torch_fft.short_time_inverse,
    _aten._fft_r2c.default: torch_fft.from_real,
    _aten._fft_c2c.default: torch_fft.from_complex,
    _aten._fft_c2r.default: torch_fft.to_real,
}
"""Make complex tensors, or have no rule of PyTorch's."""
