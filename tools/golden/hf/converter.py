"""Runs llama.cpp's converter, or its converter of adapters, on a tiny checkpoint.

  python3 converter.py LLAMA_CPP PRE SCRIPT ARGUMENTS...

The converter knows tokenizers by the hash of what they make of a text, and some families only with
a SentencePiece model; here all get the tokens of tools/golden/hf/vocab.py. It leaves the sliding
window of Mistral out of the file; here it is written. It is used as it is otherwise.
"""

import json
import os
import runpy
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from hf import vocab


def _read_config(folder, *_):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        return json.load(file)


def _patch(pre):
    from conversion import base, get_model_class
    import gguf

    special = set(vocab.specials(pre))
    tokens = vocab.tokens(pre)
    types = [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens]
    known = "bert-bge" if pre == "wordpiece" else pre
    base.TextModel.get_vocab_base = lambda self: (list(tokens), list(types), known)
    if pre == "wordpiece":
        # transformers would replace what nomic-bert's published configuration says by defaults.
        base.ModelBase.load_hparams = staticmethod(_read_config)
    else:
        for name in ("LlamaForCausalLM", "Phi3ForCausalLM", "Gemma2ForCausalLM",
                     "Gemma3ForCausalLM", "GraniteForCausalLM", "SmolLM3ForCausalLM",
                     "Olmo2ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
                     "Qwen3MoeForCausalLM"):
            get_model_class(name).set_vocab = base.TextModel._set_vocab_gpt2
    llama = get_model_class("LlamaForCausalLM")
    original = llama.set_gguf_parameters

    def with_window(self):
        original(self)
        if self.hparams.get("model_type") == "mistral" and self.hparams.get("sliding_window"):
            self.gguf_writer.add_sliding_window(self.hparams["sliding_window"])

    llama.set_gguf_parameters = with_window


def main():
    folder, pre, script = sys.argv[1:4]
    sys.path.insert(0, folder)
    sys.path.insert(0, os.path.join(folder, "gguf-py"))
    _patch(pre)
    sys.argv = [script] + sys.argv[4:]
    runpy.run_path(os.path.join(folder, script), run_name="__main__")


if __name__ == "__main__":
    main()
