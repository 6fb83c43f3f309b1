"""The networks that the benchmarks and the numeric checks run.

Every network is built from its configuration with seeded random weights: nothing is
downloaded. A fresh initialization hides errors (batch norms that do nothing, layer
scales of 1e-6, zero biases), so ``settle_weights`` gives such parameters values of the
size that trained networks have.

    python benchmarks/models.py            # list them
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
_INVISIBLE = 1e-3
"""Spread below which a parameter is taken to be an initial constant."""

Built = tuple[nn.Module, tuple[Tensor, ...]]


@dataclass(frozen=True)
class ModelCase:
    """One network of the zoo.

    Attributes:
        name: how the command line and the tables call it.
        title: what it is, for readers.
        size: "full" is a published network at batch 1, "small" has the same structure
            at a size that a software Vulkan driver runs in seconds.
        build: makes the network in eval mode and its positional example inputs; the
            same bits on every call.
    """

    name: str
    title: str
    size: Literal["full", "small"]
    build: Callable[[], Built]


def settle_weights(model: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Gives constant parameters random values and batch norms statistics that fit.

    Args:
        model: changed in place, and left in eval mode.
        inputs: example inputs of batch 1.
    """
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, _NORMS) and module.weight is not None:
                module.weight.uniform_(0.8, 1.2)
                module.bias.normal_(0.0, 0.1)
        for name, parameter in model.named_parameters():
            if parameter.numel() > 1 and parameter.std() < _INVISIBLE:
                # Layer scales multiply a whole branch; what else starts constant is added.
                scale = name.rsplit(".", 1)[-1].startswith("gamma")
                parameter.uniform_(0.1, 0.5) if scale else parameter.normal_(0.0, 0.02)
        _settle_batch_norms(model, inputs)
    model.eval()


def _settle_batch_norms(model: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Measures the statistics on a noisy batch, then moves them off the exact values."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    model(*(torch.cat([x, torch.randn_like(x)]) for x in inputs))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        assert norm.running_mean is not None and norm.running_var is not None
        noise = torch.randn_like(norm.running_mean)
        norm.running_mean += 0.1 * noise * norm.running_var.sqrt()
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)


def let_torchvision_import() -> None:
    """Declares the operators that torchvision looks up when timm or transformers import it.

    A torchvision wheel built for another torch build has no native operators, and its
    import fails on the first one it describes. None of the networks here uses them.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        torch.library.define("torchvision::nms", schema)
        torch.library.define("torchvision::qnms", schema)


def _image_network(make: Callable[[], nn.Module], size: int) -> Callable[[], Built]:
    def build() -> Built:
        let_torchvision_import()
        torch.manual_seed(0)
        inputs = (torch.randn(1, 3, size, size),)
        model = make()
        settle_weights(model, inputs)
        return model, inputs

    return build


def _text_network(
    make: Callable[[], nn.Module], tokens: int, words: int
) -> Callable[[], Built]:
    def build() -> Built:
        let_torchvision_import()
        torch.manual_seed(0)
        inputs = (torch.randint(0, words, (1, tokens)),)
        model = make()
        settle_weights(model, inputs)
        return model, inputs

    return build


def _timm(name: str, size: int = 224) -> ModelCase:
    def make() -> nn.Module:
        import timm

        model: nn.Module = timm.create_model(name, pretrained=False)
        return model

    return ModelCase(name, f"timm {name}, {size}x{size}", "full", _image_network(make, size))


def _clip_text() -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    # The text encoder of Stable Diffusion 1 (openai/clip-vit-large-patch14).
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            max_position_embeddings=77,
        )
    )


def _gpt_neox() -> nn.Module:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    # The shape of EleutherAI/pythia-70m.
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=50304,
            hidden_size=512,
            intermediate_size=2048,
            num_hidden_layers=6,
            num_attention_heads=8,
            use_cache=False,
        )
    )


def small_swin() -> nn.Module:
    """Swin with two stages of two blocks (the second shifted), 64x64 images."""
    from timm.models.swin_transformer import SwinTransformer

    model: nn.Module = SwinTransformer(
        img_size=64,
        patch_size=4,
        embed_dim=32,
        depths=(2, 2),
        num_heads=(2, 4),
        window_size=4,
        num_classes=10,
    )
    return model


def small_vit() -> nn.Module:
    """ViT with two blocks and a class token (65 tokens: an odd count), 64x64 images."""
    from timm.models.vision_transformer import VisionTransformer

    model: nn.Module = VisionTransformer(
        img_size=64, patch_size=8, embed_dim=64, depth=2, num_heads=4, num_classes=10
    )
    return model


def small_convnext() -> nn.Module:
    """ConvNeXt with four one-block stages: depthwise 7x7, LayerNorm, layer scale."""
    from timm.models.convnext import ConvNeXt

    model: nn.Module = ConvNeXt(num_classes=10, depths=(1, 1, 1, 1), dims=(16, 32, 48, 64))
    return model


def _small(name: str, title: str, make: Callable[[], nn.Module]) -> ModelCase:
    return ModelCase(name, title, "small", _image_network(make, 64))


_CASES = (
    _timm("swin_tiny_patch4_window7_224"),
    _timm("vit_tiny_patch16_224"),
    _timm("convnext_tiny"),
    _timm("resnext50_32x4d"),
    _timm("regnety_032"),
    _timm("efficientvit_b1"),
    _timm("mobilenetv2_100"),
    _timm("mixer_s16_224"),
    ModelCase(
        "clip_text",
        "CLIP text encoder, 77 tokens",
        "full",
        _text_network(_clip_text, 77, 49408),
    ),
    ModelCase(
        "gpt_neox",
        "GPT-NeoX, 6 layers, 128 tokens",
        "full",
        _text_network(_gpt_neox, 128, 50304),
    ),
    _small("small_swin", "Swin, 2 stages, 64x64", small_swin),
    _small("small_vit", "ViT, 2 blocks, 64x64", small_vit),
    _small("small_convnext", "ConvNeXt, 4 stages, 64x64", small_convnext),
)

MODELS: dict[str, ModelCase] = {case.name: case for case in _CASES}


if __name__ == "__main__":
    for case in _CASES:
        print(f"{case.name:32} {case.size:6} {case.title}")
