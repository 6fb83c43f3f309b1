"""Layers that PyTorch has as one operator, written as those that torch-mlir lowers."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import torch
from torch.nn import functional

_Four = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
_SUM, _MEAN, _MAX = range(3)


def embedding_bag(
    weight: torch.Tensor,
    indices: torch.Tensor,
    offsets: torch.Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = _SUM,
    sparse: bool = False,
    per_sample_weights: torch.Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> _Four:
    """Sums, means or maxima of the rows of each bag, and the tables that PyTorch returns."""
    starts = offsets[:-1] if include_last_offset else offsets
    place = torch.arange(indices.shape[0], device=indices.device)
    bags = (starts <= place[:, None]).sum(-1) - 1
    inside = bags == torch.arange(starts.shape[0], device=indices.device)[:, None]
    if include_last_offset:
        inside = inside & (place < offsets[-1])
    if padding_idx >= 0:
        inside = inside & (indices != padding_idx)
    rows = functional.embedding(indices, weight)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights[:, None]
    sizes = inside.sum(-1)
    taken = inside[..., None]
    if mode == _MAX:
        worst = torch.where(taken, rows, -torch.inf)
        result = torch.where(sizes[:, None] > 0, worst.amax(1), 0)
        return result, bags, sizes, indices[worst.argmax(1)]
    result = torch.where(taken, rows, 0).sum(1)
    if mode == _MEAN:
        result = result / torch.clamp(sizes, min=1)[:, None].to(result.dtype)
    return result, bags, sizes, torch.zeros_like(sizes)


def multi_head_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: torch.Tensor,
    qkv_bias: torch.Tensor,
    proj_weight: torch.Tensor,
    proj_bias: torch.Tensor,
    mask: torch.Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The result [N, L, E], and the weights, for each head or their mean."""
    weights, biases = qkv_weight.chunk(3), qkv_bias.chunk(3)
    q, k, v = (
        torch.unflatten(functional.linear(x, w, b), -1, (num_head, -1)).transpose(1, 2)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    scores = q @ k.transpose(-1, -2) / math.sqrt(embed_dim // num_head)
    if mask is not None:
        scores = scores.masked_fill(_broadcast(mask.bool(), mask_type), -torch.inf)
    attention = scores.softmax(-1)
    result = (attention @ v).transpose(1, 2).flatten(2)
    result = functional.linear(result, proj_weight, proj_bias)
    return result, attention.mean(1) if average_attn_weights else attention


def _broadcast(mask: torch.Tensor, kind: int | None) -> torch.Tensor:
    """To [N, heads, L, S]: a mask of scores is [L, S], one of keys [N, S], else all dims."""
    return mask[:, None, None, :] if kind == 1 else mask


def transformer_encoder_layer(
    src: torch.Tensor,
    embed_dim: int,
    num_heads: int,
    qkv_weight: torch.Tensor,
    qkv_bias: torch.Tensor,
    proj_weight: torch.Tensor,
    proj_bias: torch.Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: torch.Tensor,
    norm_bias_1: torch.Tensor,
    norm_weight_2: torch.Tensor,
    norm_bias_2: torch.Tensor,
    ffn_weight_1: torch.Tensor,
    ffn_bias_1: torch.Tensor,
    ffn_weight_2: torch.Tensor,
    ffn_bias_2: torch.Tensor,
    mask: torch.Tensor | None = None,
    mask_type: int | None = None,
) -> torch.Tensor:
    """Attention and a network of two layers, each onto its input, [N, L, E]."""

    def attend(x: torch.Tensor) -> torch.Tensor:
        projections = (qkv_weight, qkv_bias, proj_weight, proj_bias)
        return multi_head_attention(
            x, x, x, embed_dim, num_heads, *projections, mask, mask_type=mask_type
        )[0]

    def feed(x: torch.Tensor) -> torch.Tensor:
        inner = functional.linear(x, ffn_weight_1, ffn_bias_1)
        inner = functional.gelu(inner) if use_gelu else functional.relu(inner)
        return functional.linear(inner, ffn_weight_2, ffn_bias_2)

    first = (src.shape[-1:], norm_weight_1, norm_bias_1, eps)
    second = (src.shape[-1:], norm_weight_2, norm_bias_2, eps)
    if norm_first:
        src = src + attend(functional.layer_norm(src, *first))
        return src + feed(functional.layer_norm(src, *second))
    src = functional.layer_norm(src + attend(src), *first)
    return functional.layer_norm(src + feed(src), *second)


def convolution(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> torch.Tensor:
    """A grouped convolution in 3D, group by group; torch-mlir lowers the others."""
    if transposed or x.dim() != 5 or groups == 1:
        return NotImplemented
    if weight.shape[1] == 1:
        result = _depthwise(x, weight, stride, padding, dilation)
        return result if bias is None else result + bias[:, None, None, None]
    biases = [None] * groups if bias is None else bias.chunk(groups)
    parts = zip(x.chunk(groups, 1), weight.chunk(groups), biases, strict=True)
    return torch.cat(
        [functional.conv3d(a, w, b, stride, padding, dilation) for a, w, b in parts], 1
    )


def _depthwise(
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> torch.Tensor:
    """The sum over the taps of the window: each is a product of elements."""
    x = x.repeat_interleave(weight.shape[0] // x.shape[1], 1)
    x = functional.pad(x, [size for p in reversed(padding) for size in (p, p)])
    window = weight.shape[2:]
    spans = [d * (k - 1) for d, k in zip(dilation, window, strict=True)]
    sizes = [n - span for n, span in zip(x.shape[2:], spans, strict=True)]
    taps = []
    for number, place in enumerate(itertools.product(*map(range, window))):
        tap = x
        for dim, (at, d, s, n) in enumerate(zip(place, dilation, stride, sizes, strict=True)):
            tap = torch.ops.aten.slice.Tensor(tap, dim + 2, at * d, at * d + n, s)
        taps.append(tap * weight.flatten(2)[:, 0, number][:, None, None, None])
    return functools.reduce(torch.add, taps)
