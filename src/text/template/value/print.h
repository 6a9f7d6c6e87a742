// Values as text, as Python's str and repr write them.
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

// repr(float): the shortest digits that read back as the same number.
std::string format_float(double number);

Status append_str(TextBuilder& out, const Value& value);
Status append_repr(TextBuilder& out, const Value& value, uint32_t depth = 0);
// The value itself when it is a string already.
Result<Text> to_text(Heap& heap, const Value& value);

}  // namespace ruvllm::text::jinja
