// Keeps what people typed ordinary text: the places of control tokens in the values that a template
// prints are marked before rendering, and the marks, which pass through a template with the text
// around them, are taken out afterwards and become ranges that the tokenizer reads literally.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/core/error.h"
#include "text/tokenizer/byte_range.h"

namespace ruvllm::api {

// Code points that no text is meant to contain (Unicode noncharacters U+FDD0 to U+FDEF), as UTF-8.
struct TextMarks {
  std::string literal;  // stands after the first byte of what must not be read as a control token
  std::string end;      // stands where the last message ends

  // Two that no string in `values` has.
  static Result<TextMarks> choose(const nlohmann::ordered_json& values);
};

// Fails on values that are nested deeper than a template may read.
Status check_nesting(const nlohmann::ordered_json& value, std::string_view what);

// The texts of a vocabulary's control tokens.
class ControlTexts {
 public:
  ControlTexts() = default;
  explicit ControlTexts(std::vector<std::string> texts);

  // Whether one begins at `at`, or could, if more followed the end of `text`.
  bool begins_at(std::string_view text, size_t at) const;

 private:
  std::vector<std::string> sorted_;  // none is empty
  std::array<bool, 256> first_bytes_ = {};
};

// Marks every string and key: after the first byte of each control token, and where a string's end
// could become one together with what follows. Time is linear in the text.
void mark_literals(nlohmann::ordered_json& value, const ControlTexts& controls,
                   const std::string& mark);

// Takes the marks out; the bytes around each place may not be read as a control token.
std::vector<text::ByteRange> take_out_marks(std::string& rendered, const std::string& mark);

}  // namespace ruvllm::api
