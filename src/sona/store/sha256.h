// SHA-256 as bytes: the name of a blob, and what guards an archive.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace ruvllm::sona {

struct Sha256 {
  std::array<std::byte, 32> bytes{};

  auto operator<=>(const Sha256&) const = default;
  std::string hex() const;
};

// Takes in bytes in any pieces.
class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  ~Sha256Hasher();

  void add(std::span<const std::byte> bytes);
  Sha256 finish();  // once

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256 sha256_of(std::span<const std::byte> bytes);

}  // namespace ruvllm::sona
