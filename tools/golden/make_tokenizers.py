#!/usr/bin/env python3
"""Trains small tokenizers of every kind and writes them with the ids that Hugging Face gives.

usage: make_tokenizers.py CORPUS_DIR OUT_DIR

Needs the Python packages tokenizers (0.23) and sentencepiece (0.2). CORPUS_DIR holds *.md files
to train on and hard_texts.json, a list of texts. Writes OUT_DIR/NAME.json (a tokenizer.json) and
OUT_DIR/NAME.ids.json (a list of ids for each text, with special tokens parsed and added).
"""

import io
import json
import sys
from pathlib import Path

import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

CORPUS, OUT = Path(sys.argv[1]), Path(sys.argv[2])
TEXTS = json.loads((CORPUS / "hard_texts.json").read_text(encoding="utf8"))
DOCS = "\n".join(p.read_text(encoding="utf8") for p in sorted(CORPUS.glob("*.md")))
LINES = [line for line in (DOCS + "\n" + "\n".join(TEXTS)).splitlines(keepends=True)]
VOCAB = 700

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
GPT4O = (r"[^\r\n\p{L}\p{N}]?" + UPPER + "*" + LOWER + "+" + CONTRACTIONS + "?|"
         r"[^\r\n\p{L}\p{N}]?" + UPPER + "+" + LOWER + "*" + CONTRACTIONS + "?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = ["\\p{N}{1,3}", "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?"
            "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(prefix=False, regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def save(name, tokenizer):
    tokenizer.save(str(OUT / f"{name}.json"), pretty=False)
    loaded = Tokenizer.from_file(str(OUT / f"{name}.json"))
    ids = [loaded.encode(text, add_special_tokens=True).ids for text in TEXTS]
    (OUT / f"{name}.ids.json").write_text(json.dumps(ids, separators=(",", ":")))


def train_bytes(name, steps, normalizer=None, specials=("<|endoftext|>",), added=(), post=None,
                ignore_merges=False, size=VOCAB):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(specials),
                                  show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.add_tokens(list(added))
    tokenizer.decoder = decoders.ByteLevel()
    if post:
        tokenizer.post_processor = post(tokenizer)
    save(name, tokenizer)


def bos_template(tokenizer):
    bos = "<|begin_of_text|>"
    return processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B",
                                      special_tokens=[(bos, tokenizer.token_to_id(bos))])])


def byte_level_kinds():
    train_bytes("gpt2", [byte_level(regex=True)])
    train_bytes("llama3", [split(LLAMA3), byte_level()], ignore_merges=True, post=bos_template,
                specials=["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>"])
    train_bytes("qwen2", [split(QWEN2), byte_level()], normalizer=normalizers.NFC(),
                specials=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                added=[AddedToken("<think>", normalized=False), AddedToken("and", single_word=True),
                       AddedToken("\u00C5", normalized=True), AddedToken("[L]", lstrip=True),
                       AddedToken("[R]", rstrip=True)])
    train_bytes("starcoder", [pre_tokenizers.Digits(individual_digits=True),
                              byte_level(regex=True)])
    train_bytes("roberta", [byte_level(prefix=True, regex=True)],
                specials=["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)],
                post=lambda t: processors.RobertaProcessing(("</s>", 2), ("<s>", 0),
                                                            add_prefix_space=True))
    train_bytes("deepseek", [split(p) for p in DEEPSEEK] + [byte_level()])
    train_bytes("gpt4o", [split(GPT4O), byte_level()])
    train_bytes("falcon", [pre_tokenizers.Punctuation("contiguous"), byte_level(regex=True),
                           pre_tokenizers.Digits(individual_digits=False),
                           split("[0-9][0-9][0-9]")])
    train_bytes("unnamed", [pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), "merged_with_next"),
                            byte_level()])


def train_sentencepiece(kind, size, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line.rstrip("\r\n") for line in LINES if "\0" not in line),
        model_writer=model, model_type=kind, vocab_size=size, character_coverage=0.9995,
        minloglevel=2, num_threads=4, max_sentence_length=100000, hard_vocab_limit=False, **options)
    proto = sentencepiece.sentencepiece_model_pb2.ModelProto() if hasattr(
        sentencepiece, "sentencepiece_model_pb2") else None
    if proto is None:
        from sentencepiece import sentencepiece_model_pb2
        proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto


def merges_of(pieces):
    """Every pair of pieces that makes a piece, best score first."""
    ids = {piece: (i, score) for i, (piece, score) in enumerate(pieces)}
    merges = []
    for piece, (_, score) in ids.items():
        local = [(piece[:i], piece[i:]) for i in range(1, len(piece))
                 if piece[:i] in ids and piece[i:] in ids]
        local.sort(key=lambda pair: (ids[pair[0]][0], ids[pair[1]][0]))
        merges += [(score, pair) for pair in local]
    return [pair for _, pair in sorted(merges, key=lambda merge: -merge[0])]


