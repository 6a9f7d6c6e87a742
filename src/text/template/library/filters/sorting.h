// Ordering for sort, dictsort, unique, groupby, min and max.
#pragma once

#include <vector>

#include "base/core/error.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

struct Keyed {
  Value key;
  Value value;
};

// What `value` is ordered by: itself or the item at `attribute` (may be null; several with commas
// between), strings in lower case unless `case_sensitive`.
Result<Value> sort_key(Heap& heap, const Value& value, const Value* attribute, bool case_sensitive);

// Stable merge sort: std::sort has no way out when two keys cannot be compared.
Status sort_by_key(Heap& heap, std::vector<Keyed>& items, bool reverse);

}  // namespace ruvllm::text::jinja
