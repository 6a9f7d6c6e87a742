"""Shapes, random weights and GGUF files of the golden models."""

import math
from dataclasses import dataclass, field

import numpy as np

import tokenizer
from gguf_writer import GgufWriter

# Which tensor takes which type in the file that mixes all nine.
MIXED_TYPES = {
    "token_embd.weight": "Q6_K", "output.weight": "Q4_0",
    "blk.0.attn_q.weight": "Q4_K", "blk.0.attn_k.weight": "Q5_0", "blk.0.attn_v.weight": "F16",
    "blk.0.attn_output.weight": "Q5_K", "blk.0.ffn_gate.weight": "Q8_0",
    "blk.0.ffn_up.weight": "Q4_K", "blk.0.ffn_down.weight": "Q6_K",
    "blk.1.attn_q.weight": "Q8_0", "blk.1.attn_k.weight": "BF16", "blk.1.attn_v.weight": "F32",
    "blk.1.attn_output.weight": "Q5_0", "blk.1.ffn_gate.weight": "Q5_K",
    "blk.1.ffn_up.weight": "Q4_0", "blk.1.ffn_down.weight": "Q4_K",
}


@dataclass
class Spec:
    name: str
    arch: str  # "llama" or "qwen2"
    seed: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    rope_theta: float
    rms_eps: float
    tied: bool
    matrix_type: str = "F32"  # of every matrix without an entry in `types`
    types: dict = field(default_factory=dict)
    rope_scaling: dict | None = None  # llama3 only
    context: int = 512
    # Written by llama.cpp's quantizer from a full-precision file of this spec, to this type.
    quantizer_type: str | None = None

    @property
    def pre(self):
        return "qwen2" if self.arch == "qwen2" else "llama-bpe"

    @property
    def vocab(self):
        return len(tokenizer.vocabulary(self.pre))


SPECS = [
    Spec("qwen2-tiny", "qwen2", 14, hidden=64, layers=3, heads=4, kv_heads=2, head_dim=16, ffn=96,
         rope_theta=1e4, rms_eps=1e-6, tied=True),
    Spec("llama-tiny", "llama", 2, hidden=64, layers=2, heads=8, kv_heads=2, head_dim=32, ffn=96,
         rope_theta=5e5, rms_eps=1e-5, tied=False, matrix_type="F16"),
    Spec("llama-rope3", "llama", 19, hidden=64, layers=2, heads=4, kv_heads=2, head_dim=16, ffn=96,
         rope_theta=5e5, rms_eps=1e-5, tied=True, matrix_type="F16",
         rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                       "high_freq_factor": 4.0, "original_max_position_embeddings": 64}),
    Spec("llama-odd", "llama", 10, hidden=96, layers=2, heads=4, kv_heads=1, head_dim=24, ffn=80,
         rope_theta=1e4, rms_eps=1e-5, tied=True),
    Spec("qwen2-k256-mixed", "qwen2", 12, hidden=256, layers=2, heads=4, kv_heads=1, head_dim=64,
         ffn=256, rope_theta=1e6, rms_eps=1e-6, tied=False, types=MIXED_TYPES),
    Spec("llama-k256-q4_k_m", "llama", 16, hidden=256, layers=2, heads=4, kv_heads=1, head_dim=64,
         ffn=256, rope_theta=5e5, rms_eps=1e-5, tied=False, quantizer_type="Q4_K_M"),
]

_FILE_TYPES = {"F32": 0, "F16": 1}


def permute_rows(values, heads):
    """Rows of q or k from the half-split order of Hugging Face, [head, 2, head_dim / 2], to the
    interleaved order of llama files, [head, head_dim / 2, 2]."""
    rows = values.reshape(heads, 2, -1, *values.shape[1:])
    return rows.swapaxes(1, 2).reshape(values.shape)


def unpermute_rows(values, heads):
    """The inverse of `permute_rows`."""
    rows = values.reshape(heads, -1, 2, *values.shape[1:])
    return rows.swapaxes(1, 2).reshape(values.shape)


