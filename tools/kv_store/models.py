"""A copy of a model with outliers in its keys, which computes the same function."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
from gguf_reader import read_layout  # noqa: E402

FACTOR, CHANNELS = 16.0, (3, 17)  # of each head; and their partners, half a head further
BLOCK_BYTES = {"F32": 4, "Q8_0": 34}  # of one weight, of 32; a block of Q8_0 begins with its scale


def vocab_size(path):
    return read_layout(path)[1]["token_embd.weight"][0][0]


def _rows(data, shape, type_name, offset):
    """A writable view of what scales each output channel: [channels, factors in a row]."""
    columns = shape[1] if len(shape) == 2 else 1
    if type_name == "F32":
        return np.frombuffer(data, "<f4", shape[0] * columns, offset).reshape(shape[0], columns)
    if type_name != "Q8_0":
        raise ValueError(f"{type_name}: keys can be scaled in F32 and Q8_0 alone")
    blocks = shape[0] * columns // 32
    raw = np.frombuffer(data, np.uint8, blocks * BLOCK_BYTES[type_name], offset)
    return raw.reshape(blocks, -1)[:, :2].view("<f2").reshape(shape[0], columns // 32)


def write_with_outliers(source, target):
    """Keys times FACTOR on two rotary pairs of each head, queries divided by it."""
    data = bytearray(source.read_bytes())
    metadata, layout = read_layout(source)
    heads = metadata["qwen2.attention.head_count"]
    kv_heads = metadata["qwen2.attention.head_count_kv"]
    head_dim = metadata["qwen2.embedding_length"] // heads
    channels = np.array([c + half for c in CHANNELS for half in (0, head_dim // 2)])
    for name, (shape, type_name, offset) in layout.items():
        for part, count, factor in (("attn_k", kv_heads, FACTOR), ("attn_q", heads, 1 / FACTOR)):
            if f".{part}." in name:
                rows = _rows(data, shape, type_name, offset)
                for head in range(count):
                    rows[channels + head * head_dim] *= factor
    target.write_bytes(data)
