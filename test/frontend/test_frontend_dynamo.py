"""``torch.compile(model, backend="smartmem")``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import interpreting
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from smartmem.compiler.compile import module_at
from smartmem.errors import InvalidInputError
from smartmem.frontend import dynamo

CPU = {"target": "cpu"}


class Net(nn.Module):
    """A linear layer, a batch norm, a buffer outside the state dict, mixed outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("offset", torch.ones(4), persistent=False)

    def forward(self, x: Any) -> dict[str, Any]:
        y = self.norm(self.linear(x)) + self.offset
        return {"y": y, "none": None, "three": 3, "x": x}


@pytest.fixture(autouse=True)
def fresh_dynamo() -> Iterator[None]:
    torch.manual_seed(0)
    torch._dynamo.reset()
    with torch.no_grad():
        yield


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The modules that were compiled, in order: here, that are imported and interpreted.

    When that is, and with which weights, is to be tested; ``iree-compile`` would take longer.
    """
    compiled: list[Any] = []

    def compile_(module: Any, *, inputs: Any, target: str, **_: Any) -> Any:
        compiled.append(module)
        # As text, which later writes to the weights leave as it is.
        text = str(module_at(module, "input", inputs=inputs, target=target))
        return lambda *values: tuple(map(torch.from_numpy, interpreting.run(text, *values)))

    monkeypatch.setattr(dynamo.smartmem, "compile", compile_)
    return compiled


def assert_same(compiled: Any, model: nn.Module, x: Any) -> None:
    ours, theirs = compiled(x), model(x)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(ours[key], value, rtol=1e-5, atol=1e-5)
        else:
            assert ours[key] == value


def test_compiles_by_name_and_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Mock(wraps=dynamo.smartmem.compile)
    monkeypatch.setattr(dynamo.smartmem, "compile", recorded)
    model = Net().eval()
    compiled = torch.compile(model, backend="smartmem", options=CPU)
    x = torch.randn(3, 4)
    assert_same(compiled, model, x)
    assert_same(compiled, model, x + 1)
    recorded.assert_called_once()
    module = recorded.call_args.args[0]
    # Weights are constants of what was compiled, not inputs.
    assert len(list(module.parameters())) == 4
    assert len(list(module.buffers())) == 3


def test_every_shape_is_compiled_once(compilations: list[Any]) -> None:
    model = Net().eval()
    compiled = torch.compile(model, backend="smartmem", options=CPU)
    for rows in (2, 3, 5, 3, 5):
        assert_same(compiled, model, torch.randn(rows, 4))
    assert len(compilations) == 3


@pytest.mark.usefixtures("compilations")
def test_changed_weights_are_seen() -> None:
    model = Net().eval()
    compiled = torch.compile(model, backend="smartmem", options=CPU)
    x = torch.randn(3, 4)
    assert_same(compiled, model, x)
    model.linear.weight.mul_(2)
    assert_same(compiled, model, x)
    doubled = {name: value * 2 for name, value in model.state_dict().items()}
    model.load_state_dict(doubled, assign=True)
    assert_same(compiled, model, x)


@pytest.mark.usefixtures("compilations")
def test_warns_where_gradients_are_expected() -> None:
    compiled = torch.compile(Net().eval(), backend="smartmem", options=CPU)
    with torch.enable_grad(), pytest.warns(UserWarning, match="no gradients"):
        compiled(torch.randn(2, 4))
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        compiled(torch.randn(2, 4))


def test_unsupported_operator_is_named() -> None:
    compiled = torch.compile(torch.linalg.svd, backend="smartmem", options=CPU)
    with pytest.raises(
        Exception, match=r"UnsupportedError: operation torch\.aten\._linalg_svd"
    ):
        compiled(torch.randn(3, 3))


def test_unknown_option() -> None:
    gm = torch.fx.symbolic_trace(nn.ReLU())
    with pytest.raises(
        InvalidInputError, match=r"unknown option 'speed'; the options are target,"
    ):
        dynamo.smartmem_backend(gm, [torch.zeros(2)], {"speed": 11})


@pytest.mark.usefixtures("compilations")
def test_weights_written_behind_autograd_are_seen() -> None:
    layer = nn.Linear(4, 4).eval()
    compiled = torch.compile(layer, backend="smartmem", options={"target": "cpu"})
    x = torch.randn(2, 4)
    with torch.no_grad():
        compiled(x)
        layer.weight.data = torch.ones(4, 4)
        torch.testing.assert_close(compiled(x), layer(x))
        layer.weight.data[0] = 2.0
        torch.testing.assert_close(compiled(x), layer(x))
        layer.bias.numpy()[1] = 3.0
        torch.testing.assert_close(compiled(x), layer(x))
