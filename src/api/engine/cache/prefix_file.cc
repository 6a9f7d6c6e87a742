#include "api/engine/cache/prefix_file.h"

#include <algorithm>
#include <filesystem>
#include <span>

#include <ruvllm/settings.h>

namespace ruvllm::api {
namespace {

namespace fs = std::filesystem;

constexpr Hash128 kFingerprintKey{0x7275766c6c6d2e6bu, 0x762d63616368652eu};  // no secret
// Of a tensor: so many pieces of so many bytes, evenly spread.
constexpr size_t kPieces = 16;
constexpr size_t kPieceBytes = 4096;

void add_sample(SipHasher& hasher, std::span<const std::byte> data) {
  if (data.size() <= kPieces * kPieceBytes) return hasher.add(data);
  for (size_t i = 0; i < kPieces; ++i) {
    const size_t begin = (data.size() - kPieceBytes) / (kPieces - 1) * i;
    hasher.add(data.subspan(begin, kPieceBytes));
  }
}

}  // namespace

Hash128 cache_fingerprint(const formats::GgufFile& file, const engine::StepLoopOptions& options,
                          std::string_view isa) {
  SipHasher hasher(kFingerprintKey);
  hasher.add_text(version());
  hasher.add_text(isa);
  hasher.add_value(options.kv_store);
  hasher.add_value(options.kv_tiers.tail_tokens);
  hasher.add_value(options.kv_tiers.batch_tokens);
  hasher.add_value(kernels::kPageTokens);
  for (const formats::GgufEntry& entry : file.entries()) {
    hasher.add_text(entry.key);
    hasher.add_value(entry.type);
    const std::span<const std::byte> value = file.encoded_value(entry.key);
    hasher.add_value(uint64_t{value.size()});
    hasher.add(value);
  }
  for (const formats::GgufTensor& tensor : file.tensors()) {
    hasher.add_text(tensor.name);
    hasher.add_value(tensor.dtype);
    for (const uint64_t dim : tensor.dims) hasher.add_value(dim);
    hasher.add_value(uint64_t{tensor.data.size()});
    add_sample(hasher, tensor.data);
  }
  return hasher.finish();
}

Result<std::string> prefix_file_path(const std::string& folder, Hash128 fingerprint) {
  std::error_code error;
  if (fs::create_directories(folder, error)) {
    fs::permissions(folder, fs::perms::owner_all, error);
  }
  if (error || !fs::is_directory(folder, error)) {
    return fail(ErrorCode::kUnavailable, "cache folder {}: cannot create: {}", folder,
                error ? error.message() : "a file has its name");
  }
  return (fs::path(folder) /
          fmt::format("prefixes-{:016x}{:016x}.kv", fingerprint.high, fingerprint.low))
      .string();
}

}  // namespace ruvllm::api
