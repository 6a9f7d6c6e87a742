#include "cli/options/text_tokens.h"

#include <algorithm>

#include "cli/options/values.h"

namespace ruvllm::cli {
namespace {

// Text read for the first N tokens: usually enough at once, else doubled.
constexpr size_t kBytesPerToken = 16;
constexpr size_t kLeastBytes = size_t{1} << 16;
// Tokens near a cut may differ from those of the whole text; these are never kept.
constexpr size_t kCutMargin = 256;

}  // namespace

Result<std::vector<TokenId>> read_tokens(const Tokenizer& tokenizer, const std::string& file,
                                         uint64_t limit) {
  const bool from_stdin = file == "-";  // cannot be read twice
  size_t max_bytes = kWholeFile;
  if (limit > 0 && limit < kWholeFile / (2 * kBytesPerToken) && !from_stdin) {
    max_bytes = std::max(kLeastBytes, static_cast<size_t>(limit) * kBytesPerToken);
  }
  while (true) {
    RUVLLM_ASSIGN(const FileText text, read_text(file, max_bytes));
    std::vector<TokenId> ids = tokenizer.encode(text.text, true, false);
    const bool enough = limit > 0 && ids.size() >= limit + kCutMargin;
    if (text.complete || enough) {
      if (limit > 0 && ids.size() > limit) ids.resize(limit);
      return ids;
    }
    max_bytes = max_bytes > kWholeFile / 2 ? kWholeFile : max_bytes * 2;
  }
}

}  // namespace ruvllm::cli
