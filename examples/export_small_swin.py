"""Writes ``small_swin.onnx``: a Swin Transformer small enough to keep in a repository.

It has the structure of Swin-T (two stages, windows of 7x7 tokens, every second block
shifted, relative position bias, patch merging) at 112x112 pixels and 32 channels, and
seeded random weights. The same PyTorch version writes the same bytes.

    pip install 'smartmem[torch,onnx]' onnxscript
    python examples/export_small_swin.py
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

WINDOW = 7
OPSET = 18
HIDDEN = -100.0
"""Added to the score of two tokens that the shift has put into one window by chance."""


def to_windows(x: Tensor) -> Tensor:
    """(batch, height, width, channels) to (windows, tokens, channels)."""
    b, h, w, c = x.shape
    x = x.view(b, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, WINDOW * WINDOW, c)


def from_windows(x: Tensor, height: int, width: int) -> Tensor:
    """The inverse of ``to_windows``."""
    c = x.shape[-1]
    x = x.view(-1, height // WINDOW, width // WINDOW, WINDOW, WINDOW, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, c)


def relative_position_index() -> Tensor:
    """For each pair of tokens of a window, the row of the bias table: (tokens, tokens)."""
    grid = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
    places = torch.stack(grid).flatten(1)
    offset = places[:, :, None] - places[:, None, :] + WINDOW - 1
    return offset[0] * (2 * WINDOW - 1) + offset[1]


def shift_mask(size: int, shift: int) -> Tensor:
    """What keeps tokens from different sides of the image apart: (windows, tokens, tokens)."""
    region = torch.zeros(size)
    region[-WINDOW:-shift] = 1
    region[-shift:] = 2
    image = (region[:, None] * 3 + region).view(1, size, size, 1)
    tokens = to_windows(image).squeeze(-1)
    return (tokens[:, :, None] != tokens[:, None, :]).float() * HIDDEN


class WindowAttention(nn.Module):
    """Attention inside each window, with a learned bias for each relative position."""

    def __init__(self, dim: int, heads: int, mask: Tensor | None) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.register_buffer("bias_index", relative_position_index(), persistent=False)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        windows, tokens, dim = x.shape
        qkv = self.qkv(x).view(windows, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) * (dim // self.heads) ** -0.5
        scores = scores + self.bias_table[self.bias_index].permute(2, 0, 1)
        if self.mask is not None:
            scores = scores + self.mask[:, None]
        x = (scores.softmax(-1) @ v).transpose(1, 2).reshape(windows, tokens, dim)
        return self.proj(x)


class Block(nn.Module):
    """Window attention and a perceptron, each behind a LayerNorm, each added to its input."""

    def __init__(self, dim: int, heads: int, size: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1 = nn.LayerNorm(dim)
        self.attention = WindowAttention(dim, heads, shift_mask(size, shift) if shift else None)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        y = self.norm1(x)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = from_windows(self.attention(to_windows(y)), h, w)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """Four neighbours become one token of twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        x = x.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5)
        return self.reduction(self.norm(x.reshape(b, h // 2, w // 2, 4 * c)))


class SmallSwin(nn.Module):
    """Logits (batch, classes) of images (batch, 3, size, size)."""

    def __init__(
        self,
        size: int = 112,
        dim: int = 32,
        heads: tuple[int, ...] = (2, 4),
        classes: int = 100,
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, dim, kernel_size=4, stride=4)
        self.norm_in = nn.LayerNorm(dim)
        tokens = size // 4
        stages: list[nn.Module] = []
        for index, count in enumerate(heads):
            if index:
                stages.append(PatchMerging(dim))
                dim, tokens = 2 * dim, tokens // 2
            stages += [Block(dim, count, tokens, 0), Block(dim, count, tokens, WINDOW // 2)]
        self.stages = nn.Sequential(*stages)
        self.norm_out = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.norm_in(self.embed(image).permute(0, 2, 3, 1))
        x = self.norm_out(self.stages(x))
        return self.head(x.mean((1, 2)))


def randomize(model: nn.Module, seed: int = 0) -> None:
    """Weights large enough that an error in any of them shows in the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            fan_in = math.prod(parameter.shape[1:])
            spread = 0.1 if parameter.ndim < 2 else 1.0 / math.sqrt(fan_in)
            mean = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.normal_(mean, spread, generator=generator)


def export(path: Path) -> onnx.ModelProto:
    """Writes the model to ``path`` and returns it."""
    model = SmallSwin().eval()
    randomize(model)
    program = torch.onnx.export(
        model,
        (torch.zeros(1, 3, 112, 112),),
        input_names=["image"],
        output_names=["logits"],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    strip_metadata(proto)
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    return proto


def strip_metadata(proto: onnx.ModelProto) -> None:
    """Removes the exporter's stack traces: they name files of the machine it ran on."""
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del item.metadata_props[:]
        item.doc_string = ""
    for tensor in graph.initializer:
        del tensor.metadata_props[:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the small Swin example as ONNX.")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).with_name("small_swin.onnx")
    )
    output = parser.parse_args().output
    exported = export(output)
    print(f"{output}: {output.stat().st_size} bytes, {len(exported.graph.node)} nodes")
