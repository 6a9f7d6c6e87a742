#include "text/tokenizer/vocab/vocab_check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace ruvllm::text {
namespace {

// Markers after which models stop, by their text: files name at most two of them.
// Fill-in-the-middle models end a file with the padding, repository and file markers.
constexpr std::array<std::string_view, 28> kEndMarkers = {"</s>",
                                                          "<EOT>",
                                                          "<end_of_turn>",
                                                          "<end_of_utterance>",
                                                          "<eos>",
                                                          "<fim_pad>",
                                                          "<fim-pad>",
                                                          "<turn|>",
                                                          "<|call|>",
                                                          "<|calls|>",
                                                          "<|end_of_text|>",
                                                          "<|end|>",
                                                          "<|endoftext|>",
                                                          "<|eom_id|>",
                                                          "<|eot_id|>",
                                                          "<|file_sep|>",
                                                          "<|fim_pad|>",
                                                          "<|fim_repo|>",
                                                          "<|flush|>",
                                                          "<|im_end|>",
                                                          "<|repo_name|>",
                                                          "<|return|>",
                                                          "<|tool_response>",
                                                          "<\uff5cend\u2581of\u2581sentence\uff5c>",
                                                          "[EOS]",
                                                          "[EOT]",
                                                          "[e~[",
                                                          "_<EOT>"};

bool is_end_marker(std::string_view text) {
  return std::ranges::find(kEndMarkers, text) != kEndMarkers.end();
}

bool is_merge_result(const VocabSpec& spec, std::string_view text) {
  return std::ranges::any_of(spec.merges, [text](std::string_view merge) {
    if (merge.size() != text.size() + 1) return false;
    const size_t space = merge.find(' ', 1);
    return space != std::string_view::npos && text.starts_with(merge.substr(0, space)) &&
           text.ends_with(merge.substr(space + 1));
  });
}

std::array<std::pair<std::string_view, std::optional<TokenId>>, 8> special_ids(
    const VocabSpec& spec) {
  return {{{"bos_token_id", spec.bos_id},
           {"eos_token_id", spec.eos_id},
           {"padding_token_id", spec.pad_id},
           {"unknown_token_id", spec.unk_id},
           {"eot_token_id", spec.eot_id},
           {"eom_token_id", spec.eom_id},
           {"seperator_token_id", spec.sep_id},  // so spelled in the format
           {"mask_token_id", spec.mask_id}}};
}

Status check_sizes(const VocabSpec& spec) {
  if (spec.tokens.empty()) {
    return fail(ErrorCode::kCorrupt, "tokenizer.ggml.tokens is empty: the file has no vocabulary");
  }
  if (spec.tokens.size() > kMaxTokens) {
    return fail(ErrorCode::kCorrupt, "tokenizer.ggml.tokens has {} entries, the limit is {}",
                spec.tokens.size(), kMaxTokens);
  }
  if (spec.merges.size() > kMaxMerges) {
    return fail(ErrorCode::kCorrupt, "tokenizer.ggml.merges has {} entries, the limit is {}",
                spec.merges.size(), kMaxMerges);
  }
  size_t total = 0;
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    const size_t size = spec.tokens[i].size();
    if (size > kMaxTokenBytes) {
      return fail(ErrorCode::kCorrupt, "tokenizer.ggml.tokens[{}] has {} bytes, the limit is {}", i,
                  size, kMaxTokenBytes);
    }
    total += size;
  }
  if (total > kMaxVocabBytes) {
    return fail(ErrorCode::kCorrupt, "tokenizer.ggml.tokens has {} bytes of text, the limit is {}",
                total, kMaxVocabBytes);
  }
  for (size_t i = 0; i < spec.merges.size(); ++i) {
    if (spec.merges[i].size() > 2 * kMaxTokenBytes + 1) {
      return fail(ErrorCode::kCorrupt,
                  "tokenizer.ggml.merges[{}] has {} bytes, more than two tokens", i,
                  spec.merges[i].size());
    }
  }
  return {};
}

Status check_scores(const VocabSpec& spec) {
  const bool needed = (spec.model == "llama" && !spec.pipeline) || spec.model == "t5";
  if (spec.scores.empty() && !needed) return {};
  if (spec.scores.size() != spec.tokens.size()) {
    return fail(ErrorCode::kCorrupt, "tokenizer.ggml.scores has {} entries for {} tokens",
                spec.scores.size(), spec.tokens.size());
  }
  const auto bad = std::ranges::find_if_not(spec.scores, [](float s) { return std::isfinite(s); });
  if (bad == spec.scores.end()) return {};
  return fail(ErrorCode::kCorrupt, "tokenizer.ggml.scores[{}] is not a finite number",
              bad - spec.scores.begin());
}

}  // namespace

