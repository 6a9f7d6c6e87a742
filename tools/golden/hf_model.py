"""Runs a GGUF file's weights in Hugging Face transformers and records every activation.

transformers computes RMSNorm, the rotary angles and the softmax in float32 even in a float64
model. `HfModel(gguf, spec)` replaces the first two by float64 twins and takes the attention from
torch's scaled_dot_product_attention, which keeps float64; `HfModel(gguf, spec, patched=False)`
leaves the library as it is and serves to show that the twins compute the same function.
"""

import contextlib

import numpy as np
import torch
import transformers
from transformers.models.llama import modeling_llama
from transformers.models.qwen2 import modeling_qwen2

from tiny_models import permute_rows, unpermute_rows

_MODULES = {"llama": (modeling_llama, "Llama"), "qwen2": (modeling_qwen2, "Qwen2")}

_LAYER_NAMES = {
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight", "attn_q.bias": "self_attn.q_proj.bias",
    "attn_k.weight": "self_attn.k_proj.weight", "attn_k.bias": "self_attn.k_proj.bias",
    "attn_v.weight": "self_attn.v_proj.weight", "attn_v.bias": "self_attn.v_proj.bias",
    "attn_output.weight": "self_attn.o_proj.weight", "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight", "ffn_down.weight": "mlp.down_proj.weight",
}


def _norm_forward(self, hidden_states):
    variance = hidden_states.pow(2).mean(-1, keepdim=True)
    return self.weight * (hidden_states * torch.rsqrt(variance + self.variance_epsilon))


def _state_dict(gguf, spec):
    state = {}
    for name, values in gguf.tensors.items():
        if name == "rope_freqs.weight":
            continue
        if spec.arch == "llama" and name.endswith("attn_q.weight"):
            values = unpermute_rows(values, spec.heads)
        if spec.arch == "llama" and name.endswith("attn_k.weight"):
            values = unpermute_rows(values, spec.kv_heads)
        if name.startswith("blk."):
            _, layer, rest = name.split(".", 2)
            target = f"model.layers.{layer}.{_LAYER_NAMES[rest]}"
        else:
            target = {"token_embd.weight": "model.embed_tokens.weight",
                      "output_norm.weight": "model.norm.weight",
                      "output.weight": "lm_head.weight"}[name]
        state[target] = torch.from_numpy(np.array(values, np.float64))
    if "lm_head.weight" not in state:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state


