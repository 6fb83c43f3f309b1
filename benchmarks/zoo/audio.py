"""Encoders of sound, of transformers."""

from __future__ import annotations

import torch
from torch import nn

from zoo.builders import Builder, FirstOutput, seeded


def _whisper_encoder() -> nn.Module:
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return FirstOutput(WhisperEncoder(WhisperConfig()))


def _wav2vec2() -> nn.Module:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    return FirstOutput(Wav2Vec2Model(Wav2Vec2Config(num_hidden_layers=4)))


NETWORKS: dict[str, Builder] = {
    "wav2vec2": seeded(_wav2vec2, lambda: (torch.randn(1, 16000),)),
    "whisper_encoder": seeded(_whisper_encoder, lambda: (torch.randn(1, 80, 3000),)),
}
