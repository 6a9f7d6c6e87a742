#include "text/tokenizer/split/utf8.h"

#include <cstring>

namespace ruvllm::text {
namespace {

// What may follow a lead byte: the number of continuation bytes and the range of the first of them.
struct LeadByte {
  size_t num_following;
  uint8_t second_min;
  uint8_t second_max;
};

LeadByte classify(uint8_t lead) {
  if (lead < 0x80) return {0, 0, 0};
  if (lead >= 0xC2 && lead <= 0xDF) return {1, 0x80, 0xBF};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};
  if (lead == 0xED) return {2, 0x80, 0x9F};
  if (lead >= 0xE1 && lead <= 0xEF) return {2, 0x80, 0xBF};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead >= 0xF1 && lead <= 0xF3) return {3, 0x80, 0xBF};
  if (lead == 0xF4) return {3, 0x80, 0x8F};
  return {0, 1, 0};  // never a lead byte: an empty range
}

}  // namespace

Utf8Unit next_utf8(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  const LeadByte rule = classify(lead);
  if (rule.second_min > rule.second_max) return {1, Utf8Status::kInvalid};
  for (size_t i = 1; i <= rule.num_following; ++i) {
    if (i == text.size()) return {i, Utf8Status::kIncomplete};
    const auto byte = static_cast<uint8_t>(text[i]);
    const uint8_t low = i == 1 ? rule.second_min : 0x80;
    const uint8_t high = i == 1 ? rule.second_max : 0xBF;
    if (byte < low || byte > high) return {i, Utf8Status::kInvalid};
  }
  return {1 + rule.num_following, Utf8Status::kValid};
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t block = 0;
    if (text.size() - at >= sizeof(block)) {
      std::memcpy(&block, text.data() + at, sizeof(block));
      if ((block & 0x8080808080808080u) == 0) {  // eight ASCII characters
        at += sizeof(block);
        continue;
      }
    }
    const Utf8Unit unit = next_utf8(text.substr(at));
    if (unit.status != Utf8Status::kValid) break;
    at += unit.length;
  }
  return at;
}

}  // namespace ruvllm::text
