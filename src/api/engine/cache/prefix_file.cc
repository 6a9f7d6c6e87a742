#include "api/engine/cache/prefix_file.h"

#include <filesystem>

#include "api/models/fingerprint.h"
#include <ruvllm/settings.h>

namespace ruvllm::api {
namespace {

namespace fs = std::filesystem;

constexpr Hash128 kFingerprintKey{0x7275766c6c6d2e6bu, 0x762d63616368652eu};  // no secret
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
  add_model(hasher, file);
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
