#include "text/tokenizer/bpe/token_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "text/tokenizer/bpe/byte_alphabet.h"
#include "text/tokenizer/bpe/hash.h"

namespace ruvllm::text {
namespace {

uint64_t load_bytes(const char* from, size_t count) {
  uint64_t value = 0;
  std::memcpy(&value, from, count);
  return value;
}

bool spells_itself(TokenKind kind) {
  return kind == TokenKind::kControl || kind == TokenKind::kUnknown ||
         kind == TokenKind::kUserDefined;
}

}  // namespace

bool TokenTable::append_spelled(std::string_view text, std::string& bytes) const {
  if (spelling_ == TokenSpelling::kByteAlphabet) return append_alphabet_bytes(text, bytes);
  bytes += text;
  return true;
}

TokenTable::TokenTable(const VocabSpec& spec, TokenSpelling spelling) : spelling_(spelling) {
  const size_t num_tokens = spec.tokens.size();
  size_t text_size = 0;
  for (const std::string& token : spec.tokens) text_size += token.size();
  bytes_.reserve(text_size);
  begins_.reserve(num_tokens + 1);
  begins_.push_back(0);
  slots_.assign(std::bit_ceil(2 * num_tokens), Slot{0, kNoToken});
  seed_ = seed_from_address(slots_.data());
  for (size_t i = 0; i < num_tokens; ++i) {
    const std::string& token = spec.tokens[i];
    const TokenKind kind = spec.kinds[i];
    const bool spelled = append_spelled(token, bytes_);
    bool findable = spelled && kind != TokenKind::kControl && kind != TokenKind::kUnknown &&
                    kind != TokenKind::kByte;
    if (spells_itself(kind) || !spelled) {
      // A user-defined token of plain characters may also be a part or result of merges.
      findable = findable && std::string_view(bytes_).substr(begins_.back()) == token;
      bytes_.resize(begins_.back());
      bytes_ += token;
    }
    begins_.push_back(static_cast<uint32_t>(bytes_.size()));
    if (findable && bytes_.size() > begins_[i]) insert(static_cast<TokenId>(i));
  }
}

uint64_t TokenTable::hash(std::string_view bytes) const {
  const char* from = bytes.data();
  const size_t size = bytes.size();
  uint64_t state = seed_ ^ size;
  if (size > 16) {
    for (size_t i = 0; i + 16 < size; i += 8) {
      state = mix_hash(load_bytes(from + i, 8) ^ state, 0xA0761D6478BD642Fu);
    }
    from += size - 16;
  }
  // The last 16 bytes at most, as two loads that may overlap.
  uint64_t low = 0;
  uint64_t high = 0;
  if (size >= 8) {
    low = load_bytes(from, 8);
    high = load_bytes(from + (std::min<size_t>(size, 16) - 8), 8);
  } else if (size >= 4) {
    low = load_bytes(from, 4);
    high = load_bytes(from + (size - 4), 4);
  } else if (size > 0) {
    low = static_cast<uint8_t>(from[0]);
    high = static_cast<uint64_t>(static_cast<uint8_t>(from[size / 2])) << 8 |
           static_cast<uint8_t>(from[size - 1]);
  }
  return mix_hash(mix_hash(low ^ state, 0xE7037ED1A0B428DBu) ^ high, seed_ | 1);
}

void TokenTable::insert(TokenId id) {
  const std::string_view key = bytes(id);
  max_length_ = std::max(max_length_, key.size());
  const uint64_t hashed = hash(key);
  const auto tag = static_cast<uint32_t>(hashed >> 32);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hashed & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.id == kNoToken || (slot.tag == tag && bytes(slot.id) == key)) {
      slot = {tag, id};
      return;
    }
  }
}

TokenId TokenTable::find(std::string_view key) const {
  if (key.empty() || key.size() > max_length_) return kNoToken;
  const uint64_t hashed = hash(key);
  const auto tag = static_cast<uint32_t>(hashed >> 32);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hashed & mask;; i = (i + 1) & mask) {
    const Slot slot = slots_[i];
    if (slot.id == kNoToken || (slot.tag == tag && bytes(slot.id) == key)) return slot.id;
  }
}

}  // namespace ruvllm::text
