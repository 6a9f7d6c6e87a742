// Attributes, items and slices.
#pragma once

#include <string_view>

#include "base/core/error.h"
#include "text/template/value/heap.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

// object.name: a method first, then a key. Undefined when there is neither; an error on an
// undefined object.
Result<Value> attribute_of(Heap& heap, const Value& object, std::string_view name);
// object[key]: a key or index first, then a method.
Result<Value> item_of(Heap& heap, const Value& object, const Value& key);
// "a.b.0", as map(attribute=...), selectattr, sort, ... take it. An integer is one index.
Result<Value> item_by_path(Heap& heap, const Value& object, const Value& path);

// object[start:stop:step]; null bounds are left out.
Result<Value> slice_of(Heap& heap, const Value& object, const Value* start, const Value* stop,
                       const Value* step);

}  // namespace ruvllm::text::jinja
