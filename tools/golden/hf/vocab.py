"""tokenizer.json and tokenizer_config.json of the tiny vocabularies."""

import json
import os

import tokenizer

# The pre-tokenizers' patterns, as the published tokenizers of the families hold them.
_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_PATTERNS = {
    "qwen2": _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "llama-bpe": _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
                 r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
_ENDS = {"qwen2": ("<|endoftext|>", "<|im_end|>", "<|endoftext|>"),
         "llama-bpe": ("<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>")}

_WORDPIECE_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_WORDS = ["the", "cat", "sat", "on", "mat", "sea", "rose", "once", "fish", "man", "and", "went",
          "board", "where", "she", "ask", "in", "cafe", "orange", "##erman", "##ed", "##ing",
          "##er"]


def wordpiece_tokens():
    signs = [chr(c) for c in range(0x21, 0x7F) if not chr(c).isupper()]
    inner = ["##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    return _WORDPIECE_SPECIALS + signs + inner + _WORDS


def tokens(pre):
    return wordpiece_tokens() if pre == "wordpiece" else tokenizer.vocabulary(pre)


def specials(pre):
    return _WORDPIECE_SPECIALS if pre == "wordpiece" else tokenizer.SPECIALS[pre]


def token_ids(pre):
    """Begin, end and padding ids for the configuration; BERT needs only the last."""
    if pre == "wordpiece":
        return {"pad_token_id": 0}
    bos, eos, pad = (tokens(pre).index(t) for t in _ENDS[pre])
    return {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad}


def encode_wordpiece(text):
    """Ids with [CLS] and [SEP]: lower case without accents, words and single signs, then the
    longest piece first."""
    import unicodedata
    text = unicodedata.normalize("NFD", text.lower())
    words, word = [], ""
    for char in text + " ":
        if unicodedata.category(char) == "Mn":
            continue
        if char.isalnum():
            word += char
            continue
        words += [word] if word else []
        word = ""
        words += [char] if not char.isspace() else []
    ids = {t: i for i, t in enumerate(wordpiece_tokens())}
    result = [ids["[CLS]"]]
    for word in words:
        at, pieces = 0, []
        while at < len(word):
            prefix = "##" if at else ""
            end = next((e for e in range(len(word), at, -1) if prefix + word[at:e] in ids), None)
            if end is None:
                pieces = [ids["[UNK]"]]
                break
            pieces.append(ids[prefix + word[at:end]])
            at = end
        result += pieces
    return result + [ids["[SEP]"]]


def encode(text, pre):
    return encode_wordpiece(text) if pre == "wordpiece" else tokenizer.encode(text, pre)


def _added(pre):
    every = tokens(pre)
    return [{"id": every.index(t), "content": t, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True} for t in specials(pre)]


def _template(first, last):
    """A post-processor that frames a text by the special tokens `first` and `last`, (id, text)."""
    def part(token):
        return [{"SpecialToken": {"id": token[1], "type_id": 0}}] if token else []
    single = part(first) + [{"Sequence": {"id": "A", "type_id": 0}}] + part(last)
    pair = single + [{"Sequence": {"id": "B", "type_id": 1}}] + part(last)
    used = {t[1]: {"id": t[1], "ids": [t[0]], "tokens": [t[1]]} for t in (first, last) if t}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": used}


def _bpe(pre):
    normal = tokens(pre)[:-len(specials(pre))]
    split = {"type": "Split", "pattern": {"Regex": _PATTERNS[pre]}, "behavior": "Isolated",
             "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": False}
    processor = byte_level
    if pre == "llama-bpe":
        bos = _ENDS[pre][0]
        processor = {"type": "Sequence", "processors": [
            byte_level, _template((tokens(pre).index(bos), bos), None)]}
    return {"normalizer": {"type": "NFC"} if pre == "qwen2" else None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
            "post_processor": processor,
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                        "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False,
                      "ignore_merges": pre == "llama-bpe",
                      "vocab": {t: i for i, t in enumerate(normal)},
                      "merges": [m.split(" ") for m in tokenizer.MERGES]}}


def _wordpiece():
    ids = {t: i for i, t in enumerate(wordpiece_tokens())}
    return {"normalizer": {"type": "BertNormalizer", "clean_text": True,
                           "handle_chinese_chars": True, "strip_accents": None,
                           "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": _template((ids["[CLS]"], "[CLS]"), (ids["[SEP]"], "[SEP]")),
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]",
                      "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                      "vocab": ids}}


def _config(pre):
    if pre == "wordpiece":
        return {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "pad_token": "[PAD]",
                "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
                "mask_token": "[MASK]", "model_max_length": 128}
    bos, eos, pad = _ENDS[pre]
    return {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos,
            "pad_token": pad, "add_bos_token": pre == "llama-bpe", "model_max_length": 512,
            "clean_up_tokenization_spaces": False,
            "chat_template": tokenizer.CHAT_TEMPLATES[pre]}


def _write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, ensure_ascii=False)
        file.write("\n")


def write(folder, pre):
    body = _wordpiece() if pre == "wordpiece" else _bpe(pre)
    _write_json(folder, "tokenizer.json", {"version": "1.0", "truncation": None, "padding": None,
                                           "added_tokens": _added(pre), **body})
    _write_json(folder, "tokenizer_config.json", _config(pre))
    if pre == "wordpiece":
        with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8") as file:
            file.write("\n".join(wordpiece_tokens()) + "\n")


def write_pooling(folder, pooling, dim):
    """The files by which sentence-transformers says how to pool."""
    os.makedirs(os.path.join(folder, "1_Pooling"), exist_ok=True)
    package = "sentence_transformers.models."
    _write_json(folder, "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": package + "Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": package + "Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": package + "Normalize"}])
    _write_json(folder, "1_Pooling/config.json", {
        "word_embedding_dimension": dim, "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_max_tokens": False,
        "pooling_mode_lasttoken": pooling == "lasttoken"})
