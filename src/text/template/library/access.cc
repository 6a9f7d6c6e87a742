#include "text/template/library/access.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/core/checked.h"
#include "text/template/library/library.h"
#include "text/template/library/lookup.h"
#include "text/template/value/compare.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

std::unexpected<Error> undefined_error(const Value& object, std::string_view wanted) {
  const std::string_view name = object.undefined()->name;
  return fail(ErrorCode::kInvalidArgument, "{} is undefined, so it has no '{}'",
              name.empty() ? "the value" : fmt::format("'{}'", name), wanted.substr(0, 100));
}

Result<Value> method_or_undefined(Heap& heap, const Value& object, std::string_view name) {
  const NativeFunction method = find_method(object, name);
  if (method == nullptr) return Value(Undefined{name});
  RUVLLM_ASSIGN(Native* const bound, heap.new_callable<Native>(method, object));
  return Value(static_cast<Callable*>(bound));
}

Result<const Value*> find_key(Heap& heap, const Dict& dict, const Value& key) {
  RUVLLM_TRY(heap.spend_items(dict.entries.size()));
  return dict.find(key);
}

Result<Value> character_at(Heap& heap, const Text& text, int64_t index) {
  RUVLLM_TRY(heap.spend_bytes(text.view.size()));
  if (index < 0) index += static_cast<int64_t>(count_code_points(text.view));
  if (index < 0) return Value();
  const size_t begin = byte_offset(text.view, static_cast<size_t>(index));
  if (begin >= text.view.size()) return Value();
  return Value(text.slice(begin, decode(text.view, begin).length));
}

Result<Value> indexed(Heap& heap, const Value& object, int64_t index) {
  if (object.text() != nullptr) return character_at(heap, *object.text(), index);
  const List* list = object.list();
  if (list == nullptr || list->kind == ListKind::kGenerator) return Value();
  const auto size = static_cast<int64_t>(list->items.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value();
  return list->items[static_cast<size_t>(index)];
}

// The indices that a Python slice picks out of `size` items: begin, begin + step, ..., `count` of
// them.
struct Picks {
  int64_t begin = 0;
  int64_t step = 1;
  int64_t count = 0;
};

Result<Picks> pick(int64_t size, const Value* start, const Value* stop, const Value* step) {
  Picks picks;
  RUVLLM_ASSIGN(picks.step, integer_argument(step, 1, "step of the slice"));
  if (picks.step == 0) return fail(ErrorCode::kInvalidArgument, "the step of a slice is 0");
  const bool forward = picks.step > 0;
  const auto clamp = [&](int64_t index) {
    if (index < 0) index = std::max<int64_t>(index + size, forward ? 0 : -1);
    return std::min(index, forward ? size : size - 1);
  };
  RUVLLM_ASSIGN(int64_t first,
                integer_argument(start, forward ? 0 : size - 1, "start of the slice"));
  RUVLLM_ASSIGN(int64_t last, integer_argument(stop, size, "stop of the slice"));
  const bool open_stop = stop == nullptr || stop->is_none();
  first = size == 0 ? 0 : clamp(first);
  last = open_stop ? (forward ? size : -1) : clamp(last);
  picks.begin = first;
  const int64_t span = forward ? last - first : first - last;
  // The distance between picks; a step that does not negate is larger than any size.
  const int64_t stride =
      forward ? picks.step : checked_sub<int64_t>(0, picks.step).value_or(INT64_MAX);
  if (size > 0 && span > 0) picks.count = 1 + (span - 1) / stride;
  if (picks.count <= 1) picks.step = 1;
  return picks;
}

Result<Value> slice_text(Heap& heap, const Text& text, const Picks& picks) {
  RUVLLM_TRY(heap.spend_bytes(text.view.size()));
  if (picks.count == 0) return Value::constant("");
  if (picks.step == 1) {
    const size_t begin = byte_offset(text.view, static_cast<size_t>(picks.begin));
    const std::string_view tail = text.view.substr(begin);
    return Value(text.slice(begin, byte_offset(tail, static_cast<size_t>(picks.count))));
  }
  RUVLLM_TRY(heap.admit(text.view.size() * sizeof(size_t)));
  std::vector<size_t> offsets;
  for (size_t i = 0; i < text.view.size(); i += decode(text.view, i).length) offsets.push_back(i);
  TextBuilder out(heap);
  for (int64_t i = 0; i < picks.count; ++i) {
    const size_t begin = offsets[static_cast<size_t>(picks.begin + i * picks.step)];
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(out.append(text.view.substr(begin, decode(text.view, begin).length)));
  }
  return Value(out.take());
}

}  // namespace

