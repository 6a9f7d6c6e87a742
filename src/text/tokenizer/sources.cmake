# Sources, tests and libraries of the tokenizers, relative to src/text.
set(tokenizer_sources
  tokenizer/bpe/byte_alphabet.cc
  tokenizer/bpe/byte_level_tokenizer.cc
  tokenizer/bpe/byte_pair_encoder.cc
  tokenizer/bpe/merge_table.cc
  tokenizer/bpe/token_table.cc
  tokenizer/detokenizer.cc
  tokenizer/vocab/special_tokens.cc
  tokenizer/split/patterns.cc
  tokenizer/split/splitter.cc
  tokenizer/split/utf8.cc
  tokenizer/tokenizer.cc
  tokenizer/tokenizer_factory.cc
  tokenizer/vocab/vocab_check.cc)
set(tokenizer_tests
  tokenizer/bpe/byte_level_tokenizer_test.cc
  tokenizer/bpe/byte_pair_encoder_test.cc
  tokenizer/detokenizer_test.cc
  tokenizer/vocab/special_tokens_test.cc
  tokenizer/split/splitter_test.cc
  tokenizer/split/utf8_test.cc
  tokenizer/tokenizer_test.cc)
set(tokenizer_libs PkgConfig::PCRE2)
