// Arithmetic with Python's rules; an integer that does not fit 64 bits is an error.
#pragma once

#include "base/core/error.h"
#include "text/template/value/heap.h"
#include "text/template/value/operators.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

// Numbers, joined and repeated strings and lists, and "format" % values.
Result<Value> arithmetic(Heap& heap, BinaryOperator op, const Value& a, const Value& b);
Result<Value> negate(const Value& value, bool negative);

}  // namespace ruvllm::text::jinja
