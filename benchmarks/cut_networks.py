"""The README's networks, cut down to few blocks and channels, for ``planned_kernels.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models import MODELS, Built, _image_network, _text_network
from torch import nn


def _resnext() -> nn.Module:
    """Four stages of one block."""
    from timm.models.resnet import Bottleneck, ResNet

    model: nn.Module = ResNet(
        Bottleneck,
        (1, 1, 1, 1),
        num_classes=10,
        cardinality=32,
        base_width=4,
        channels=(32, 32, 64, 64),
    )
    return model


def _regnety() -> nn.Module:
    """Four stages of five blocks with squeeze and excite."""
    from timm.models.regnet import RegNet, RegNetCfg

    cfg = RegNetCfg(depth=5, w0=24, wa=36.44, wm=2.0, group_size=8, se_ratio=0.25)
    model: nn.Module = RegNet(cfg, num_classes=10)
    return model


def _mobilenetv2() -> nn.Module:
    """One block for each of the seven stages."""
    from timm.models.efficientnet import _gen_mobilenet_v2

    model: nn.Module = _gen_mobilenet_v2("mobilenetv2_035", 0.35, 0.25, num_classes=10)
    return model


def _efficientvit() -> nn.Module:
    from timm.models.efficientvit_mit import EfficientVit

    model: nn.Module = EfficientVit(
        widths=(8, 16, 32, 64, 128),
        depths=(1, 1, 1, 1, 1),
        head_dim=16,
        head_widths=(64, 64),
        num_classes=10,
    )
    return model


class _Hidden(nn.Module):
    """A text model that returns its first output alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Any) -> Any:
        return self.model(input_ids=ids, return_dict=False)[0]


def _clip_text() -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=4,
        max_position_embeddings=77,
    )
    return _Hidden(CLIPTextModel(config))


def _gpt_neox() -> nn.Module:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    config = GPTNeoXConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=4,
        use_cache=False,
    )
    return _Hidden(GPTNeoXForCausalLM(config))


NETWORKS: dict[str, Callable[[], Built]] = {
    "swin": MODELS["small_swin"].build,
    "vit": MODELS["small_vit"].build,
    "convnext": MODELS["small_convnext"].build,
    "resnext": _image_network(_resnext, 64),
    "regnety": _image_network(_regnety, 64),
    "efficientvit": _image_network(_efficientvit, 64),
    "mobilenetv2": _image_network(_mobilenetv2, 64),
    "clip_text": _text_network(_clip_text, 77, 64),
    "gpt_neox": _text_network(_gpt_neox, 32, 64),
}
