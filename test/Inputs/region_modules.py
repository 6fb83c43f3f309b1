"""Small modules whose kernels hold several operations, each of another kind."""

from __future__ import annotations

from collections.abc import Callable

import torch


class ChannelsFirstNorm(torch.nn.Module):
    """LayerNorm over the channels of NCHW, as ConvNeXt has it between its stages."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(torch.nn.Module):
    """Depthwise convolution, LayerNorm, two linear layers and the residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = torch.nn.LayerNorm(channels)
        self.wide = torch.nn.Linear(channels, 4 * channels)
        self.narrow = torch.nn.Linear(4 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        y = self.narrow(torch.nn.functional.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


class RolledNorm(torch.nn.Module):
    """A roll before LayerNorm and a linear layer, as in a shifted Swin block."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(24)
        self.linear = torch.nn.Linear(24, 40)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.norm(torch.roll(x, (-2, -3), (1, 2))))


class RolledWindows(torch.nn.Module):
    """LayerNorm of rolled windows, which looks its rows up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.roll(torch.tanh(x), (-2, -2), (1, 2))
        y = y.reshape(2, 4, 3, 4, -1).transpose(1, 2)
        return torch.relu(self.norm(y.reshape(6, 16, -1)))


class RolledRows(torch.nn.Module):
    """LayerNorm of windows of a rolled projection, between linear layers, as in Swin."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before = torch.nn.Linear(channels, channels)
        self.norm = torch.nn.LayerNorm(channels)
        self.behind = torch.nn.Linear(channels, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.roll(self.before(x), (-3, -3), (1, 2))
        y = y.reshape(2, 7, 2, 7, -1).transpose(1, 2)
        return self.behind(self.norm(y.reshape(4, 49, -1)))


class FlippedSoftmax(torch.nn.Module):
    """A flip before a softmax over a leading dim: its reads take the reduction's loop order."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(torch.flip(x, (0,)), dim=0)


class RolledSoftmax(torch.nn.Module):
    """A roll before a softmax over the channels of NCHW."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(torch.roll(x, (-2, 3), (2, 3)), dim=1)


class PartialRotary(torch.nn.Module):
    """Attention scores with a rotary embedding of the first dims of each head."""

    def __init__(self, heads: int, depth: int, rotated: int) -> None:
        super().__init__()
        self.heads, self.depth, self.rotated = heads, depth, rotated
        self.project = torch.nn.Linear(24, heads * 2 * depth)
        angle = torch.outer(torch.arange(40.0), torch.linspace(1.0, 0.1, rotated // 2))
        self.register_buffer("angle", torch.cat((angle, angle), -1))

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        front, rest = x[..., : self.rotated], x[..., self.rotated :]
        angle = self.angle[: x.shape[-2]]
        low, high = front.chunk(2, -1)
        turned = front * angle.cos() + torch.cat((-high, low), -1) * angle.sin()
        return torch.cat((turned, rest), -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.project(x).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
        queries, keys = heads.chunk(2, -1)
        return self.rotate(queries) @ self.rotate(keys).transpose(-1, -2)


class LinearAttention(torch.nn.Module):
    """ReLU attention of two scales, as in EfficientViT: values get a column of ones."""

    def __init__(self, heads: int, depth: int) -> None:
        super().__init__()
        self.depth, width = depth, 3 * heads * depth
        self.project = torch.nn.Conv2d(12, width, 1, bias=False)
        self.scale = torch.nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        near = self.project(x)
        both = torch.cat((near, self.scale(near)), dim=1)
        rows = both.reshape(x.shape[0], -1, 3 * self.depth, x.shape[2] * x.shape[3])
        queries, keys, values = rows.transpose(-1, -2).chunk(3, dim=-1)
        values = torch.nn.functional.pad(values, (0, 1), value=1.0)
        sums = torch.relu(queries) @ (torch.relu(keys).transpose(-1, -2) @ values)
        return sums[..., :-1] / (sums[..., -1:] + 1.0)


class EmbeddedBlock(torch.nn.Module):
    """An embedding that a normalization and a residual read."""

    def __init__(self, norm: torch.nn.Module) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(50, 24)
        self.norm = norm
        self.linear = torch.nn.Linear(24, 24)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        return x + self.linear(self.norm(x))

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table(ids)


class IndexedBlock(EmbeddedBlock):
    """The same with an index that may count from the end, as ONNX's Gather takes it."""

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table.weight[ids]


class Tokens(torch.nn.Module):
    """A class token before others, attention and a linear layer over a prime number of rows."""

    def __init__(self, rows: int, width: int = 32) -> None:
        super().__init__()
        self.rows = rows
        self.token = torch.nn.Parameter(torch.zeros(1, 1, width))
        self.norm: torch.nn.Module = torch.nn.LayerNorm(width)
        self.qkv = torch.nn.Linear(width, 3 * width)
        self.out = torch.nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat((self.token, torch.relu(x)), 1)
        q, k, v = self.qkv(self.norm(x)).reshape(self.rows, 3, 2, 16).permute(1, 2, 0, 3)
        attended = torch.softmax(q @ k.transpose(1, 2) / 4, -1) @ v
        x = x + self.out(attended.transpose(0, 1).reshape(1, self.rows, 32))
        return torch.cat((self.norm(x)[:, 0], x.mean(1)), 1)


class Directions(torch.nn.Module):
    """Rows as unit vectors: those of zeros are no numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / x.square().sum(-1, keepdim=True).sqrt()


def directed(tokens: Tokens) -> Tokens:
    """``tokens`` that are normalized without an epsilon."""
    tokens.norm = Directions()
    return tokens


class OverTwoDims(torch.nn.Module):
    """A softmax over two dims that do not lie beside each other."""

    def __init__(self, *flipped: int) -> None:
        super().__init__()
        self.flipped = flipped

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.exp(torch.flip(x, self.flipped))
        return y / y.sum((0, 2), keepdim=True)


class TurnedGroupNorm(torch.nn.Module):
    """GroupNorm between permutations: a mean over three dims."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.nn.functional.group_norm(x.permute(0, 3, 1, 2), 3)
        return y.permute(2, 0, 1, 3)


class BetweenMovements(torch.nn.Module):
    """A function of rows that is no linalg, between transposes and a normalization."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.norm = torch.nn.LayerNorm(12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.function(torch.tanh(x.transpose(0, 1).reshape(15, -1)))
        return self.norm(y.reshape(5, 3, 12).transpose(0, 1))


class Excitation(torch.nn.Module):
    """Channels weighted by their mean, as RegNet has it: a sum over the two innermost dims."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(x)
        return y * torch.sigmoid(y.mean((2, 3), keepdim=True))


class TurnedHeads(torch.nn.Module):
    """Products of few odd sizes whose result lies in another order than their batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("hqk,khd->qhd", x, x.tanh().permute(2, 0, 1))


class BetweenVectors(torch.nn.Module):
    """Rows that are read and written between two vectors of 16 bytes, and padded twice."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        part = x[:, 2:66]
        scores = part @ part.T / 64 + part.exp().mean(1)[:, None]
        inner = torch.nn.functional.pad(scores.relu(), (1, 3))
        return torch.nn.functional.pad(inner, (2, 2), value=1.0)


class MeanOfResidual(torch.nn.Module):
    """A residual between a linear layer and the mean of its rows, which one kernel computes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(16, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.linear(x) + x.repeat(1, 1, 8)).mean(1)


MODULES = {
    "mean of a residual": (MeanOfResidual(), (1, 49, 16)),
    "between vectors": (BetweenVectors(), (16, 68)),
    "rows between vectors": (
        torch.nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1),
        (1, 3, 4, 4),
    ),
    "tokens": (Tokens(37), (1, 36, 32)),
    "masked keys": (Tokens(53), (1, 52, 32)),
    "masked keys without an epsilon": (directed(Tokens(53)), (1, 52, 32)),
    "turned heads": (TurnedHeads(), (3, 7, 5)),
    "excitation": (Excitation(), (1, 9, 7, 6)),
    "running sums": (BetweenMovements(lambda x: x.cumsum(0)), (6, 5, 6)),
    "sorted": (BetweenMovements(lambda x: x.sort(1)[0]), (6, 5, 6)),
    "best first": (
        BetweenMovements(lambda x: torch.cat([*x.topk(6, 1)], dim=1)),
        (6, 5, 6),
    ),
    "scattered": (
        BetweenMovements(lambda x: x.index_add(0, torch.tensor([7, 2, 7]), x[3:6])),
        (6, 5, 6),
    ),
    "channels first": (ChannelsFirstNorm(24), (1, 24, 7, 6)),
    "padded residuals": (
        torch.nn.Sequential(ConvNeXtBlock(16), ConvNeXtBlock(16), ChannelsFirstNorm(16)),
        (1, 16, 9, 8),
    ),
    "pointwise and padded": (
        torch.nn.Sequential(
            torch.nn.Conv2d(12, 20, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(20, 12, 3, padding=1),
        ),
        (1, 12, 9, 8),
    ),
    "rolled": (RolledNorm(), (1, 8, 9, 24)),
    "flipped softmax": (FlippedSoftmax(), (2, 1, 1, 2)),
    "flipped and rolled": (
        torch.nn.Sequential(RolledSoftmax(), FlippedSoftmax()),
        (3, 5, 6, 7),
    ),
    "rotary": (PartialRotary(3, 10, 4), (1, 9, 24)),
    "rotary of whole heads": (PartialRotary(2, 8, 8), (1, 7, 24)),
    "rotary of whole vectors": (PartialRotary(2, 48, 32), (1, 9, 24)),
    "rotary of short vectors": (PartialRotary(3, 24, 8), (1, 9, 24)),
    "linear attention": (LinearAttention(2, 4), (1, 12, 5, 6)),
    "linear attention of vectors": (LinearAttention(3, 16), (1, 12, 5, 6)),
    "linear attention of odd heads": (LinearAttention(3, 12), (1, 12, 5, 6)),
    "over two dims": (OverTwoDims(), (4, 6, 5, 9)),
    "over two flipped dims": (OverTwoDims(1, 2), (4, 6, 5, 9)),
    "turned group norm": (TurnedGroupNorm(), (4, 6, 5, 9)),
    "long rows": (torch.nn.Softmax(dim=-1), (3, 5, 301)),
    "rows of threads": (torch.nn.LayerNorm(20), (3, 70, 20)),
    "rows of subgroups": (torch.nn.RMSNorm(64), (5, 64)),
    "softmax of vectors": (torch.nn.Softmax(dim=-1), (2, 3, 11, 52)),
    "rolled windows": (RolledWindows(48), (1, 8, 12, 48)),
    # Where IREE tiles such rows itself, they are more than a workgroup can share.
    "rolled long rows": (RolledRows(384), (1, 14, 14, 384)),
}
