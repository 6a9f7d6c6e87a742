#include "sona/store/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include "base/core/check.h"

namespace ruvllm::sona {

std::string Sha256::hex() const {
  std::string out;
  for (const std::byte value : bytes) out += fmt::format("{:02x}", std::to_integer<int>(value));
  return out;
}

struct Sha256Hasher::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {
  RUVLLM_CHECK(context_->evp != nullptr &&
               EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}

Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher::~Sha256Hasher() = default;

void Sha256Hasher::add(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size());
}

Sha256 Sha256Hasher::finish() {
  Sha256 out;
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_->evp, reinterpret_cast<unsigned char*>(out.bytes.data()), &length);
  RUVLLM_CHECK(length == out.bytes.size());
  return out;
}

Sha256 sha256_of(std::span<const std::byte> bytes) {
  Sha256Hasher hasher;
  hasher.add(bytes);
  return hasher.finish();
}

}  // namespace ruvllm::sona
