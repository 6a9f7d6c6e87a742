"""The vocabulary of the golden models: byte-level BPE with few merges, and an encoder for it."""

import re

# Merges in order of rank, in the byte-to-character alphabet of GPT-2 ("\u0120" is a space).
MERGES = ["\u0120 t", "h e", "\u0120 a", "i n", "\u0120t he", "r e", "o n", "\u0120 s", "a t",
          "e r", "n d", "\u0120 w", "e n", "o r", "\u0120 c", "i t", "\u0120 b", "e s",
          "\u0120 m", "in g", "o u", "\u0120a nd", "\u00c3 \u00a9", "\u0120s ou"]

SPECIALS = {
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "llama-bpe": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>",
                  "<|end_header_id|>", "<|eot_id|>"],
}

CHAT_TEMPLATES = {
    "qwen2": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
             "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
             "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "llama-bpe": "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + "
                 "message['role'] + '<|end_header_id|>\\n\\n' + message['content'] + "
                 "'<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
                 "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
}

# Holds for texts of letters, single digits, spaces and punctuation, where the pre-tokenizers
# "qwen2" and "llama-bpe" split alike.
_PIECES = re.compile(r"[^\r\n\w]?[^\W\d_]+|\d| ?[^\s\w]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_alphabet():
    """GPT-2's printable character for each byte, in token-id order: [(byte, character)]."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [(b, chr(b)) for b in printable] + [(b, chr(256 + i)) for i, b in enumerate(others)]


def vocabulary(pre):
    """Token strings in id order: 256 bytes, the merges, the special tokens."""
    return ([char for _, char in byte_alphabet()] + [m.replace(" ", "") for m in MERGES]
            + SPECIALS[pre])


def encode(text, pre):
    """Token ids of `text`; the begin token comes first where the family adds one."""
    tokens = vocabulary(pre)
    ids = {token: i for i, token in enumerate(tokens)}
    ranks = {tuple(m.split(" ")): i for i, m in enumerate(MERGES)}
    to_char = dict(byte_alphabet())
    result = [ids["<|begin_of_text|>"]] if pre == "llama-bpe" else []
    for piece in _PIECES.findall(text):
        parts = [to_char[b] for b in piece.encode("utf-8")]
        while len(parts) > 1:
            pairs = list(zip(parts, parts[1:]))
            best = min(pairs, key=lambda p: ranks.get(p, len(MERGES)))
            if best not in ranks:
                break
            at = pairs.index(best)
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        result += [ids[p] for p in parts]
    return result


def write_metadata(writer, pre):
    """The tokenizer's metadata, as llama.cpp's converter names it."""
    tokens = vocabulary(pre)
    num_normal = len(tokens) - len(SPECIALS[pre])
    normal, control = 1, 3  # token types
    writer.string("tokenizer.ggml.model", "gpt2")
    writer.string("tokenizer.ggml.pre", pre)
    writer.array("tokenizer.ggml.tokens", 8, tokens)
    writer.array("tokenizer.ggml.token_type", 5,
                 [normal] * num_normal + [control] * len(SPECIALS[pre]))
    writer.array("tokenizer.ggml.merges", 8, MERGES)
    if pre == "qwen2":
        writer.u32("tokenizer.ggml.eos_token_id", tokens.index("<|im_end|>"))
        writer.u32("tokenizer.ggml.padding_token_id", tokens.index("<|endoftext|>"))
        writer.u32("tokenizer.ggml.bos_token_id", tokens.index("<|endoftext|>"))
        writer.boolean("tokenizer.ggml.add_bos_token", False)
    else:
        writer.u32("tokenizer.ggml.bos_token_id", tokens.index("<|begin_of_text|>"))
        writer.u32("tokenizer.ggml.eos_token_id", tokens.index("<|eot_id|>"))
        writer.boolean("tokenizer.ggml.add_bos_token", True)
    writer.string("tokenizer.chat_template", CHAT_TEMPLATES[pre])
