#include "cli/options/values.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include <fcntl.h>
#include <unistd.h>

namespace ruvllm::cli {
namespace {

constexpr size_t kReadBytes = size_t{1} << 16;
// A text is held in memory several times over while it is tokenized.
constexpr size_t kMaxTextBytes = size_t{1} << 30;
constexpr float kMaxBias = 1e4f;  // far beyond any logit: enough to force or to forbid a token

constexpr TokenId kMaxTokenId = std::numeric_limits<TokenId>::max();

bool is_separator(char c) { return c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

Result<FileText> read_all(int descriptor, const std::string& name, size_t max_bytes) {
  FileText out;
  while (true) {
    if (out.text.size() > kMaxTextBytes) {
      return fail(ErrorCode::kInvalidArgument, "{}: longer than {} MiB; split the text", name,
                  kMaxTextBytes >> 20);
    }
    const size_t size = out.text.size();
    if (size > max_bytes) break;  // one byte more than asked tells whether there is more
    out.text.resize(size + kReadBytes);
    const ssize_t count = ::read(descriptor, out.text.data() + size, kReadBytes);
    out.text.resize(size + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) break;
    if (count < 0 && errno != EINTR) {
      return fail(ErrorCode::kUnavailable, "{}: cannot read: {}", name, std::strerror(errno));
    }
  }
  if (out.text.size() > max_bytes) {
    out.text.resize(max_bytes);
    out.complete = false;
  }
  return out;
}

}  // namespace

Result<std::vector<TokenId>> parse_token_ids(std::string_view text) {
  while (!text.empty() && is_separator(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_separator(text.front())) text.remove_prefix(1);
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  std::vector<TokenId> ids;
  while (!text.empty()) {
    const auto length =
        static_cast<size_t>(std::ranges::find_if(text, is_separator) - text.begin());
    if (length > 0) {
      RUVLLM_ASSIGN(const TokenId id,
                    parse_number<TokenId>(text.substr(0, length), 0, kMaxTokenId));
      ids.push_back(id);
    }
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return ids;
}

Result<std::pair<TokenId, float>> parse_logit_bias(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "'{}' is not TOKEN_ID=BIAS, e.g. 1234=-5", text);
  }
  RUVLLM_ASSIGN(const TokenId id, parse_number<TokenId>(text.substr(0, equals), 0, kMaxTokenId));
  RUVLLM_ASSIGN(const float bias,
                parse_number<float>(text.substr(equals + 1), -kMaxBias, kMaxBias));
  return std::pair(id, bias);
}

Result<FileText> read_text(const std::string& path, size_t max_bytes) {
  if (path == "-") return read_all(STDIN_FILENO, "standard input", max_bytes);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
    return fail(code, "{}: cannot open: {}; check the path and its permissions", path,
                std::strerror(errno));
  }
  auto text = read_all(descriptor, path, max_bytes);
  ::close(descriptor);
  return text;
}

}  // namespace ruvllm::cli
