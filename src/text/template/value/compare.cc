#include "text/template/value/compare.h"

#include <algorithm>

#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

template <typename T>
int sign_of(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int order_numbers(const Value& a, const Value& b) {
  int64_t x = 0;
  int64_t y = 0;
  if (as_integer(a, x) != nullptr && as_integer(b, y) != nullptr) return sign_of(x, y);
  return sign_of(as_double(a), as_double(b));
}

Result<bool> equal_lists(Heap& heap, const List& a, const List& b, uint32_t depth) {
  if (&a == &b) return true;
  if (a.kind != b.kind || a.kind == ListKind::kGenerator || a.items.size() != b.items.size()) {
    return false;
  }
  for (size_t i = 0; i < a.items.size(); ++i) {
    RUVLLM_ASSIGN(const bool same, equals(heap, a.items[i], b.items[i], depth + 1));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_dicts(Heap& heap, const Dict& a, const Dict& b, uint32_t depth) {
  if (&a == &b) return true;
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    RUVLLM_TRY(heap.spend_items(b.entries.size()));
    const Value* other = b.find(key);
    if (other == nullptr) return false;
    RUVLLM_ASSIGN(const bool same, equals(heap, value, *other, depth + 1));
    if (!same) return false;
  }
  return true;
}

}  // namespace

bool is_number(const Value& value) {
  return value.integer() != nullptr || value.real() != nullptr || value.boolean() != nullptr;
}

double as_double(const Value& value) {
  if (value.real() != nullptr) return *value.real();
  int64_t storage = 0;
  const int64_t* integer = as_integer(value, storage);
  return integer == nullptr ? 0.0 : static_cast<double>(*integer);
}

const int64_t* as_integer(const Value& value, int64_t& storage) {
  if (value.integer() != nullptr) {
    storage = *value.integer();
  } else if (value.boolean() != nullptr) {
    storage = *value.boolean() ? 1 : 0;
  } else {
    return nullptr;
  }
  return &storage;
}

Result<bool> equals(Heap& heap, const Value& a, const Value& b, uint32_t depth) {
  RUVLLM_TRY(heap.admit_depth(depth));
  RUVLLM_TRY(heap.spend());
  if (is_number(a) && is_number(b)) {
    int64_t x = 0;
    int64_t y = 0;
    if (as_integer(a, x) != nullptr && as_integer(b, y) != nullptr) return x == y;
    return as_double(a) == as_double(b);
  }
  if (a.text() != nullptr && b.text() != nullptr) {
    RUVLLM_TRY(heap.spend_bytes(a.text()->view.size()));
    return a.text()->view == b.text()->view;
  }
  if (a.list() != nullptr && b.list() != nullptr)
    return equal_lists(heap, *a.list(), *b.list(), depth);
  if (a.dict() != nullptr && b.dict() != nullptr)
    return equal_dicts(heap, *a.dict(), *b.dict(), depth);
  if (a.space() != nullptr) return a.space() == b.space();
  if (a.callable() != nullptr) return a.callable() == b.callable();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

Result<int> order(Heap& heap, const Value& a, const Value& b, uint32_t depth) {
  RUVLLM_TRY(heap.admit_depth(depth));
  RUVLLM_TRY(heap.spend());
  if (is_number(a) && is_number(b)) return order_numbers(a, b);
  if (a.text() != nullptr && b.text() != nullptr) {
    RUVLLM_TRY(heap.spend_bytes(a.text()->view.size()));
    // UTF-8 orders like its code points.
    return sign_of(a.text()->view, b.text()->view);
  }
  const List* x = a.list();
  const List* y = b.list();
  if (x != nullptr && y != nullptr && x->kind == y->kind && x->kind != ListKind::kGenerator) {
    for (size_t i = 0; i < std::min(x->items.size(), y->items.size()); ++i) {
      RUVLLM_ASSIGN(const bool same, equals(heap, x->items[i], y->items[i], depth + 1));
      if (!same) return order(heap, x->items[i], y->items[i], depth + 1);
    }
    return sign_of(x->items.size(), y->items.size());
  }
  return fail(ErrorCode::kInvalidArgument, "values of type {} and {} have no order", a.type_name(),
              b.type_name());
}

Result<bool> contains(Heap& heap, const Value& container, const Value& item) {
  if (const Text* text = container.text(); text != nullptr) {
    if (item.text() == nullptr) {
      return fail(ErrorCode::kInvalidArgument,
                  "only a string can be `in` a string, and the left side is of type {}",
                  item.type_name());
    }
    RUVLLM_TRY(heap.spend_bytes(text->view.size()));
    return text->view.find(item.text()->view) != std::string_view::npos;
  }
  if (const Dict* dict = container.dict(); dict != nullptr) {
    RUVLLM_TRY(heap.spend_items(dict->entries.size()));
    return dict->find(item) != nullptr;
  }
  RUVLLM_ASSIGN(const List* list, items_of(heap, container));
  for (const Value& candidate : list->items) {
    RUVLLM_ASSIGN(const bool same, equals(heap, candidate, item));
    if (same) return true;
  }
  return false;
}

Result<List*> items_of(Heap& heap, const Value& value) {
  if (List* list = value.list(); list != nullptr) {
    if (list->kind != ListKind::kGenerator) return list;
    RUVLLM_ASSIGN(List* const drained, heap.new_list(ListKind::kList));
    drained->items.swap(list->items);
    return drained;
  }
  if (const Dict* dict = value.dict(); dict != nullptr) {
    RUVLLM_ASSIGN(List* const keys, heap.new_list(ListKind::kList, dict->entries.size()));
    for (const auto& entry : dict->entries) keys->items.push_back(entry.first);
    return keys;
  }
  if (const Text* text = value.text(); text != nullptr) {
    RUVLLM_TRY(heap.spend_bytes(text->view.size()));
    RUVLLM_ASSIGN(List* const letters,
                  heap.new_list(ListKind::kList, count_code_points(text->view)));
    for (size_t i = 0; i < text->view.size();) {
      const size_t length = decode(text->view, i).length;
      letters->items.emplace_back(text->slice(i, length));
      i += length;
    }
    return letters;
  }
  if (value.is_undefined()) return heap.new_list(ListKind::kList);
  return fail(ErrorCode::kInvalidArgument, "a value of type {} cannot be iterated over",
              value.type_name());
}

}  // namespace ruvllm::text::jinja
