#include "api/hub/names/quantization.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/hub/names/text.h"

namespace ruvllm::hub {
namespace {

constexpr std::array<std::string_view, 6> kFloatTypes = {"BF16", "F16",  "F32",
                                                         "F64",  "FP16", "FP32"};
// What may follow a type after '_'.
constexpr std::array<std::string_view, 14> kVariants = {"0", "1", "2",  "4",   "8",  "K",  "S",
                                                        "M", "L", "XS", "XXS", "XL", "NL", "MOE"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'A' && c <= 'Z'); }

size_t skip_digits(std::string_view text, size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

// Length of a type at the start of `text`: "Q4", "IQ3", "TQ1", "MXFP4", "F16"; 0: none.
size_t type_length(std::string_view text) {
  for (const std::string_view type : kFloatTypes) {
    if (text.starts_with(type)) return type.size();
  }
  for (const std::string_view prefix : {"IQ", "TQ", "MXFP", "NVFP", "Q"}) {
    if (!text.starts_with(prefix)) continue;
    const size_t end = skip_digits(text, prefix.size());
    if (end > prefix.size()) return end;
  }
  return 0;
}

// Length of a whole label at the start of `text`, which ends where a word ends.
size_t label_length(std::string_view text) {
  size_t end = type_length(text);
  if (end == 0 || (end < text.size() && is_word(text[end]))) return 0;
  while (end < text.size() && text[end] == '_') {
    size_t word_end = end + 1;
    while (word_end < text.size() && is_word(text[word_end])) ++word_end;
    const std::string_view word = text.substr(end + 1, word_end - end - 1);
    if (std::ranges::find(kVariants, word) == kVariants.end()) break;
    end = word_end;
  }
  return end;
}

}  // namespace

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string quantization_label(std::string_view path) {
  const std::string name = upper_case(base_name(path));
  for (size_t i = name.size(); i-- > 0;) {
    if (i > 0 && is_word(name[i - 1])) continue;
    const std::string_view rest = std::string_view(name).substr(i);
    const size_t length = label_length(rest);
    if (length == 0) continue;
    const bool dynamic = i >= 3 && name.compare(i - 3, 3, "UD-") == 0;
    return (dynamic ? "UD-" : "") + std::string(rest.substr(0, length));
  }
  return "";
}

std::optional<ShardName> parse_shard_name(std::string_view path) {
  constexpr size_t kDigits = 5;
  constexpr std::string_view kOf = "-of-";
  const size_t dot = path.rfind('.');
  constexpr size_t kSuffix = 1 + kDigits + kOf.size() + kDigits;
  if (dot == std::string_view::npos || dot < kSuffix) return std::nullopt;
  const std::string_view suffix = path.substr(dot - kSuffix, kSuffix);
  ShardName shard;
  const auto read = [&](size_t at, uint32_t& value) {
    const char* begin = suffix.data() + at;
    const auto [end, error] = std::from_chars(begin, begin + kDigits, value);
    return error == std::errc() && end == begin + kDigits;
  };
  if (suffix.front() != '-' || suffix.substr(1 + kDigits, kOf.size()) != kOf ||
      !read(1, shard.index) || !read(1 + kDigits + kOf.size(), shard.count) || shard.index == 0 ||
      shard.index > shard.count) {
    return std::nullopt;
  }
  shard.set = std::string(path.substr(0, dot - kSuffix)) + std::string(path.substr(dot));
  return shard;
}

}  // namespace ruvllm::hub