def rope_factors(spec):
    """Llama 3's divisors of the rotary frequencies, float32 [head_dim / 2]."""
    scaling = spec.rope_scaling
    old_context = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    factors = []
    for i in range(0, spec.head_dim, 2):
        wavelength = 2 * math.pi * spec.rope_theta ** (i / spec.head_dim)
        if wavelength < old_context / high:
            factors.append(1.0)
        elif wavelength > old_context / low:
            factors.append(scaling["factor"])
        else:
            smooth = (old_context / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(factors, np.float32)


def random_weights(spec):
    """GGUF tensor name -> float32 array, q and k of llama in half-split order.

    The gains keep every part of the network alive: attention neither flat nor one-hot, branches
    as large as the residual, biases and norms far from neutral, so that an error in any of them
    shows in the outputs.
    """
    random = np.random.RandomState(spec.seed)  # its stream is frozen across numpy versions
    weights = {}

    def matrix(name, rows, columns, gain):
        weights[name] = random.standard_normal((rows, columns)) * gain / math.sqrt(columns)

    def vector(name, size, mean, std):
        weights[name] = mean + random.standard_normal(size) * std

    q_dim, kv_dim = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim
    # Tied embeddings are small, and the last norm makes up for it: a token must not predict itself.
    embd_std, last_norm = (0.2, 2.5) if spec.tied else (0.5, 1.0)
    matrix("token_embd.weight", spec.vocab, spec.hidden, embd_std * math.sqrt(spec.hidden))
    for i in range(spec.layers):
        prefix = f"blk.{i}."
        vector(prefix + "attn_norm.weight", spec.hidden, 1.0, 0.3)
        matrix(prefix + "attn_q.weight", q_dim, spec.hidden, 1.2)
        matrix(prefix + "attn_k.weight", kv_dim, spec.hidden, 1.2)
        matrix(prefix + "attn_v.weight", kv_dim, spec.hidden, 1.0)
        if spec.arch == "qwen2":
            vector(prefix + "attn_q.bias", q_dim, 0.0, 0.5)
            vector(prefix + "attn_k.bias", kv_dim, 0.0, 0.5)
            vector(prefix + "attn_v.bias", kv_dim, 0.0, 0.3)
        matrix(prefix + "attn_output.weight", spec.hidden, q_dim, 1.0)
        vector(prefix + "ffn_norm.weight", spec.hidden, 1.0, 0.3)
        matrix(prefix + "ffn_gate.weight", spec.ffn, spec.hidden, 1.5)
        matrix(prefix + "ffn_up.weight", spec.ffn, spec.hidden, 1.0)
        matrix(prefix + "ffn_down.weight", spec.hidden, spec.ffn, 1.0)
    vector("output_norm.weight", spec.hidden, last_norm, 0.3 * last_norm)
    if not spec.tied:
        matrix("output.weight", spec.vocab, spec.hidden, 3.0)
    return {name: values.astype(np.float32) for name, values in weights.items()}


def gguf_tensors(spec, full_precision=False):
    """(name, values, type name) of every tensor as the file holds it."""
    for name, values in random_weights(spec).items():
        if spec.arch == "llama" and name.endswith("attn_q.weight"):
            values = permute_rows(values, spec.heads)
        if spec.arch == "llama" and name.endswith("attn_k.weight"):
            values = permute_rows(values, spec.kv_heads)
        type_name = "F32"
        if values.ndim == 2 and not full_precision:
            type_name = spec.types.get(name, spec.matrix_type)
        yield name, values, type_name
    if spec.rope_scaling:
        yield "rope_freqs.weight", rope_factors(spec), "F32"


def write_model(spec, path, full_precision=False):
    """Writes the model in the names and conventions of llama.cpp's converter."""
    writer, arch = GgufWriter(), spec.arch
    writer.string("general.architecture", arch)
    writer.string("general.type", "model")
    writer.string("general.name", spec.name)
    writer.string("general.description", "Random weights for tests of the RuvLLM project")
    writer.u32(f"{arch}.block_count", spec.layers)
    writer.u32(f"{arch}.context_length", spec.context)
    writer.u32(f"{arch}.embedding_length", spec.hidden)
    writer.u32(f"{arch}.feed_forward_length", spec.ffn)
    writer.u32(f"{arch}.attention.head_count", spec.heads)
    writer.u32(f"{arch}.attention.head_count_kv", spec.kv_heads)
    writer.f32(f"{arch}.rope.freq_base", spec.rope_theta)
    writer.f32(f"{arch}.attention.layer_norm_rms_epsilon", spec.rms_eps)
    if spec.head_dim * spec.heads != spec.hidden:
        writer.u32(f"{arch}.attention.key_length", spec.head_dim)
        writer.u32(f"{arch}.attention.value_length", spec.head_dim)
    if not spec.types:
        writer.u32("general.file_type", 0 if full_precision else _FILE_TYPES[spec.matrix_type])
    if arch == "llama":
        writer.u32("llama.vocab_size", spec.vocab)
        writer.u32("llama.rope.dimension_count", spec.head_dim)
    writer.u32("general.quantization_version", 2)
    tokenizer.write_metadata(writer, spec.pre)
    for name, values, type_name in gguf_tensors(spec, full_precision):
        writer.tensor(name, values, type_name)
    writer.write(path)
