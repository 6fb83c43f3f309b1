"""Classifiers made of convolutions: dense, grouped, depthwise, split and concatenated."""

from __future__ import annotations

from zoo.builders import Builder, timm_network, torchvision_network

_TIMM = (
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_lite0",
    "ghostnet_100",
    "hgnetv2_b0",
    "inception_next_tiny",
    "lambda_resnet26t",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "nfnet_l0",
    "regnetx_016",
    "regnety_032",
    "repvgg_a0",
    "res2net50_26w_4s",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "starnet_s1",
    "vgg11",
)

NETWORKS: dict[str, Builder] = {
    **{name: timm_network(name) for name in _TIMM},
    "resnet18_batch8": timm_network("resnet18", batch=8),
    "shufflenet_v2_x1_0": torchvision_network("shufflenet_v2_x1_0"),
    "squeezenet1_1": torchvision_network("squeezenet1_1"),
}
