"""Language models of transformers: published shapes, or a few of their layers."""

from __future__ import annotations

from typing import Any

from zoo.builders import Builder, of_tokens

_FEW: dict[str, Any] = {
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 8000,
    "use_cache": False,
}
"""Decoders whose published shapes have billions of weights."""

_PYTHIA_1B: dict[str, Any] = {
    "vocab_size": 50304,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 8,
    "use_cache": False,
}

NETWORKS: dict[str, Builder] = {
    "albert": of_tokens(
        "AlbertModel",
        "AlbertConfig",
        hidden_size=768,
        intermediate_size=3072,
        num_attention_heads=12,
    ),
    "bert": of_tokens("BertModel", "BertConfig"),
    "clip_text": of_tokens(
        "CLIPTextModel",
        "CLIPTextConfig",
        77,
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_attention_heads=12,
    ),
    "distilbert": of_tokens("DistilBertModel", "DistilBertConfig"),
    "gemma": of_tokens("GemmaForCausalLM", "GemmaConfig", head_dim=64, **_FEW),
    "gpt2": of_tokens("GPT2LMHeadModel", "GPT2Config", n_layer=6, use_cache=False),
    "llama": of_tokens("LlamaForCausalLM", "LlamaConfig", **_FEW),
    "mixtral": of_tokens("MixtralForCausalLM", "MixtralConfig", num_local_experts=4, **_FEW),
    "mobilebert": of_tokens("MobileBertModel", "MobileBertConfig"),
    "pythia_1b": of_tokens("GPTNeoXForCausalLM", "GPTNeoXConfig", **_PYTHIA_1B),
    "qwen3": of_tokens("Qwen3ForCausalLM", "Qwen3Config", head_dim=64, **_FEW),
}
