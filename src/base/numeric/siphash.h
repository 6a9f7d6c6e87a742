// SipHash-2-4 with a result of 128 bits (https://www.aumasson.jp/siphash/siphash.pdf): whoever does
// not know the key can neither predict nor make collide what it gives.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

namespace ruvllm {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;

  auto operator<=>(const Hash128&) const = default;
};

// Takes in bytes in any pieces. Numbers and texts go in with add_value() and add_text(), so that
// no two lists of them are the same bytes.
class SipHasher {
 public:
  explicit SipHasher(Hash128 key);

  void add(std::span<const std::byte> bytes);
  template <typename T>
    requires std::has_unique_object_representations_v<T>
  void add_value(const T& value) {
    add(std::as_bytes(std::span(&value, 1)));
  }
  void add_text(std::string_view text) {
    add_value(uint64_t{text.size()});
    add(std::as_bytes(std::span(text)));
  }

  Hash128 finish();  // once

 private:
  void compress(uint64_t word);

  std::array<uint64_t, 4> state_;
  std::array<std::byte, 8> pending_{};
  uint64_t num_bytes_ = 0;
};

// Of the system's randomness.
Hash128 random_key();

}  // namespace ruvllm
