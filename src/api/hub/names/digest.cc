#include "api/hub/names/digest.h"

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/hub/names/text.h"
#include "base/core/check.h"

namespace ruvllm::hub {

std::optional<Digest> parse_digest(std::string_view hex) {
  if (is_hex(hex, 64)) return Digest{DigestKind::kSha256, std::string(hex)};
  if (is_hex(hex, 40)) return Digest{DigestKind::kGitSha1, std::string(hex)};
  return std::nullopt;
}

std::optional<Digest> parse_etag(std::string_view header) {
  if (header.starts_with("W/")) header.remove_prefix(2);
  if (header.size() >= 2 && header.front() == '"' && header.back() == '"') {
    header = header.substr(1, header.size() - 2);
  }
  return parse_digest(header);
}

std::optional<Digest> parse_registry_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (!text.starts_with(kPrefix) || !is_hex(text.substr(kPrefix.size()), 64)) return std::nullopt;
  return Digest{DigestKind::kSha256, std::string(text.substr(kPrefix.size()))};
}

struct Hasher::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(evp); }
};

Hasher::Hasher(DigestKind kind, uint64_t size) : context_(std::make_unique<Context>()) {
  const EVP_MD* type = kind == DigestKind::kSha256 ? EVP_sha256() : EVP_sha1();
  RUVLLM_CHECK(context_->evp != nullptr && EVP_DigestInit_ex(context_->evp, type, nullptr) == 1);
  if (kind == DigestKind::kGitSha1) {
    const std::string header = fmt::format("blob {}", size);
    EVP_DigestUpdate(context_->evp, header.c_str(), header.size() + 1);  // with its NUL
  }
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size());
}

std::string Hasher::finish_hex() {
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_->evp, value, &length);
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", value[i]);
  return hex;
}

std::string sha256_hex(std::string_view text) {
  Hasher hasher(DigestKind::kSha256, text.size());
  hasher.update(std::as_bytes(std::span(text)));
  return hasher.finish_hex();
}

Result<std::string> hash_file(const std::string& path, DigestKind kind) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (fd < 0 || ::fstat(fd, &info) != 0) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return fail(ErrorCode::kUnavailable, "{}: cannot read: {}", path, std::strerror(error));
  }
  Hasher hasher(kind, static_cast<uint64_t>(info.st_size));
  std::vector<std::byte> buffer(size_t{1} << 20);
  ssize_t count = 0;
  do {
    count = ::read(fd, buffer.data(), buffer.size());
    if (count > 0) hasher.update(std::span(buffer).first(static_cast<size_t>(count)));
  } while (count > 0 || (count < 0 && errno == EINTR));
  const int error = errno;
  ::close(fd);
  if (count < 0) {
    return fail(ErrorCode::kUnavailable, "{}: cannot read: {}", path, std::strerror(error));
  }
  return hasher.finish_hex();
}

}  // namespace ruvllm::hub
