"""``torch.compile(model, backend="smartmem")``.

Dynamo hands over a graph whose parameters and buffers are inputs. They become constants
here, so that passes can lay them out anew; a call that brings other values, which each
call finds by comparing all bytes with a copy, compiles the graph again. Graphs with symbolic sizes are compiled once for each set of actual sizes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import fx

import smartmem
from smartmem.errors import InvalidInputError, UnsupportedError

_Run = Callable[..., Any]


def smartmem_backend(
    gm: fx.GraphModule,
    example_inputs: Sequence[Any],
    options: Mapping[str, Any] | None = None,
) -> Callable[..., list[Any]]:
    """Compiles a Dynamo graph for inference.

    Args:
        gm: the graph, with parameters as inputs or as attributes.
        example_inputs: what its placeholders stand for; symbolic sizes included.
        options: ``target``, and any field of ``CompileOptions``.

    Returns:
        A function of the placeholders' values that returns the graph's outputs.

    Raises:
        InvalidInputError: an unknown option.
        UnsupportedError: the graph holds something that cannot be compiled.
    """
    graph = _CompiledGraph(gm, _checked_options(options or {}))
    _warn_about_gradients(example_inputs)
    if all(isinstance(value, torch.Tensor) for value in example_inputs):
        graph.executable(example_inputs)  # so that a fault shows here, where Dynamo reports it
    return graph


class _CompiledGraph:
    """The executables of one graph, by the sizes of its inputs."""

    def __init__(self, gm: fx.GraphModule, options: dict[str, Any]) -> None:
        self._gm = gm
        self._options = options
        self._placeholders = [node for node in gm.graph.nodes if node.op == "placeholder"]
        self._outputs = _outputs(gm)
        self._executables: dict[tuple[Any, ...], _Run] = {}
        self._constants: dict[int, _Constant] = {}

    def __call__(self, *values: Any) -> list[Any]:
        results = iter(self._run(values))
        return [next(results) if isinstance(out, fx.Node) else out for out in self._outputs]

    def _run(self, values: Sequence[Any]) -> Sequence[torch.Tensor]:
        inputs = [v for i, v in enumerate(values) if self._is_input(i, v)]
        device = inputs[0].device if inputs else torch.device("cpu")
        results = self.executable(values)(*(v.detach().cpu().contiguous() for v in inputs))
        results = results if isinstance(results, tuple) else (results,)
        return [torch.as_tensor(result, device=device) for result in results]

    def executable(self, values: Sequence[Any]) -> _Run:
        """The compiled graph for values of these sizes; compiles it if there is none."""
        constants = {
            i: _Constant(value)
            for i, value in enumerate(values)
            if isinstance(value, torch.Tensor) and self._is_constant(i, value)
        }
        if constants != self._constants:
            self._executables.clear()
            self._constants = {i: constant.keep() for i, constant in constants.items()}
        key = tuple(v.shape if isinstance(v, torch.Tensor) else v for v in values)
        if key not in self._executables:
            self._executables[key] = self._compile(values)
        return self._executables[key]

    def _compile(self, values: Sequence[Any]) -> _Run:
        fixed = {i: v for i, v in enumerate(values) if not self._is_input(i, v)}
        inputs = tuple(v for i, v in enumerate(values) if i not in fixed)
        names = {i: self._placeholders[i].name for i in fixed}
        return smartmem.compile(
            _Specialized(self._gm, fixed, names), inputs=inputs, **self._options
        )

    def _is_input(self, index: int, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and not self._is_constant(index, value)

    def _is_constant(self, index: int, value: torch.Tensor) -> bool:
        # Dynamo marks what belongs to a module; that holds buffers as well.
        marks = self._placeholders[index].meta.get("tensor_dict", {})
        return isinstance(value, torch.nn.Parameter) or "_dynamo_static_input_type" in marks


class _Constant:
    """Tells whether a tensor is still the one, with the content, that was compiled in."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor = tensor
        # Versions miss ``tensor.data = other`` and writes through ``.data`` or NumPy, so
        # that each call compares all bytes with a copy.
        self._content = _bytes(tensor)

    def keep(self) -> _Constant:
        """The same with a copy of the content, which later writes leave as it is."""
        self._content = self._content.clone()
        return self

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Constant)
            and self._tensor is other._tensor
            and torch.equal(self._content, other._content)
        )

    __hash__ = None  # type: ignore[assignment]


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """The content as integers, the widest that fit: NaN differs from itself."""
    flat = tensor.detach().contiguous().flatten().view(torch.uint8)
    return flat if flat.numel() % 8 or flat.storage_offset() % 8 else flat.view(torch.int64)


class _Specialized(torch.nn.Module):
    """A graph with some of its inputs fixed: tensors as parameters or buffers of its own."""

    def __init__(
        self, gm: fx.GraphModule, fixed: Mapping[int, Any], names: Mapping[int, str]
    ) -> None:
        super().__init__()
        self._gm = gm
        self._names = names
        self._plain = {i: v for i, v in fixed.items() if not isinstance(v, torch.Tensor)}
        for index, value in fixed.items():
            if isinstance(value, torch.nn.Parameter):
                self.register_parameter(names[index], value)
            elif isinstance(value, torch.Tensor):
                self.register_buffer(names[index], value)

    def forward(self, *inputs: torch.Tensor) -> Any:
        left = iter(inputs)
        values = []
        for index in range(len(inputs) + len(self._names)):
            if index in self._plain:
                values.append(self._plain[index])
            elif index in self._names:
                values.append(getattr(self, self._names[index]))
            else:
                values.append(next(left))
        return self._gm(*values)


def _outputs(gm: fx.GraphModule) -> list[Any]:
    (output,) = (node for node in gm.graph.nodes if node.op == "output")
    values = output.args[0]
    values = list(values) if isinstance(values, (tuple, list)) else [values]
    for value in values:
        example = value.meta.get("example_value") if isinstance(value, fx.Node) else None
        if example is not None and not isinstance(example, torch.Tensor):
            raise UnsupportedError(
                f"the graph returns {value.name}, which is no tensor but a size; compile "
                "with torch.compile(..., dynamic=False)"
            )
    return values


def _checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments for ``smartmem.compile``."""
    known = {field.name for field in fields(smartmem.CompileOptions)}
    unknown = sorted(set(options) - known - {"target"})
    if unknown:
        raise InvalidInputError(
            f"unknown option {unknown[0]!r}; the options are target, {', '.join(sorted(known))}"
        )
    own = {name: value for name, value in options.items() if name in known}
    return {
        "target": options.get("target", "auto"),
        "options": smartmem.CompileOptions(**own),
    }


def _warn_about_gradients(example_inputs: Sequence[Any]) -> None:
    if torch.is_grad_enabled() and any(
        isinstance(value, torch.Tensor) and value.requires_grad for value in example_inputs
    ):
        warnings.warn(
            "SmartMem compiles for inference: results carry no gradients. Call the "
            "compiled model under torch.no_grad().",
            stacklevel=3,
        )
