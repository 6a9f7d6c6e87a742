#include "text/tokenizer/normalize/charsmap.h"

#include <algorithm>

namespace ruvllm::text {
namespace {

// Far above SentencePiece's own (33 bytes for U+FDFA). A trie may lead in circles, so that without
// a limit every place would read the text to its end.
constexpr size_t kMaxReplacement = 256;
constexpr size_t kMaxRule = 256;

// A unit is: base in bits 10 to 30 (times 256 if bit 9 is set), bit 8: a value hangs on it, bits 0
// to 7: the byte on the edge to it. A value has bit 31 set, the rest is the value.
uint32_t base_of(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
uint32_t label_of(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
bool has_value(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t value_of(uint32_t unit) { return unit & ~(1u << 31); }

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view blob) {
  uint32_t trie_size = 0;
  if (blob.size() < sizeof trie_size) {
    return fail(ErrorCode::kCorrupt, "precompiled_charsmap has {} bytes, too few for its header",
                blob.size());
  }
  for (size_t i = 0; i < sizeof trie_size; ++i) {
    trie_size |= static_cast<uint32_t>(static_cast<unsigned char>(blob[i])) << 8 * i;
  }
  blob.remove_prefix(sizeof trie_size);
  if (trie_size == 0 || trie_size % 4 != 0 || trie_size >= blob.size() || blob.back() != '\0') {
    return fail(ErrorCode::kCorrupt,
                "precompiled_charsmap: its trie has {} of the {} bytes; expected a multiple of 4 "
                "and replacements behind it that end with a zero byte",
                trie_size, blob.size());
  }
  Charsmap map;
  map.units_.resize(trie_size / 4);
  for (size_t i = 0; i < trie_size; ++i) {
    map.units_[i / 4] |= static_cast<uint32_t>(static_cast<unsigned char>(blob[i])) << 8 * (i % 4);
  }
  map.replacements_ = blob.substr(trie_size);
  size_t length = 0;
  for (const char byte : map.replacements_) {
    length = byte == '\0' ? 0 : length + 1;
    if (length > kMaxReplacement) {
      return fail(ErrorCode::kCorrupt, "precompiled_charsmap: a replacement has over {} bytes",
                  kMaxReplacement);
    }
  }
  return map;
}

std::optional<Charsmap::Rule> Charsmap::find(std::string_view text, bool longest) const {
  std::optional<Rule> rule;
  size_t node = base_of(units_[0]);
  for (size_t i = 0; i < std::min(text.size(), kMaxRule) && text[i] != '\0'; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= base_of(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size()) break;
    const size_t at = value_of(units_[node]);
    if (at >= replacements_.size()) break;
    rule = Rule{i + 1, std::string_view(replacements_.data() + at)};
    if (!longest) break;
  }
  return rule;
}

}  // namespace ruvllm::text
