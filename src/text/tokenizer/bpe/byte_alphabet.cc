#include "text/tokenizer/bpe/byte_alphabet.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace ruvllm::text {
namespace {

constexpr size_t kNumCodePoints = 0x100 + 68;
constexpr int16_t kNotInAlphabet = -1;

// code point -> byte
constexpr std::array<int16_t, kNumCodePoints> make_alphabet() {
  std::array<int16_t, kNumCodePoints> bytes{};
  bytes.fill(kNotInAlphabet);
  size_t next_unprintable = 0x100;
  for (size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    bytes[printable ? byte : next_unprintable++] = static_cast<int16_t>(byte);
  }
  return bytes;
}

constexpr std::array<int16_t, kNumCodePoints> kAlphabet = make_alphabet();

}  // namespace

bool append_alphabet_bytes(std::string_view text, std::string& bytes) {
  const size_t old_size = bytes.size();
  for (size_t i = 0; i < text.size(); ++i) {
    size_t code_point = static_cast<uint8_t>(text[i]);
    if (code_point >= 0x80) {
      // All others are two bytes long: 110xxxxx 10xxxxxx.
      const size_t next = i + 1 < text.size() ? static_cast<uint8_t>(text[i + 1]) : 0;
      const bool two_bytes = code_point >= 0xC2 && code_point <= 0xDF && (next & 0xC0) == 0x80;
      code_point = two_bytes ? (code_point & 0x1F) << 6 | (next & 0x3F) : kNumCodePoints;
      ++i;
    }
    if (code_point >= kNumCodePoints || kAlphabet[code_point] == kNotInAlphabet) {
      bytes.resize(old_size);
      return false;
    }
    bytes.push_back(static_cast<char>(kAlphabet[code_point]));
  }
  return true;
}

}  // namespace ruvllm::text
