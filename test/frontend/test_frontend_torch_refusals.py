"""PyTorch models that are refused: the message says what, where and what to do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch_functions import Function

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend import import_model


def test_dynamic_program_needs_inputs() -> None:
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(
        nn.Linear(3, 2), (torch.zeros(4, 3),), dynamic_shapes=({0: batch},)
    )
    with pytest.raises(UnsupportedError, match="input input has dynamic sizes"):
        import_model(program)
    model = import_model(program, inputs=(np.zeros((5, 3), np.float32),))
    assert [spec.shape for spec in model.outputs] == [(5, 2)]


def test_unsupported_operator_is_named_with_its_line(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    class Decomposed(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.linalg.svd(x)[0]

    place = r"torch\.aten\._linalg_svd \(node .*\) at .*test_frontend_torch_refusals\.py:\d+ cannot be lowered"
    with pytest.raises(UnsupportedError, match=place):
        import_model(Decomposed(), inputs=torch.zeros(3, 3))
    assert not list(tmp_path.iterdir())  # torch-mlir's own driver leaves a report there


def test_operator_is_named_and_not_its_constants() -> None:
    module = Function(lambda x: torch.digamma(x * 2.5 + 1.5) - 0.5)
    with pytest.raises(UnsupportedError, match=r"operation torch\.aten\.digamma \(node"):
        import_model(module, inputs=torch.zeros(4, 4))


def test_fault_is_blamed_on_the_operator_and_its_module() -> None:
    class Blamed(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.lgamma(x.abs() + 1)

    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU(), Blamed()))
    with pytest.raises(UnsupportedError, match=r"operation torch\.aten\.lgamma \(node '1\.1\."):
        import_model(model, inputs=torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x[x > 0], "nonzero|index"),
        (lambda x: torch.masked_select(x, x > 0) * 2, "masked_select"),
        (lambda x: torch.unique(x), "unique"),
        (lambda x: torch.nonzero(x).sum(), "nonzero"),
        (lambda x: x.new_zeros(int(x.sum().item())) + 1, "item|_local_scalar|zeros"),
    ],
)
def test_sizes_that_depend_on_data_are_refused(function: Any, name: str) -> None:
    with pytest.raises(
        (UnsupportedError, InvalidInputError), match=rf"({name})|data-dependent"
    ):
        import_model(Function(function), inputs=torch.ones(4, 4))


def test_loops_and_branches_on_data_are_refused() -> None:
    from torch._higher_order_ops.while_loop import while_loop

    def loop(x: Any) -> Any:
        start = (torch.tensor(0), x)
        return while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, y * 1.5), start)[1]

    def branch(x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))

    for function, name in ((loop, "while_loop"), (branch, "cond")):
        with pytest.raises(UnsupportedError, match=rf"operator {name} .*torch\.where"):
            import_model(Function(function), inputs=torch.ones(4, 4))


def test_random_numbers_are_refused() -> None:
    module = Function(lambda x: nn.functional.dropout(x, 0.5, training=True))
    with pytest.raises(UnsupportedError, match=r"native_dropout.* draws random numbers"):
        import_model(module, inputs=torch.zeros(4))


def test_changed_buffer_is_refused() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(2))

        def forward(self, x: Any) -> Any:
            self.calls.add_(1)
            return x + self.calls

    with pytest.raises(UnsupportedError, match="writes to its buffer calls"):
        import_model(Counter(), inputs=torch.zeros(2))


def test_training_mode_of_an_exported_normalization_is_refused() -> None:
    x = torch.zeros(2, 3, 4, 4)
    program = torch.export.export(nn.BatchNorm2d(3).train(), (x,))
    with pytest.raises(UnsupportedError, match=r"num_batches_tracked; call model\.eval\(\)"):
        import_model(program)


def test_tensors_without_plain_elements_are_refused() -> None:
    sparse, empty = torch.eye(4).to_sparse(), torch.empty(4, 4, device="meta")
    for example in (sparse, torch.eye(4).to_sparse_csr(), empty):
        with pytest.raises(
            InvalidInputError, match="example input 0 is a tensor without plain"
        ):
            import_model(nn.Linear(4, 2), inputs=(example,))
    for example in (torch.zeros(4, 4), empty):
        with pytest.raises(InvalidInputError, match=r"weight is on the device meta|example"):
            import_model(nn.Linear(4, 2, device="meta"), inputs=(example,))


def test_changed_input_is_refused() -> None:
    module = Function(lambda x: x.add_(1))
    with pytest.raises(UnsupportedError, match="writes to its input"):
        import_model(module, inputs=torch.zeros(2))


def test_missing_inputs() -> None:
    with pytest.raises(InvalidInputError, match="needs example inputs"):
        import_model(nn.ReLU())


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(
        InvalidInputError,
        match=r"cannot capture Linear with these inputs: RuntimeError: .*\[1, 4\]",
    ):
        import_model(nn.Linear(3, 2), inputs=torch.zeros(1, 4))


def test_sparse_parameter_is_refused() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.eye(3).to_sparse())

        def forward(self, x: Any) -> Any:
            return self.table @ x

    with pytest.raises(UnsupportedError, match=r"table of layout torch\.sparse_coo"):
        import_model(Sparse(), inputs=torch.zeros(3, 3))
