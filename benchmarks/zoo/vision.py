"""Networks of pictures with attention or token mixing, of timm."""

from __future__ import annotations

from zoo.builders import Builder, timm_network

_TIMM = (
    "beit_base_patch16_224",
    "davit_tiny",
    "efficientformerv2_s0",
    "efficientvit_b1",
    "efficientvit_l1",
    "gmlp_s16_224",
    "hiera_tiny_224",
    "maxvit_tiny_tf_224",
    "mixer_s16_224",
    "mvitv2_tiny",
    "pvt_v2_b1",
    "swin_tiny_patch4_window7_224",
    "tiny_vit_5m_224",
    "vit_base_patch16_224",
    "vit_tiny_patch16_224",
)

NETWORKS: dict[str, Builder] = {
    **{name: timm_network(name) for name in _TIMM},
    "botnet26t_256": timm_network("botnet26t_256", 256),
    "swinv2_tiny_window8_256": timm_network("swinv2_tiny_window8_256", 256),
}