def sentencepiece_bpe_kinds():
    proto = train_sentencepiece("bpe", 1000, byte_fallback=True, normalization_rule_name="identity",
                                remove_extra_whitespaces=False, split_digits=True,
                                allow_whitespace_only_pieces=True)
    pieces = [(p.piece, p.score) for p in proto.pieces]
    vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
    normal = [(p.piece, p.score) for p in proto.pieces if p.type == 1]

    def model():
        return models.BPE(vocab=vocab, merges=merges_of(normal), unk_token="<unk>",
                          fuse_unk=True, byte_fallback=True)

    def finish(name, tokenizer, bos=True):
        tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
        if bos:
            tokenizer.post_processor = processors.TemplateProcessing(
                single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
        tokenizer.decoder = decoders.Sequence([
            decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
            decoders.Strip(" ", 1, 0)])
        save(name, tokenizer)

    llama2 = Tokenizer(model())
    llama2.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"),
                                              normalizers.Replace(" ", "\u2581")])
    llama2.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("<note>", normalized=True,
                                                                         rstrip=True)])
    finish("llama2", llama2)
    mistral = Tokenizer(model())
    mistral.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "first", False)
    finish("mistral", mistral)
    gemma = Tokenizer(model())
    gemma.normalizer = normalizers.Replace(" ", "\u2581")
    gemma.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    finish("gemma", gemma)

    trained = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    trained.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "always", True)
    trained.train_from_iterator(LINES, trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False,
        limit_alphabet=150))
    trained.decoder = decoders.Metaspace()
    save("metaspace_bpe", trained)


RULES = [("\t", " "), ("\r", " "), ("\n", " "), ("\u3000", " "), ("\u00a0", " "),
         ("\uFB01", "fi"), ("\u2460", "1"), ("\u338F", "kg"), ("e\u0301", "\u00E9"),
         ("\uFF76", "\u30AB"), ("\uFF76\uFF9E", "\u30AC"), ("\u200b", ""), ("\ufeff", ""),
         ("\uFF21", "A"), ("\uFDFA", "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647")]


def unigram_kinds():
    rules = OUT / "rules.tsv"
    rules.write_text("".join(
        " ".join(f"{ord(c):X}" for c in old) + "\t" + " ".join(f"{ord(c):X}" for c in new) + "\n"
        for old, new in RULES), encoding="utf8")
    proto = train_sentencepiece("unigram", 1100, normalization_rule_tsv=str(rules),
                                byte_fallback=True)
    rules.unlink()
    charsmap = proto.normalizer_spec.precompiled_charsmap
    pieces = [(p.piece, p.score) for p in proto.pieces]
    plain = [(p.piece, p.score) for p in proto.pieces if p.type != 6]

    t5 = Tokenizer(models.Unigram(plain, unk_id=0, byte_fallback=False))
    t5.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap),
                                          normalizers.Strip(left=False, right=True),
                                          normalizers.Replace(Regex(" {2,}"), "\u2581")])
    t5.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", "always", True)
    t5.add_special_tokens(["<unk>", "<s>", "</s>"])
    t5.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)])
    t5.decoder = decoders.Metaspace()
    save("t5", t5)

    xlmr = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    xlmr.normalizer = normalizers.Precompiled(charsmap)
    xlmr.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("\u2581", "always", True)])
    xlmr.add_special_tokens(["<unk>", "<s>", "</s>", AddedToken("<mask>", lstrip=True)])
    xlmr.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", 1), ("</s>", 2)])
    xlmr.decoder = decoders.Metaspace()
    save("xlm_roberta", xlmr)


def word_piece_kinds():
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    kinds = {
        "bert_uncased": (normalizers.BertNormalizer(lowercase=True),
                         pre_tokenizers.BertPreTokenizer()),
        "bert_cased": (normalizers.BertNormalizer(lowercase=False, strip_accents=None),
                       pre_tokenizers.BertPreTokenizer()),
        "word_piece": (normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(),
                                             normalizers.StripAccents()]),
                       pre_tokenizers.Sequence([
                           pre_tokenizers.Whitespace(),
                           pre_tokenizers.Punctuation("merged_with_previous")]))}
    for name, (normalizer, pre_tokenizer) in kinds.items():
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
        tokenizer.train_from_iterator(LINES, trainers.WordPieceTrainer(
            vocab_size=1200, special_tokens=specials, show_progress=False, limit_alphabet=400))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        tokenizer.decoder = decoders.WordPiece()
        save(name, tokenizer)


byte_level_kinds()
for kinds in (sentencepiece_bpe_kinds, unigram_kinds, word_piece_kinds):
    try:
        kinds()
    except Exception as error:  # the others are worth having
        print(f"{kinds.__name__}: {error!r}", file=sys.stderr)
