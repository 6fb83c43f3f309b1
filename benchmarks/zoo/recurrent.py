"""Recurrent networks over 40 steps."""

from __future__ import annotations

import torch
from torch import nn

from zoo.builders import Builder, FirstOutput, seeded


def _of_steps(kind: type[nn.RNNBase], layers: int = 1, both: bool = False) -> Builder:
    def make() -> nn.Module:
        network = kind(64, 128, num_layers=layers, batch_first=True, bidirectional=both)
        return FirstOutput(network)

    return seeded(make, lambda: (torch.randn(1, 40, 64),))


NETWORKS: dict[str, Builder] = {
    "gru": _of_steps(nn.GRU),
    "gru_both_ways": _of_steps(nn.GRU, both=True),
    "lstm": _of_steps(nn.LSTM),
    "lstm_2_layers": _of_steps(nn.LSTM, layers=2),
}
