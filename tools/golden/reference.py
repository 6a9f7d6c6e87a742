"""Decoder forward pass in float64 with numpy, straight from a GGUF file's tensors.

Independent of Hugging Face: it rotates q and k in the row order of the file (adjacent pairs for
llama, halves for qwen2), so that its agreement with a model of un-permuted weights shows that the
file follows the convention.
"""

import math

import numpy as np


def yarn_frequencies(inv_freq, base, factor, original_context, rounded):
    """YaRN (https://arxiv.org/abs/2309.00071) with its usual 32 and 1 rotations; `rounded`: the ends of
    the ramp are whole numbers, as in the paper's code."""
    head_dim = 2 * len(inv_freq)

    def dimension(rotations):
        return (head_dim * math.log(original_context / (rotations * 2 * math.pi)) /
                (2 * math.log(base)))

    low, high = dimension(32), dimension(1)
    if rounded:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    ramp = np.clip((np.arange(len(inv_freq)) - low) / (high - low), 0, 1)
    return inv_freq / factor * ramp + inv_freq * (1 - ramp)


class Reference:
    def __init__(self, gguf, yarn_is_rounded=True):
        self.tensors = gguf.tensors
        meta, self.arch = gguf.metadata, gguf.metadata["general.architecture"]

        def value(key, default=None):
            return meta.get(f"{self.arch}.{key}", default)

        self.num_layers = value("block_count")
        self.heads = value("attention.head_count")
        self.kv_heads = value("attention.head_count_kv")
        self.head_dim = value("attention.key_length", value("embedding_length") // self.heads)
        self.eps = value("attention.layer_norm_rms_epsilon")
        steps = np.arange(0, self.head_dim, 2, dtype=np.float64)
        self.inv_freq = value("rope.freq_base") ** (-steps / self.head_dim)
        if "rope_freqs.weight" in self.tensors:
            self.inv_freq = self.inv_freq / self.tensors["rope_freqs.weight"]
        self.magnitude = 1.0
        if value("rope.scaling.type") == "yarn":
            factor = value("rope.scaling.factor")
            self.magnitude = 0.1 * math.log(factor) + 1
            self.inv_freq = yarn_frequencies(self.inv_freq, value("rope.freq_base"), factor,
                                             value("rope.scaling.original_context_length"),
                                             yarn_is_rounded)

    def _linear(self, x, name):
        y = x @ self.tensors[name + ".weight"].T
        return y + self.tensors[name + ".bias"] if name + ".bias" in self.tensors else y

    def _norm(self, x, name):
        scale = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps)
        return x * scale * self.tensors[name + ".weight"]

    def _rope(self, x, heads):
        """x [tokens, heads * head_dim] -> the same, rotated by position."""
        x = x.reshape(len(x), heads, self.head_dim)
        angle = np.arange(len(x), dtype=np.float64)[:, None, None] * self.inv_freq
        cos, sin = np.cos(angle) * self.magnitude, np.sin(angle) * self.magnitude
        if self.arch == "llama":
            first, second = slice(0, None, 2), slice(1, None, 2)
        else:
            half = self.head_dim // 2
            first, second = slice(0, half), slice(half, None)
        y = np.empty_like(x)
        y[..., first] = x[..., first] * cos - x[..., second] * sin
        y[..., second] = x[..., first] * sin + x[..., second] * cos
        return y.reshape(len(x), -1)

    def _attend(self, q, k, v):
        tokens, group = len(q), self.heads // self.kv_heads
        q = q.reshape(tokens, self.heads, self.head_dim).transpose(1, 0, 2)
        k, v = (np.repeat(x.reshape(tokens, self.kv_heads, self.head_dim).transpose(1, 0, 2),
                          group, axis=0) for x in (k, v))
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(self.head_dim)
        scores = np.where(np.tril(np.ones((tokens, tokens), bool)), scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ v).transpose(1, 0, 2).reshape(tokens, -1)

    def forward(self, tokens):
        """Every activation by name, each [tokens, size]."""
        x = self.tensors["token_embd.weight"][tokens]
        acts = {"embd": x}
        for i in range(self.num_layers):
            blk = f"blk.{i}."
            normed = self._norm(x, blk + "attn_norm")
            q = self._rope(self._linear(normed, blk + "attn_q"), self.heads)
            k = self._rope(self._linear(normed, blk + "attn_k"), self.kv_heads)
            v = self._linear(normed, blk + "attn_v")
            attn_out = self._linear(self._attend(q, k, v), blk + "attn_output")
            residual = x + attn_out
            ffn_in = self._norm(residual, blk + "ffn_norm")
            gate = self._linear(ffn_in, blk + "ffn_gate")
            ffn = gate / (1 + np.exp(-gate)) * self._linear(ffn_in, blk + "ffn_up")
            ffn_out = self._linear(ffn, blk + "ffn_down")
            x = residual + ffn_out
            acts.update({blk + "attn_norm": normed, blk + "q": q, blk + "k": k, blk + "v": v,
                         blk + "attn_out": attn_out, blk + "attn_residual": residual,
                         blk + "ffn_norm": ffn_in, blk + "ffn_out": ffn_out, blk + "out": x})
        acts["final_norm"] = self._norm(x, "output_norm")
        head = "output" if "output.weight" in self.tensors else "token_embd"
        acts["logits"] = acts["final_norm"] @ self.tensors[head + ".weight"].T
        return acts

    def greedy(self, tokens, num_new):
        """(ids, gap between the best and the second logit at each step)."""
        tokens, gaps = list(tokens), []
        start = len(tokens)
        for _ in range(num_new):
            logits = self.forward(tokens)["logits"][-1]
            second, best = np.argsort(logits)[-2:]
            gaps.append(float(logits[best] - logits[second]))
            tokens.append(int(best))
        return tokens[start:], gaps
