"""How the networks of the zoo are made: seeded weights that show in the output, and inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from models import let_torchvision_import, settle_weights
from torch import Tensor, nn

Built = tuple[nn.Module, tuple[Tensor, ...]]
Builder = Callable[[], Built]


class FirstOutput(nn.Module):
    """A network that returns the first of its outputs: hidden states, logits, a picture."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """The first tensor; shape and dtype as the network gives it."""
        output = self.network(*inputs)
        if not isinstance(output, Tensor):
            output = next(iter(output.values())) if hasattr(output, "values") else output[0]
        assert isinstance(output, Tensor)
        return output


def seeded(make: Callable[[], nn.Module], draw: Callable[[], tuple[Tensor, ...]]) -> Builder:
    """A builder of ``make()`` and its inputs: the same bits on every call."""

    def build() -> Built:
        let_torchvision_import()
        torch.manual_seed(0)
        inputs = draw()
        network = make().eval()
        settle_weights(network, inputs)
        return network, inputs

    return build


def of_image(make: Callable[[], nn.Module], size: int = 224, batch: int = 1) -> Builder:
    """A network of f32 pictures [batch, 3, size, size]."""
    return seeded(make, lambda: (torch.randn(batch, 3, size, size),))


def timm_network(name: str, size: int = 224, batch: int = 1) -> Builder:
    """A network of timm, with random weights."""

    def make() -> nn.Module:
        import timm

        network: nn.Module = timm.create_model(name, pretrained=False)
        return network

    return of_image(make, size, batch)


def torchvision_network(name: str, size: int = 224) -> Builder:
    """A network of torchvision; ``name`` may lead into a module: ``segmentation.fcn_resnet50``."""

    def make() -> nn.Module:
        import torchvision

        make_network: Any = torchvision.models
        for part in name.split("."):
            make_network = getattr(make_network, part)
        parts = {"weights_backbone": None} if name.startswith("segmentation") else {}
        return FirstOutput(make_network(weights=None, **parts))

    return of_image(make, size)


def of_tokens(kind: str, config: str, tokens: int = 128, **fields: Any) -> Builder:
    """A language model of transformers that reads int64 tokens [1, tokens].

    Args:
        kind: the class of the network.
        config: the class of its configuration.
        fields: of the configuration; what is not given is the published one.
    """

    def make() -> nn.Module:
        import transformers

        configuration = getattr(transformers, config)(**fields)
        return FirstOutput(getattr(transformers, kind)(configuration))

    words = fields.get("vocab_size", 1000)
    return seeded(make, lambda: (torch.randint(0, words, (1, tokens)),))
