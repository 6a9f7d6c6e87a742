"""The encoders: BERT from transformers, and nomic-bert as its published checkpoints compute it.

nomic-bert's published checkpoints have their own names and configuration (they ran on code of
their own), so the reference here is a few lines of torch.
"""

import torch
from torch.nn import functional

NOMIC_THETA = 1000.0


def bert(model, tokens):
    """Activations of a transformers BertModel: name -> tensor [tokens, hidden]."""
    with torch.no_grad():
        out = model(input_ids=torch.tensor([tokens]), output_hidden_states=True)
    acts = {"embd": out.hidden_states[0][0]}
    for i, state in enumerate(out.hidden_states[1:]):
        acts[f"blk.{i}.out"] = state[0]
    acts["final_norm"] = out.last_hidden_state[0]
    return acts


def nomic_config(config, vocab_size, pad_token_id):
    return {"architectures": ["NomicBertModel"], "model_type": "nomic_bert",
            "activation_function": "swiglu", "attn_pdrop": 0.0, "causal": False,
            "embd_pdrop": 0.0, "layer_norm_epsilon": config["layer_norm_eps"],
            "max_trained_positions": 2048, "mlp_fc1_bias": False, "mlp_fc2_bias": False,
            "n_embd": config["hidden_size"], "n_head": config["num_attention_heads"],
            "n_inner": config["intermediate_size"], "n_layer": config["num_hidden_layers"],
            "n_positions": 8192, "pad_token_id": pad_token_id, "parallel_block": False,
            "prenorm": False, "qkv_proj_bias": False, "rotary_emb_base": NOMIC_THETA,
            "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False,
            "rotary_emb_scale_base": None, "type_vocab_size": 2, "use_rms_norm": False,
            "vocab_size": vocab_size, "torch_dtype": "float32"}


def nomic_shapes(config, vocab_size):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes = [("embeddings.word_embeddings.weight", (vocab_size, hidden)),
              ("embeddings.token_type_embeddings.weight", (2, hidden)),
              ("emb_ln.weight", (hidden,)), ("emb_ln.bias", (hidden,))]
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layers.{i}."
        shapes += [(layer + "attn.Wqkv.weight", (3 * hidden, hidden)),
                   (layer + "attn.out_proj.weight", (hidden, hidden)),
                   (layer + "mlp.fc11.weight", (inner, hidden)),
                   (layer + "mlp.fc12.weight", (inner, hidden)),
                   (layer + "mlp.fc2.weight", (hidden, inner))]
        shapes += [(layer + f"norm{n}.{kind}", (hidden,)) for n in (1, 2)
                   for kind in ("weight", "bias")]
    return shapes


def _rotate(x, base):
    """Rotary embedding of halves; x [heads, tokens, head_dim]."""
    half = x.shape[-1] // 2
    frequencies = base ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def nomic(config, published, weights, tokens):
    """The same activations from numpy weights, in float64."""
    w = {name: torch.from_numpy(value).double() for name, value in weights.items()}
    heads, hidden = published["n_head"], published["n_embd"]

    def norm(x, name):
        return functional.layer_norm(x, (hidden,), w[name + ".weight"], w[name + ".bias"],
                                     config["layer_norm_eps"])

    def split(x):
        return x.reshape(len(tokens), heads, -1).transpose(0, 1)

    x = w["embeddings.word_embeddings.weight"][tokens]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "emb_ln")
    acts = {"embd": x}
    for i in range(published["n_layer"]):
        layer = f"encoder.layers.{i}."
        q, k, v = (split(p) for p in (x @ w[layer + "attn.Wqkv.weight"].T).chunk(3, dim=-1))
        q, k = (_rotate(p, published["rotary_emb_base"]) for p in (q, k))
        scores = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(dim=-1)
        mixed = (scores @ v).transpose(0, 1).reshape(len(tokens), -1)
        x = norm(x + mixed @ w[layer + "attn.out_proj.weight"].T, layer + "norm1")
        up = x @ w[layer + "mlp.fc11.weight"].T
        inner = up * functional.silu(x @ w[layer + "mlp.fc12.weight"].T)
        x = norm(x + inner @ w[layer + "mlp.fc2.weight"].T, layer + "norm2")
        acts[f"blk.{i}.out"] = x
    acts["final_norm"] = x
    return acts


def pool(acts, pooling):
    """Adds the pooled vector and the same of length one, each [1, hidden]."""
    last = acts["final_norm"]
    pooled = {"mean": last.mean(dim=0), "cls": last[0], "lasttoken": last[-1]}[pooling]
    acts["pooled"] = pooled[None]
    acts["embedding"] = (pooled / pooled.norm())[None]
