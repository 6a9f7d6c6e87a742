// Content hashes that servers name, and computing them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/core/error.h"

namespace ruvllm::hub {

enum class DigestKind : uint8_t {
  kSha256,
  kGitSha1,  // of "blob <size>\0" and the content, as git names files
};

struct Digest {
  DigestKind kind = DigestKind::kSha256;
  std::string hex;
  bool operator==(const Digest&) const = default;
};

// 64 hex digits are a SHA-256, 40 are git's; anything else is no digest.
std::optional<Digest> parse_digest(std::string_view hex);
// An ETag as Hugging Face sends it: quotes and W/ taken off.
std::optional<Digest> parse_etag(std::string_view header);
// "sha256:<64 hex digits>", as registries write it.
std::optional<Digest> parse_registry_digest(std::string_view text);

class Hasher {
 public:
  // `size`: of all content; git's hash begins with it.
  Hasher(DigestKind kind, uint64_t size);
  Hasher(Hasher&&) noexcept;
  ~Hasher();

  void update(std::span<const std::byte> bytes);
  std::string finish_hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::string_view text);
// Of a whole file.
Result<std::string> hash_file(const std::string& path, DigestKind kind);

}  // namespace ruvllm::hub