class HfModel:
    def __init__(self, gguf, spec, patched=True):
        self.spec, self.patched = spec, patched
        self.modeling, prefix = _MODULES[spec.arch]
        self.classes = {kind: getattr(self.modeling, prefix + kind)
                        for kind in ("RMSNorm", "RotaryEmbedding", "ForCausalLM")}
        rope = dict(spec.rope_scaling or {"rope_type": "default"}, rope_theta=spec.rope_theta)
        extra = {"head_dim": spec.head_dim} if spec.arch == "llama" else {}
        config = getattr(transformers, prefix + "Config")(
            vocab_size=spec.vocab, hidden_size=spec.hidden, intermediate_size=spec.ffn,
            num_hidden_layers=spec.layers, num_attention_heads=spec.heads,
            num_key_value_heads=spec.kv_heads, max_position_embeddings=spec.context,
            rms_norm_eps=gguf.metadata[f"{spec.arch}.attention.layer_norm_rms_epsilon"],
            tie_word_embeddings=spec.tied, rope_parameters=rope,
            attn_implementation="sdpa" if patched else "eager", **extra)
        self.model = self.classes["ForCausalLM"](config).double().eval()
        self.model.load_state_dict(_state_dict(gguf, spec), strict=True)

        steps = torch.arange(0, spec.head_dim, 2, dtype=torch.float64)
        self.inv_freq = spec.rope_theta ** (-steps / spec.head_dim)
        if "rope_freqs.weight" in gguf.tensors:
            self.inv_freq = self.inv_freq / torch.from_numpy(gguf.tensors["rope_freqs.weight"])
        self._check_frequencies()

    def _check_frequencies(self):
        """transformers' own float32 frequencies must be the file's, up to float32."""
        found = [m for m in self.model.modules()
                 if isinstance(m, self.classes["RotaryEmbedding"])]
        assert found, "no rotary embedding found"
        for module in found:
            error = (module.inv_freq.double() / self.inv_freq - 1).abs().max().item()
            assert error < 2e-6, f"rotary frequencies differ by {error}"

    def _rope_forward(self, _, x, position_ids, *args, **kwargs):
        angles = position_ids[:, :, None].double() * self.inv_freq
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()

    @contextlib.contextmanager
    def _in_float64(self):
        norm, rope = self.classes["RMSNorm"], self.classes["RotaryEmbedding"]
        saved = norm.forward, rope.forward
        if self.patched:
            norm.forward = _norm_forward
            rope.forward = lambda *args, **kwargs: self._rope_forward(*args, **kwargs)
        try:
            yield
        finally:
            norm.forward, rope.forward = saved

    def _record(self, acts):
        """Registers hooks that fill `acts`; returns their handles."""
        handles = []

        def first(value):
            return value[0] if isinstance(value, tuple) else value

        def output(module, name):
            handles.append(module.register_forward_hook(
                lambda _m, _args, out: acts.__setitem__(name, first(out).detach()[0].clone())))

        decoder = self.model.model
        output(decoder.embed_tokens, "embd")
        for i, layer in enumerate(decoder.layers):
            blk = f"blk.{i}."
            output(layer.input_layernorm, blk + "attn_norm")
            output(layer.self_attn.v_proj, blk + "v")
            output(layer.self_attn.o_proj, blk + "attn_out")
            norm = layer.post_attention_layernorm
            handles.append(norm.register_forward_pre_hook(
                lambda _m, args, name=blk + "attn_residual":
                acts.__setitem__(name, args[0].detach()[0].clone())))
            output(norm, blk + "ffn_norm")
            output(layer.mlp, blk + "ffn_out")
            output(layer, blk + "out")
        output(decoder.norm, "final_norm")
        return handles

    def forward(self, tokens):
        """Activations as reference.Reference.forward gives them: name -> [tokens, size]."""
        acts, rotated = {}, []
        original = self.modeling.apply_rotary_pos_emb

        def recording_rope(q, k, *args, **kwargs):
            result = original(q, k, *args, **kwargs)
            rotated.append(tuple(x.detach()[0].clone() for x in result))
            return result

        self.modeling.apply_rotary_pos_emb = recording_rope
        handles = self._record(acts)
        try:
            with torch.no_grad(), self._in_float64():
                logits = self.model(torch.tensor([tokens]), use_cache=False).logits
        finally:
            self.modeling.apply_rotary_pos_emb = original
            for handle in handles:
                handle.remove()
        acts["logits"] = logits[0]
        assert len(rotated) == self.spec.layers, f"{len(rotated)} rotations were recorded"
        for i, (q, k) in enumerate(rotated):
            for name, x, heads in (("q", q, self.spec.heads), ("k", k, self.spec.kv_heads)):
                rows = x.permute(0, 2, 1).reshape(-1, len(tokens)).numpy()  # [rows, tokens]
                if self.spec.arch == "llama":
                    rows = permute_rows(rows, heads)
                acts[f"blk.{i}.{name}"] = torch.from_numpy(rows.T.copy())
        assert all(x.dtype == torch.float64 for x in acts.values()), "not float64 throughout"
        return {name: x.numpy() for name, x in acts.items()}

    def greedy(self, tokens, num_new):
        """(ids, gap between the best and the second logit at each step)."""
        tokens, gaps = list(tokens), []
        start = len(tokens)
        with torch.no_grad(), self._in_float64():
            for _ in range(num_new):
                logits = self.model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
                best, second = logits.topk(2).values.tolist()
                gaps.append(best - second)
                tokens.append(int(logits.argmax()))
        return tokens[start:], gaps
