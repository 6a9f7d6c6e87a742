"""Random weights by the name of the parameter, and MXFP4.

The gains keep every part of a network alive: attention neither flat nor one-hot, branches as large
as the residual, biases, norms and sinks far from neutral, experts chosen clearly, so that an error
in any of them shows in the outputs.
"""

import math

import numpy as np

# (part of the name, gain): the spread of a matrix is gain / sqrt(inputs).
_GAINS = [("q_proj", 1.2), ("k_proj", 1.2), ("qkv_proj", 1.2), ("query", 1.2), ("key", 1.2),
          ("Wqkv", 1.2), ("router", 2.0), ("gate.weight", 2.0), ("gate_up_proj", 1.3),
          ("gate_proj", 1.5), ("fc12", 1.5), ("intermediate", 1.5), ("lm_head", 3.0)]
_BIAS_SPREADS = [("q_proj", 0.5), ("k_proj", 0.5), ("query", 0.5), ("key", 0.5), ("router", 0.5)]


def _find(table, name, default):
    return next((value for part, value in table if part in name), default)


def _is_norm(name):
    return "norm" in name.lower() or "emb_ln" in name


def _embedding_spread(family):
    """A tied embedding is small, and smaller where the model scales it up: a token must not
    predict itself. The last norm makes up for it."""
    if not family.config.get("tie_word_embeddings"):
        return 0.5
    if "embedding_multiplier" in family.config:
        return 0.04
    return 0.08 if family.gemma_norms else 0.2


def _vector(family, random, name, shape):
    spread = random.standard_normal(shape)
    if "sinks" in name:
        return 0.5 + spread
    if name.endswith("bias"):
        return spread * (0.2 if _is_norm(name) else _find(_BIAS_SPREADS, name, 0.3))
    assert _is_norm(name), name
    mean = 0.5 / _embedding_spread(family) if name.endswith("model.norm.weight") else 1.0
    return mean + spread * 0.3 * mean - (1.0 if family.gemma_norms else 0.0)


def _matrix(family, random, name, shape):
    spread = random.standard_normal(shape)
    if "embed" in name:
        return spread * _embedding_spread(family)
    # gpt-oss stores its experts transposed: [experts, inputs, outputs].
    transposed = family.mxfp4 and ".experts." in name
    inputs = shape[-2] if transposed else shape[-1]
    return spread * _find(_GAINS, name, 1.0) / math.sqrt(inputs)


def round_to_bf16(values):
    bits = values.astype(np.float32).view(np.uint32)
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32)


def random_weights(family, shapes, seed):
    """name -> float32 array; `shapes` lists (name, shape) of every parameter."""
    random = np.random.RandomState(seed)  # its stream is frozen across numpy versions
    weights = {}
    for name, shape in sorted(shapes):
        is_vector = len(shape) == 1 or name.endswith("_bias")
        values = (_vector if is_vector else _matrix)(family, random, _dotted(name), shape)
        values = values.astype(np.float32)
        if family.dtype == "BF16":
            values = round_to_bf16(values)
        weights[name] = values
    if family.mxfp4:
        for name in [n for n in weights if n.endswith(("gate_up_proj", "down_proj"))]:
            blocks, scales = encode_mxfp4(weights[name].swapaxes(-1, -2))
            weights[name] = np.ascontiguousarray(decode_mxfp4(blocks, scales).swapaxes(-1, -2))
    return weights


def _dotted(name):
    """`gate_up_proj_bias` of gpt-oss as `gate_up_proj.bias`."""
    return name[:-5] + ".bias" if name.endswith("_bias") else name


# MXFP4 (Open Compute Project, Microscaling Formats 1.0): 32 values of type E2M1 share a power of
# two, stored with a bias of 127. In the checkpoints of gpt-oss element 2i is the low nibble.
_E2M1 = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0], np.float32)


def encode_mxfp4(values):
    """(codes uint8 [..., inputs / 32, 16], exponents uint8 [..., inputs / 32])."""
    groups = values.reshape(*values.shape[:-1], -1, 32).astype(np.float64)
    largest = np.abs(groups).max(axis=-1)
    exponent = np.floor(np.log2(np.maximum(largest, 1e-30))) - 2
    scaled = groups / np.exp2(exponent)[..., None]
    codes = np.abs(np.abs(scaled)[..., None] - _E2M1).argmin(axis=-1).astype(np.uint8)
    codes |= (np.signbit(scaled).astype(np.uint8) << 3)
    blocks = codes[..., 0::2] | (codes[..., 1::2] << 4)
    return np.ascontiguousarray(blocks), np.ascontiguousarray((exponent + 127).astype(np.uint8))


def decode_mxfp4(blocks, scales):
    """float32 [..., inputs]."""
    codes = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*blocks.shape[:-1], 32)
    values = np.where(codes >> 3, -1.0, 1.0) * _E2M1[codes & 7]
    values = values * np.exp2(scales.astype(np.float64) - 127)[..., None]
    return values.reshape(*scales.shape[:-1], -1).astype(np.float32)
