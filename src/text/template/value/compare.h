// Equality, order and membership as Python defines them.
#pragma once

#include "base/core/error.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

Result<bool> equals(Heap& heap, const Value& a, const Value& b, uint32_t depth = 0);
// < 0, 0 or > 0; an error for types that have no order between them. NaN compares as equal.
Result<int> order(Heap& heap, const Value& a, const Value& b, uint32_t depth = 0);
Result<bool> contains(Heap& heap, const Value& container, const Value& item);

// The number of a boolean, integer or float.
bool is_number(const Value& value);
double as_double(const Value& value);                             // of a number
const int64_t* as_integer(const Value& value, int64_t& storage);  // booleans count; else null

// The items that a `for` or a filter walks over: the list itself, the keys of a dict, the
// characters of a string, nothing for an undefined value. A generator is emptied.
Result<List*> items_of(Heap& heap, const Value& value);

}  // namespace ruvllm::text::jinja
