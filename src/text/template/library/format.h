// Python's two ways to format: "%s %d" % (...) and "{} {:>8}".format(...).
#pragma once

#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/template/library/library.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

Result<Text> format_percent(Heap& heap, std::string_view format, const std::vector<Value>& values);
Result<Text> format_braces(Heap& heap, std::string_view format, const Arguments& arguments);

}  // namespace ruvllm::text::jinja
