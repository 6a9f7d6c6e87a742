#!/usr/bin/env python3
"""What a quantized store of keys and values costs: the table of docs/kv-store.md.

kv_store_table.py RUVLLM MODEL_F32.gguf TEXT... [--ctx 2048] [--tokens 16384] [--tails 256,64,0]

For each store and tail, against a cache in binary16 alone: change of the perplexity in per cent
(mean of the texts, and the worst), Kullback-Leibler divergence of the predictions, and how often
the most likely token is the same; positions 512 and later of each window. The same once more for a
copy of the model with outliers: keys times 16 on two rotary pairs of each head, queries divided by
it, which leaves the function as it was.

Needs python3-numpy. The model is one of architecture qwen2 in F32, as `ruvllm convert` writes it.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "golden"))
from gguf_reader import read_layout  # noqa: E402

STORES = ("q8", "k8v4", "q4", "q3", "q2")
FIRST_SCORED = 512
OUTLIER, OUTLIER_CHANNELS = 16.0, (3, 17)  # and their partners, half a head further


def write_with_outliers(source, target):
    data = bytearray(source.read_bytes())
    metadata, layout = read_layout(source)
    heads = metadata["qwen2.attention.head_count"]
    kv_heads = metadata["qwen2.attention.head_count_kv"]
    head_dim = metadata["qwen2.embedding_length"] // heads
    channels = [c + half for c in OUTLIER_CHANNELS for half in (0, head_dim // 2)]
    for name, (shape, type_name, offset) in layout.items():
        assert type_name == "F32", f"{source}: {name} is {type_name}; convert with --type f32"
        tensor = np.frombuffer(data, "<f4", int(np.prod(shape)), offset).reshape(shape)
        for part, count, factor in (("attn_k", kv_heads, OUTLIER), ("attn_q", heads, 1 / OUTLIER)):
            if f".{part}." in name:
                for head in range(count):
                    tensor[[head * head_dim + c for c in channels]] *= factor
    target.write_bytes(data)


def run(options, model, text, store, tail, logits):
    command = [
        options.ruvllm, "perplexity", model, "--file", text, "--ctx", options.ctx, "--tokens",
        options.tokens, "--kv-store", store, "--kv-tail", tail, "--logits-out", logits, "--json",
    ]  # fmt: skip
    result = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
    return json.loads(result.stdout)


def log_softmax(rows):
    rows = rows - rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


class Comparison:
    """Sums over scored positions of a run against the one in binary16."""

    def __init__(self):
        self.loss = self.base_loss = self.divergence = self.same = self.count = 0.0

    def add_window(self, base, rows, targets):
        base, rows = log_softmax(base.astype("f8")), log_softmax(rows.astype("f8"))
        index = np.arange(len(targets))
        self.base_loss -= base[index, targets].sum()
        self.loss -= rows[index, targets].sum()
        self.divergence += (np.exp(base) * (base - rows)).sum()
        self.same += (base.argmax(axis=1) == rows.argmax(axis=1)).sum()
        self.count += len(targets)

    def ppl_change(self):
        return 100 * np.expm1((self.loss - self.base_loss) / self.count)


def compare(options, vocab_size, ids, base_path, path):
    comparison = Comparison()
    base = np.memmap(base_path, "<f4", "r").reshape(-1, vocab_size)
    rows = np.memmap(path, "<f4", "r").reshape(-1, vocab_size)
    at = 0
    for begin in range(0, len(ids), options.ctx):
        window = ids[begin : begin + options.ctx]
        scored = len(window) - 1
        keep = slice(at + FIRST_SCORED, at + scored)
        if scored > FIRST_SCORED:
            comparison.add_window(base[keep], rows[keep], np.array(window[FIRST_SCORED + 1 :]))
        at += scored
    return comparison


def tokenize(options, model, text):
    command = [options.ruvllm, "tokenize", "--model", model, "--file", text, "--json"]
    result = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
    return json.loads(result.stdout)["ids"][: options.tokens]


def measure(options, model, vocab_size, folder):
    """(store, tail) -> one Comparison a text, and the bytes of a window."""
    results = {}
    base_path, path = folder / "base", folder / "rows"
    for text in options.texts:
        ids = tokenize(options, model, text)
        base = run(options, model, text, "f16", 0, base_path)
        results.setdefault(("f16", ""), [None, base["kv_bytes"]])
        for tail in options.tails:
            for store in STORES:
                report = run(options, model, text, store, tail, path)
                entry = results.setdefault((store, tail), [[], report["kv_bytes"]])
                entry[0].append(compare(options, vocab_size, ids, base_path, path))
    return results


def cells(comparisons):
    changes = [c.ppl_change() for c in comparisons]
    count = sum(c.count for c in comparisons)
    return (
        f"{np.mean(changes):+.3f} % ({max(changes):+.3f}) | "
        f"{sum(c.divergence for c in comparisons) / count:.4f} | "
        f"{100 * sum(c.same for c in comparisons) / count:.2f} %"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ruvllm", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path, nargs="+")
    parser.add_argument("--ctx", type=int, default=2048)
    parser.add_argument("--tokens", type=int, default=16384)
    parser.add_argument("--tails", default="256,64,0")
    options = parser.parse_args()
    options.tails = [int(tail) for tail in options.tails.split(",")]
    with tempfile.TemporaryDirectory() as folder_name:
        folder = pathlib.Path(folder_name)
        outliers = folder / "outliers.gguf"
        write_with_outliers(options.model, outliers)
        vocab_size = read_layout(outliers)[1]["token_embd.weight"][0][0]
        plain = measure(options, options.model, vocab_size, folder)
        stressed = measure(options, outliers, vocab_size, folder)
    print("| store | tail | bytes of a window | perplexity (worst text) | KL | same top-1 "
          "| with outliers: perplexity | KL | same top-1 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (store, tail), (comparisons, num_bytes) in plain.items():
        if comparisons is None:
            print(f"| {store} | | {num_bytes:,} | | | | | | |")
        else:
            other = stressed[store, tail][0]
            print(f"| {store} | {tail} | {num_bytes:,} | {cells(comparisons)} | {cells(other)} |")


if __name__ == "__main__":
    main()
