#include "base/numeric/siphash.h"

#include <vector>

#include <gtest/gtest.h>

namespace ruvllm {
namespace {

// Key and message of the paper's test vectors: bytes 0, 1, 2, ...
constexpr Hash128 kKey{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

std::vector<std::byte> message(size_t length) {
  std::vector<std::byte> bytes(length);
  for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(i);
  return bytes;
}

Hash128 hash_of(std::span<const std::byte> bytes) {
  SipHasher hasher(kKey);
  hasher.add(bytes);
  return hasher.finish();
}

TEST(SipHash, GivesThePublishedResults) {
  EXPECT_EQ(hash_of(message(0)), (Hash128{0xe6a825ba047f81a3u, 0x930255c71472f66du}));
  EXPECT_EQ(hash_of(message(1)), (Hash128{0x44af996bd8c187dau, 0x45fc229b11597634u}));
  EXPECT_EQ(hash_of(message(15)), (Hash128{0x11a8b03399e99354u, 0xd9c3cf970fec087eu}));
}

TEST(SipHash, PiecesDoNotMatter) {
  const std::vector<std::byte> bytes = message(61);
  const Hash128 whole = hash_of(bytes);
  for (size_t first = 0; first <= bytes.size(); ++first) {
    for (const size_t second : {first, (first + bytes.size()) / 2}) {
      SipHasher hasher(kKey);
      hasher.add(std::span(bytes).first(first));
      hasher.add(std::span(bytes).subspan(first, second - first));
      hasher.add(std::span(bytes).subspan(second));
      EXPECT_EQ(hasher.finish(), whole) << first;
    }
  }
}

TEST(SipHash, TextsKeepTheirBorders) {
  SipHasher first(kKey), second(kKey);
  for (const char* text : {"ab", "c"}) first.add_text(text);
  for (const char* text : {"a", "bc"}) second.add_text(text);
  EXPECT_NE(first.finish(), second.finish());
  EXPECT_NE(random_key(), random_key());
}

}  // namespace
}  // namespace ruvllm