Status check_vocab(const VocabSpec& spec) {
  RUVLLM_TRY(check_sizes(spec));
  const size_t num_tokens = spec.tokens.size();
  if (!spec.kinds.empty() && spec.kinds.size() != num_tokens) {
    return fail(ErrorCode::kCorrupt, "tokenizer.ggml.token_type has {} entries for {} tokens",
                spec.kinds.size(), num_tokens);
  }
  for (size_t i = 0; i < spec.kinds.size(); ++i) {
    if (spec.kinds[i] > TokenKind::kByte) {
      return fail(ErrorCode::kCorrupt, "tokenizer.ggml.token_type[{}] is {}, expected 0 to {}", i,
                  static_cast<int>(spec.kinds[i]), static_cast<int>(TokenKind::kByte));
    }
  }
  for (const auto& [name, id] : special_ids(spec)) {
    if (id && (*id < 0 || static_cast<size_t>(*id) >= num_tokens)) {
      return fail(ErrorCode::kCorrupt, "tokenizer.ggml.{} is {}, but there are {} tokens", name,
                  *id, num_tokens);
    }
  }
  RUVLLM_TRY(check_scores(spec));
  for (const TokenMatching& matching : spec.matching) {
    if (matching.id < 0 || static_cast<size_t>(matching.id) >= num_tokens) {
      return fail(ErrorCode::kCorrupt, "rules for token {}, but there are {} tokens", matching.id,
                  num_tokens);
    }
  }
  if (spec.add_sep && !spec.sep_id) {
    return fail(ErrorCode::kCorrupt,
                "tokenizer.ggml.add_sep_token is set, but there is no seperator_token_id");
  }
  if (spec.add_bos && !spec.bos_id) {
    return fail(ErrorCode::kCorrupt,
                "tokenizer.ggml.add_bos_token is set, but there is no bos_token_id");
  }
  if (spec.add_eos && !spec.eos_id) {
    return fail(ErrorCode::kCorrupt,
                "tokenizer.ggml.add_eos_token is set, but there is no eos_token_id");
  }
  return {};
}

void resolve_kinds(VocabSpec& spec) {
  if (spec.kinds.empty()) {
    spec.kinds.assign(spec.tokens.size(), TokenKind::kNormal);
    for (const auto id : {spec.bos_id, spec.eos_id, spec.eot_id}) {
      if (!id) continue;
      const auto i = static_cast<size_t>(*id);
      if (!is_merge_result(spec, spec.tokens[i])) spec.kinds[i] = TokenKind::kControl;
    }
  }
  const bool has_eos = std::ranges::find(spec.tokens, "<eos>") != spec.tokens.end();
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    TokenKind& kind = spec.kinds[i];
    if (kind == TokenKind::kControl || !is_end_marker(spec.tokens[i])) continue;
    // Gemma's own is <eos>; "</s>" is a tag of HTML there, user-defined to keep it whole.
    if (has_eos && kind == TokenKind::kUserDefined && spec.tokens[i] == "</s>" &&
        spec.eos_id != static_cast<TokenId>(i)) {
      continue;
    }
    if (kind == TokenKind::kNormal && is_merge_result(spec, spec.tokens[i])) continue;
    kind = TokenKind::kControl;
  }
}

std::vector<TokenId> find_end_tokens(const VocabSpec& spec) {
  std::vector<TokenId> ends;
  std::vector<std::string_view> markers;
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    if (spec.kinds[i] != TokenKind::kControl || !is_end_marker(spec.tokens[i])) continue;
    ends.push_back(static_cast<TokenId>(i));
    markers.push_back(spec.tokens[i]);
  }
  const auto has = [&markers](std::string_view text) {
    return std::ranges::find(markers, text) != markers.end();
  };
  // Models of these two families end every message of a turn with <|end|>, the turn with others.
  if ((has("<|return|>") && has("<|call|>")) || (has("<|calls|>") && has("<|flush|>"))) {
    std::erase_if(
        ends, [&spec](TokenId id) { return spec.tokens[static_cast<size_t>(id)] == "<|end|>"; });
  }
  for (const auto id : {spec.eos_id, spec.eot_id, spec.eom_id}) {
    if (id) ends.push_back(*id);
  }
  std::ranges::sort(ends);
  const auto repeated = std::ranges::unique(ends);
  ends.erase(repeated.begin(), repeated.end());
  return ends;
}

std::string printable_token(std::string_view text) {
  constexpr size_t kMaxShown = 64;
  std::string shown;
  for (const char character : text.substr(0, kMaxShown)) {
    if (character >= ' ' && character <= '~') {
      shown.push_back(character);
    } else {
      fmt::format_to(std::back_inserter(shown), "\\x{:02x}", static_cast<unsigned char>(character));
    }
  }
  if (text.size() > kMaxShown) shown += "...";
  return shown;
}

}  // namespace ruvllm::text
