"""Writes a family's checkpoint folder as its publishers would, and loads it back."""

import json
import os

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

from hf import encoders, vocab, weights


def make_config(family):
    config = getattr(transformers, family.model + "Config")(
        vocab_size=len(vocab.tokens(family.pre)), attn_implementation="eager",
        **vocab.token_ids(family.pre), **family.config)
    config._experts_implementation = "eager"
    return config


def build(family, config):
    """A model of the current default type, in evaluation mode."""
    if family.encoder:
        return transformers.BertModel(config, add_pooling_layer=False).eval()
    prefix = family.model.removesuffix("Text")
    model = getattr(transformers, prefix + "ForCausalLM")(config)
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model.eval()


def parameter_shapes(model):
    return [(name, tuple(p.shape)) for name, p in model.named_parameters()]


def _rewrite_json(path, change):
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    change(value)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def _to_old_config(config):
    """rope_parameters as rope_theta and rope_scaling, as transformers wrote before version 5."""
    rope = config.pop("rope_parameters", None)
    if rope is None:
        return
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = 6
        config.pop("layer_types", None)
        rope = rope["full_attention"]
    rope = dict(rope)
    config["rope_theta"] = rope.pop("rope_theta")
    if (factor := rope.pop("partial_rotary_factor", None)) is not None:
        config["partial_rotary_factor"] = factor
    if rope["rope_type"] == "longrope":
        rope.pop("original_max_position_embeddings", None)
        rope.pop("factor", None)
        rope["type"] = rope.pop("rope_type")
    config["rope_scaling"] = None if rope.get("rope_type") == "default" else rope


def _save_mxfp4(model, values, folder):
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    for name in [n for n in state if n.endswith(("gate_up_proj", "down_proj"))]:
        blocks, scales = weights.encode_mxfp4(values[name].swapaxes(-1, -2))
        assert np.array_equal(weights.decode_mxfp4(blocks, scales), values[name].swapaxes(-1, -2))
        del state[name]
        state[name + "_blocks"] = torch.from_numpy(blocks)
        state[name + "_scales"] = torch.from_numpy(scales)
    save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float32"
    model.config.save_pretrained(folder)


def save(family, model, values, folder):
    """Writes `model` (float32), whose parameters are `values`."""
    os.makedirs(folder, exist_ok=True)
    if family.mxfp4:
        _save_mxfp4(model, values, folder)
    else:
        stored = model.to(torch.bfloat16) if family.dtype == "BF16" else model
        stored.save_pretrained(folder, max_shard_size=family.shard_size or "5GB")

    def change(config):
        config.pop("_experts_implementation", None)
        config.pop("experts_implementation", None)
        if family.mxfp4:
            config["quantization_config"] = {
                "quant_method": "mxfp4", "modules_to_not_convert": [
                    "model.layers.*.self_attn", "model.layers.*.mlp.router",
                    "model.embed_tokens", "lm_head"]}
        if family.old_config:
            _to_old_config(config)

    _rewrite_json(os.path.join(folder, "config.json"), change)
    _write_companions(family, folder)


def save_raw(family, config, values, folder):
    """Writes numpy tensors under a configuration of our own making."""
    os.makedirs(folder, exist_ok=True)
    save_file({n: torch.from_numpy(v) for n, v in values.items()},
              os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    _write_companions(family, folder)


def _write_companions(family, folder):
    vocab.write(folder, family.pre)
    if family.pooling:
        vocab.write_pooling(folder, family.pooling, family.config["hidden_size"])


def reload(family, folder):
    """The folder as transformers reads it, in float32."""
    if family.encoder == "nomic":  # transformers does not read the published configuration
        config = transformers.NomicBertConfig(
            vocab_size=len(vocab.tokens(family.pre)), hidden_act="silu",
            rope_parameters={"rope_type": "default", "rope_theta": encoders.NOMIC_THETA},
            attn_implementation="eager", **vocab.token_ids(family.pre), **family.config)
        return transformers.NomicBertModel.from_pretrained(folder, config=config).float().eval()
    auto = transformers.AutoModel if family.encoder else transformers.AutoModelForCausalLM
    model = auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    return model.float().eval()


def save_adapter(adapter, name, folder):
    adapter.save_pretrained(folder)
    card = os.path.join(folder, "README.md")
    if os.path.exists(card):
        os.remove(card)
    _rewrite_json(os.path.join(folder, "adapter_config.json"),
                  lambda c: c.update(base_model_name_or_path=f"ruvllm-tests/{name}",
                                     target_modules=sorted(c["target_modules"])))
