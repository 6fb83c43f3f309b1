"""PyTorch operators that are decomposed before the import: the numbers agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch.nn import functional
from torch_functions import Function, assert_equal, assert_right

import smartmem
from smartmem.errors import UnsupportedError
from smartmem.frontend import import_model


def test_adaptive_pooling_where_windows_differ_in_length() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(1, 2, 14, 11), torch.randn(1, 2, 5, 7, 6)
    x[0, 0, 3, 3] = torch.inf
    maxima = nn.AdaptiveMaxPool2d((4, 3), return_indices=True)

    def pools(x: Any, y: Any) -> Any:
        return (
            *maxima(x),
            functional.adaptive_max_pool2d(x, (7, 11)),
            functional.adaptive_max_pool2d(x, (16, 5)),
            functional.adaptive_max_pool1d(x[0], 4),
            functional.adaptive_max_pool3d(y, (2, 3, 4)),
            functional.adaptive_avg_pool2d(y[0], (3, 4)),
            functional.adaptive_avg_pool1d(y[0, 0], 4),
            functional.adaptive_avg_pool3d(y, (2, 3, 4)),
        )

    assert_right(pools, x, y)


def test_gelu_is_computed_to_the_precision_of_f32() -> None:
    def gelus(x: Any) -> Any:
        return functional.gelu(x, approximate="tanh"), functional.gelu(x)

    x = torch.linspace(-6, 6, 1024)
    compiled = smartmem.compile(Function(gelus), inputs=(x,), target="cpu")
    for ours, exact in zip(compiled(x), gelus(x.double()), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=0, atol=2e-6)


def test_operators_that_look_at_the_order_of_elements() -> None:
    torch.manual_seed(0)
    x, y, edges = torch.randn(3, 8), torch.randn(2, 8, 3), torch.linspace(-1.5, 1.5, 7)
    x[1, 4] = torch.nan
    y[0, 3, 1], y[1, 2, 2] = -torch.inf, torch.inf
    whole = torch.tensor([[3, -1, 3, 7, 7, 2]])

    def order(x: Any, y: Any, whole: Any) -> Any:
        return (
            *torch.cummax(x, 1),
            *torch.cummin(y, 1),
            *torch.cummax(whole, -1),
            *x.kthvalue(3, 1),
            *x.median(1),
            *x.nanmedian(1),
            *y.median(1, keepdim=True),
            y.median(),
            torch.searchsorted(edges, x),
            torch.searchsorted(edges, x, right=True, out_int32=True),
            torch.searchsorted(y.sort(-1).values, y, side="right"),
            torch.bucketize(edges, edges, right=True),
        )

    assert_equal(order, x, y, whole)


def test_several_sorts_in_one_module() -> None:
    torch.manual_seed(0)
    x, whole = torch.randn(3, 8), torch.tensor([[3, -1, 3, 7, 7, 2]])
    x[0, 2], x[1, 4], x[1, 0] = torch.inf, torch.nan, -torch.inf

    def sorts(x: Any, whole: Any) -> Any:
        return (
            *x.sort(1),
            *x.sort(1, descending=True),
            *x.topk(3, 0),
            *x.topk(3, 1, largest=False),
            *whole.sort(stable=True, descending=True),
        )

    assert_equal(sorts, x, whole)


def test_distances_remainders_and_inverse_error_function() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 4), torch.randn(2, 28, 4)
    whole = torch.tensor([-7, 7, 3, -2])

    def arithmetic(x: Any, y: Any, whole: Any) -> Any:
        return (
            *(torch.cdist(x, y, p=p) for p in (0.0, 1.0, 2.0, 3.0, torch.inf)),
            torch.cdist(y, y + 1),
            torch.fmod(x, 0.7),
            torch.fmod(x, y[:, :5]),
            torch.fmod(whole, 3),
            torch.fmod(whole, 2.5),
            torch.erfinv(torch.tanh(x)),
            torch.erfinv(torch.tensor([0.0, 0.5, -0.99999, 1.0, -1.0]) + 0 * x[0, 0, :1]),
            functional.pdist(x[0]),
        )

    assert_right(arithmetic, x, y, whole, tolerance=3e-6)


def test_bags_of_embeddings() -> None:
    torch.manual_seed(0)
    weight, indices = torch.randn(10, 4), torch.tensor([3, 3, 9, 0, 7, 1, 1])
    offsets, factors = torch.tensor([0, 2, 2, 5]), torch.randn(7)

    def bags(weight: Any, indices: Any, offsets: Any, factors: Any) -> Any:
        bag = functional.embedding_bag
        return (
            *(bag(indices, weight, offsets, mode=mode) for mode in ("sum", "mean", "max")),
            bag(indices, weight, offsets, mode="sum", per_sample_weights=factors),
            bag(indices, weight, offsets, mode="mean", padding_idx=3),
            bag(indices, weight, offsets, include_last_offset=True, mode="sum"),
            bag(indices[:6].reshape(2, 3), weight),
        )

    assert_right(bags, weight, indices, offsets, factors)


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer_that_is_one_operator(norm_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        16, 2, 32, activation="gelu", batch_first=True, norm_first=norm_first
    ).eval()
    src, mask = torch.randn(2, 5, 16), torch.triu(torch.ones(5, 5), 1).bool()
    keys = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    attention, first, second = layer.self_attn, layer.norm1, layer.norm2
    weights = [attention.in_proj_weight, attention.in_proj_bias]
    weights += [attention.out_proj.weight, attention.out_proj.bias]
    norms = [first.weight, first.bias, second.weight, second.bias]
    feed = [layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias]

    def fused(src: Any) -> Any:
        forward = torch._transformer_encoder_layer_fwd
        given = (src, 16, 2, *weights, True, norm_first, 1e-5, *norms, *feed)
        attend = torch._native_multi_head_attention
        return (
            forward(*given),
            forward(*given, mask, 0),
            forward(*given, keys, 1),
            *attend(src, src, src, 16, 2, *weights, mask, mask_type=0),
        )

    with torch.no_grad():
        for weight in (*weights, *norms, *feed):
            weight.requires_grad_(False)
    assert_right(fused, src)


def test_grouped_convolution_in_3d() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 6, 4, 5, 5)
    deep = nn.Conv3d(6, 6, 3, padding=(1, 0, 2), groups=6)
    wide = nn.Conv3d(6, 12, (2, 3, 1), stride=(1, 2, 2), dilation=(2, 1, 1), groups=6)
    grouped = nn.Conv3d(6, 4, 3, padding=1, groups=2, bias=False)

    class Convolutions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([deep, wide, grouped])

        def forward(self, x: Any) -> Any:
            return tuple(layer(x) for layer in self.layers)

    assert_right(Convolutions(), x)


def test_resizing_with_antialiasing() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 12, 11)

    def resize(x: Any) -> Any:
        both = [
            functional.interpolate(x, size, mode=mode, antialias=True, align_corners=corners)
            for mode in ("bilinear", "bicubic")
            for size in ((5, 7), (17, 4))
            for corners in (False, True)
        ]
        by_factor = functional.interpolate(
            x, scale_factor=0.45, mode="bilinear", antialias=True, recompute_scale_factor=False
        )
        return (*both, by_factor)

    assert_right(resize, x)


@pytest.mark.parametrize("corners", [False, True])
def test_sampling_outside_of_the_image(corners: bool) -> None:
    torch.manual_seed(0)
    x, grid = torch.randn(1, 2, 5, 6), 2 * torch.randn(1, 4, 4, 2)

    def sample(x: Any, grid: Any) -> Any:
        return tuple(
            functional.grid_sample(x, grid, mode, padding, align_corners=corners)
            for mode in ("bilinear", "nearest")
            for padding in ("reflection", "border", "zeros")
        )

    assert_right(sample, x, grid)


def test_refusal_names_the_operator_that_can_stop_a_run() -> None:
    with pytest.raises(UnsupportedError, match=r"operator linalg\.inv "):
        import_model(Function(torch.linalg.inv), inputs=torch.eye(3))
