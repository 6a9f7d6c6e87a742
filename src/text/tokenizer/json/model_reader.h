// The model of a tokenizer.json: vocabulary, merges or scores.
#pragma once

#include <string>
#include <unordered_map>

#include "base/core/error.h"
#include "text/tokenizer/json/json_fields.h"
#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

struct ModelReading {
  std::string type;                              // "BPE", "Unigram", "WordPiece"
  std::unordered_map<std::string, TokenId> ids;  // by text as the file has it
  bool fuses_unknown = false;
  bool byte_fallback = false;
};

// Fills tokens, kinds, merges, scores and unk_id of `spec`. kUnsupported, naming the part, for what
// this program does not know.
Result<ModelReading> read_model(const JsonField& model, VocabSpec& spec);

// Gives `spec` the token `text` with this id, making room for it; ids left out get unused tokens.
Status place_token(const JsonField& field, int64_t id, const std::string& text, TokenKind kind,
                   VocabSpec& spec);

// BPE over characters: whether SentencePiece's rule by scores merges as the merges do, in which
// case `spec` gets the scores. True of what SentencePiece trained.
bool set_scores_from_merges(VocabSpec& spec, const ModelReading& model);

}  // namespace ruvllm::text
