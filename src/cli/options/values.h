// Values typed by people: numbers with a range, lists of ids, whole texts from files.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/core/error.h"
#include <ruvllm/tokenizer.h>

namespace ruvllm::cli {

// The whole of `text` as a number in [low, high]; never infinite or not-a-number.
template <typename T>
Result<T> parse_number(std::string_view text, T low, T high) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [parsed_to, error] = std::from_chars(text.data(), end, value);
  const bool in_range = error == std::errc{} && parsed_to == end && value >= low && value <= high;
  if (!in_range) {
    return fail(ErrorCode::kInvalidArgument, "'{}' is not {} from {} to {}", text,
                std::integral<T> ? "a whole number" : "a number", low, high);
  }
  return value;
}

// "1,2,3", "1 2 3" or "[1, 2, 3]".
Result<std::vector<TokenId>> parse_token_ids(std::string_view text);

// "1234=-2.5": a token id and what is added to its logit.
Result<std::pair<TokenId, float>> parse_logit_bias(std::string_view text);

// All bytes of a file, or of standard input for "-", but at most `max_bytes` when given.
inline constexpr size_t kWholeFile = static_cast<size_t>(-1);
struct FileText {
  std::string text;
  bool complete = true;  // nothing was left beyond max_bytes
};
Result<FileText> read_text(const std::string& path, size_t max_bytes = kWholeFile);

}  // namespace ruvllm::cli