Result<Value> attribute_of(Heap& heap, const Value& object, std::string_view name) {
  if (object.is_undefined()) return undefined_error(object, name);
  if (object.space() != nullptr) {
    const Value* found = object.space()->attributes.find(name);
    return found != nullptr ? *found : Value(Undefined{name});
  }
  if (object.callable() != nullptr) return object.callable()->attribute(name);
  if (object.dict() != nullptr && find_method(object, name) == nullptr) {
    RUVLLM_ASSIGN(const Value* const found, find_key(heap, *object.dict(), Value::constant(name)));
    return found != nullptr ? *found : Value(Undefined{name});
  }
  return method_or_undefined(heap, object, name);
}

Result<Value> item_of(Heap& heap, const Value& object, const Value& key) {
  const std::string_view name = key.text() != nullptr ? key.text()->view : std::string_view();
  if (object.is_undefined()) return undefined_error(object, name);
  if (object.dict() != nullptr) {
    RUVLLM_ASSIGN(const Value* const found, find_key(heap, *object.dict(), key));
    if (found != nullptr) return *found;
  }
  int64_t storage = 0;
  if (const int64_t* index = as_integer(key, storage); index != nullptr) {
    return indexed(heap, object, *index);
  }
  if (key.text() == nullptr) return Value();
  if (object.dict() == nullptr) {
    // A name that is not in the template must not outlive its own bytes in an Undefined.
    RUVLLM_ASSIGN(Value found, attribute_of(heap, object, name));
    return found.is_undefined() ? Value() : found;
  }
  RUVLLM_ASSIGN(Value method, method_or_undefined(heap, object, name));
  return method.is_undefined() ? Value() : method;
}

Result<Value> item_by_path(Heap& heap, const Value& object, const Value& path) {
  if (path.text() == nullptr) return item_of(heap, object, path);
  std::string_view rest = path.text()->view;
  Value value = object;
  for (;;) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int64_t index = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool digits = parsed.ec == std::errc() && parsed.ptr == part.data() + part.size();
    const Value key = digits ? Value(index) : Value(path.text()->same_owner(part));
    RUVLLM_TRY(heap.spend());
    RUVLLM_ASSIGN(value, item_of(heap, value, key));
    if (dot == std::string_view::npos) return value;
    rest.remove_prefix(dot + 1);
  }
}

Result<Value> slice_of(Heap& heap, const Value& object, const Value* start, const Value* stop,
                       const Value* step) {
  if (object.is_undefined()) return undefined_error(object, "[:]");
  if (const Text* text = object.text(); text != nullptr) {
    const auto size = static_cast<int64_t>(count_code_points(text->view));
    RUVLLM_ASSIGN(const Picks picks, pick(size, start, stop, step));
    return slice_text(heap, *text, picks);
  }
  const List* list = object.list();
  if (list == nullptr || list->kind == ListKind::kGenerator) return Value();
  const auto size = static_cast<int64_t>(list->items.size());
  RUVLLM_ASSIGN(const Picks picks, pick(size, start, stop, step));
  RUVLLM_ASSIGN(List* const out, heap.new_list(list->kind, static_cast<size_t>(picks.count)));
  for (int64_t i = 0; i < picks.count; ++i) {
    out->items.push_back(list->items[static_cast<size_t>(picks.begin + i * picks.step)]);
  }
  return Value(out);
}

}  // namespace ruvllm::text::jinja
