#include "api/text/chat/literal_text.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

namespace ruvllm::api {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxNesting = 100;  // the values of a template may be nested 128 deep

// As JSON with ASCII alone has the mark: templates may ask for that.
std::string escaped(const std::string& mark) {
  return fmt::format("\\ufd{:02x}", 0xD0 + (static_cast<unsigned char>(mark.back()) - 0x90));
}

bool contains(const Json& value, std::string_view word) {
  if (value.is_string()) {
    return value.get_ref<const std::string&>().find(word) != std::string::npos;
  }
  if (value.is_object()) {
    return std::ranges::any_of(value.items(), [&](const auto& item) {
      return item.key().find(word) != std::string::npos || contains(item.value(), word);
    });
  }
  return value.is_array() &&
         std::ranges::any_of(value, [&](const Json& item) { return contains(item, word); });
}

std::string marked_text(std::string_view text, const ControlTexts& controls,
                        std::string_view mark) {
  std::string out;
  size_t copied = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!controls.begins_at(text, at)) continue;
    out.append(text, copied, at + 1 - copied);
    out += mark;
    copied = at + 1;
  }
  return out.append(text, copied);
}

Status check_level(const Json& value, std::string_view what, int level) {
  if (!value.is_structured()) return {};
  if (level > kMaxNesting) {
    return fail(ErrorCode::kResourceExhausted, "{}: nested deeper than {} levels", what,
                kMaxNesting);
  }
  for (const Json& item : value) RUVLLM_TRY(check_level(item, what, level + 1));
  return {};
}

}  // namespace

Result<TextMarks> TextMarks::choose(const Json& values) {
  TextMarks marks;
  for (int last = 0x90; last <= 0xAF; ++last) {
    std::string mark = {'\xEF', '\xB7', static_cast<char>(last)};
    if (contains(values, mark) || contains(values, escaped(mark))) continue;
    if (!marks.literal.empty()) {
      marks.end = std::move(mark);
      return marks;
    }
    marks.literal = std::move(mark);
  }
  return fail(ErrorCode::kInvalidArgument,
              "the messages use the Unicode noncharacters U+FDD0 to U+FDEF; remove them");
}

Status check_nesting(const Json& value, std::string_view what) {
  return check_level(value, what, 1);
}

ControlTexts::ControlTexts(std::vector<std::string> texts) : sorted_(std::move(texts)) {
  std::erase(sorted_, "");
  std::ranges::sort(sorted_);
  for (const std::string& text : sorted_) first_bytes_[static_cast<uint8_t>(text[0])] = true;
}

bool ControlTexts::begins_at(std::string_view text, size_t at) const {
  if (!first_bytes_[static_cast<uint8_t>(text[at])]) return false;
  // Those in [first, last) begin like the text, as far as it was read.
  auto first = sorted_.begin();
  auto last = sorted_.end();
  for (size_t length = 0; first != last; ++length) {
    if (first->size() == length || at + length == text.size()) return true;
    const auto byte_of = [length](const std::string& control) {
      return control.size() > length ? int{static_cast<uint8_t>(control[length])} : -1;
    };
    const int byte = static_cast<uint8_t>(text[at + length]);
    const auto equal = std::ranges::equal_range(first, last, byte, {}, byte_of);
    first = equal.begin();
    last = equal.end();
  }
  return false;
}

void mark_literals(Json& value, const ControlTexts& controls, const std::string& mark) {
  if (value.is_string()) {
    auto& text = value.get_ref<std::string&>();
    text = marked_text(text, controls, mark);
  } else if (value.is_array()) {
    for (Json& item : value) mark_literals(item, controls, mark);
  } else if (value.is_object()) {
    Json marked = Json::object();
    for (auto& [key, item] : value.items()) {
      mark_literals(item, controls, mark);
      marked[marked_text(key, controls, mark)] = std::move(item);
    }
    value = std::move(marked);
  }
}

std::vector<text::ByteRange> take_out_marks(std::string& rendered, const std::string& mark) {
  const std::string ascii = escaped(mark);
  std::vector<text::ByteRange> literal;
  std::string clean;
  size_t from = 0;
  while (true) {
    const size_t raw = rendered.find(mark, from);
    const size_t other = rendered.find(ascii, from);
    const size_t at = std::min(raw, other);
    clean.append(rendered, from, at == std::string::npos ? at : at - from);
    if (at == std::string::npos) break;
    if (!clean.empty()) literal.push_back({clean.size() - 1, clean.size() + 1});
    from = at + (at == raw ? mark.size() : ascii.size());
  }
  rendered = std::move(clean);
  return literal;
}

}  // namespace ruvllm::api
