"""What is made: one entry a family, its configuration in the names of transformers."""

import math
from dataclasses import dataclass


@dataclass
class Family:
    name: str
    model: str  # prefix of the transformers classes: <model>Config, <model>ForCausalLM
    config: dict
    pre: str = "llama-bpe"  # vocabulary, of tools/golden/tokenizer.py; "wordpiece" for BERT
    seed: int = 1
    # The published checkpoints of most families have rope_theta and rope_scaling in their
    # configuration, as transformers wrote them before version 5.
    old_config: bool = True
    gemma_norms: bool = False  # norm weights are stored minus one
    dtype: str = "F32"
    shard_size: str | None = None
    mxfp4: bool = False
    pooling: str | None = None  # an embedding model: "mean", "cls" or "lasttoken"
    encoder: str | None = None  # a bidirectional model: "bert" or "nomic"
    lora: bool = False
    # Between the last chosen and the best rejected expert, in router logits: rounding below this
    # cannot choose other experts.
    min_router_gap: float = 0.01


def _shape(hidden, layers, heads, kv_heads, ffn, tied, context=512, **more):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                num_key_value_heads=kv_heads, intermediate_size=ffn, tie_word_embeddings=tied,
                max_position_embeddings=context, rms_norm_eps=1e-5, **more)


def _rope(theta, **scaling):
    return dict({"rope_type": "default"}, rope_theta=theta, **scaling)


_LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
               original_max_position_embeddings=64)

# gpt-oss does not round the borders of YaRN's ramp, llama.cpp always does; with these numbers of
# rotations the borders are whole but for 1e-3, and both give the same angles.
_GPT_OSS_THETA, _GPT_OSS_CONTEXT = 150000.0, 4096


def _rotations(dim, head_dim=16):
    """The number of rotations whose correction dimension is `dim`."""
    return _GPT_OSS_CONTEXT / (2 * math.pi * _GPT_OSS_THETA ** (2 * dim / head_dim))


FAMILIES = [
    Family("llama", "Llama", _shape(32, 2, 4, 2, 48, True, head_dim=16,
                                    rope_parameters=_rope(5e5, **_LLAMA3)), lora=True),
    Family("llama-yarn", "Llama",
           _shape(32, 2, 4, 2, 48, False, 256, head_dim=16, rope_parameters=_rope(
               1e4, rope_type="yarn", factor=4.0, original_max_position_embeddings=64)),
           old_config=False),
    Family("mistral", "Mistral", _shape(32, 2, 4, 2, 48, False, head_dim=16, sliding_window=16,
                                        rope_parameters=_rope(1e4))),
    Family("mixtral", "Mixtral", _shape(32, 2, 4, 2, 32, False, head_dim=16, sliding_window=None,
                                        num_local_experts=4, num_experts_per_tok=2,
                                        rope_parameters=_rope(1e6))),
    Family("qwen2", "Qwen2", _shape(32, 2, 2, 1, 48, True, rope_parameters=_rope(1e6)),
           pre="qwen2", old_config=False, shard_size="50KB"),
    Family("qwen3", "Qwen3", _shape(32, 2, 4, 2, 48, True, head_dim=16,
                                    rope_parameters=_rope(1e6)), pre="qwen2", lora=True),
    Family("qwen3-moe", "Qwen3Moe",
           _shape(32, 2, 4, 2, 48, False, head_dim=16, num_experts=8, num_experts_per_tok=2,
                  moe_intermediate_size=32, norm_topk_prob=True, decoder_sparse_step=1,
                  mlp_only_layers=[], rope_parameters=_rope(1e6)), pre="qwen2"),
    Family("phi3", "Phi3",
           _shape(32, 2, 2, 1, 48, False, original_max_position_embeddings=512,
                  rope_parameters=_rope(1e4, partial_rotary_factor=0.5), sliding_window=None)),
    Family("phi3-longrope", "Phi3",
           _shape(32, 2, 2, 2, 48, True, 128, original_max_position_embeddings=32,
                  rope_parameters=_rope(
                      1e4, rope_type="longrope", partial_rotary_factor=0.75,
                      short_factor=[1.0, 1.02, 1.05, 1.1, 1.2, 1.25],
                      long_factor=[1.1, 1.5, 2.2, 3.1, 3.6, 4.0]), sliding_window=None)),
    Family("gemma2", "Gemma2",
           _shape(32, 2, 4, 2, 48, True, head_dim=16, query_pre_attn_scalar=16, sliding_window=16,
                  attn_logit_softcapping=4.0, final_logit_softcapping=8.0,
                  rope_parameters=_rope(1e4)), gemma_norms=True),
    Family("gemma3", "Gemma3Text",
           _shape(32, 6, 4, 2, 48, True, head_dim=16, query_pre_attn_scalar=16, sliding_window=16,
                  rope_parameters={"sliding_attention": _rope(1e4), "full_attention": _rope(
                      1e6, rope_type="linear", factor=8.0)}), gemma_norms=True),
    Family("smollm3", "SmolLM3",
           _shape(32, 4, 2, 1, 48, True, no_rope_layers=[1, 1, 1, 0], use_sliding_window=False,
                  rope_parameters=_rope(5e6))),
    Family("olmo2", "Olmo2", _shape(32, 2, 2, 1, 48, False, rope_parameters=_rope(5e5)),
           old_config=False, dtype="BF16"),
    Family("granite", "Granite",
           _shape(32, 2, 2, 1, 48, True, embedding_multiplier=6.0, attention_multiplier=0.2,
                  residual_multiplier=0.7, logits_scaling=2.0, rope_parameters=_rope(1e4))),
    Family("gpt-oss", "GptOss",
           _shape(64, 2, 4, 2, 64, False, _GPT_OSS_CONTEXT * 32, head_dim=16, sliding_window=16,
                  num_local_experts=4, num_experts_per_tok=2, layer_types=[
                      "sliding_attention", "full_attention"],
                  rope_parameters=_rope(_GPT_OSS_THETA, rope_type="yarn", factor=32.0,
                                        beta_fast=_rotations(1.001), beta_slow=_rotations(3.999),
                                        truncate=False, original_max_position_embeddings=4096)),
           mxfp4=True, min_router_gap=0.02),
    Family("qwen3-embedding", "Qwen3",
           _shape(32, 2, 4, 2, 48, True, head_dim=16, rope_parameters=_rope(1e6)), pre="qwen2",
           seed=50, pooling="lasttoken"),
    Family("bert", "Bert",
           dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
                max_position_embeddings=128, type_vocab_size=2, layer_norm_eps=1e-12,
                hidden_act="gelu"), pre="wordpiece", pooling="cls", encoder="bert"),
    Family("nomic-bert", "NomicBert",
           dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
                layer_norm_eps=1e-12), pre="wordpiece", pooling="mean", encoder="nomic"),
]
