// Methods of dicts and lists.
#include <algorithm>
#include <optional>

#include "text/template/library/tables.h"
#include "text/template/value/compare.h"

namespace ruvllm::text::jinja {
namespace {

Result<Value> keys(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(List* const out, items_of(heap, self));
  return Value(out);
}

Result<Value> values(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(List* const out, heap.new_list(ListKind::kList, self.dict()->entries.size()));
  for (const auto& entry : self.dict()->entries) out->items.push_back(entry.second);
  return Value(out);
}

Result<Value> items(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(List* const out, heap.new_list(ListKind::kList, self.dict()->entries.size()));
  for (const auto& [key, value] : self.dict()->entries) {
    RUVLLM_ASSIGN(List* const pair, heap.new_list(ListKind::kTuple, 2));
    pair->items.push_back(key);
    pair->items.push_back(value);
    out->items.emplace_back(pair);
  }
  return Value(out);
}

Result<Value> get(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "key", "default"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "get wants a key");
  RUVLLM_TRY(heap.spend_items(self.dict()->entries.size()));
  if (const Value* found = self.dict()->find(*bound[0]); found != nullptr) return *found;
  return bound[1] != nullptr ? *bound[1] : Value(None{});
}

Result<Value> pop_key(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "key", "default"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "pop wants a key");
  auto& entries = self.dict()->entries;
  RUVLLM_TRY(heap.spend_items(entries.size()));
  const Value* found = self.dict()->find(*bound[0]);
  if (found == nullptr) {
    if (bound[1] != nullptr) return *bound[1];
    return fail(ErrorCode::kInvalidArgument, "pop: the dict has no such key");
  }
  Value value = *found;
  std::erase_if(entries, [&](const auto& entry) { return &entry.second == found; });
  return value;
}

Result<Value> setdefault(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "key", "default"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "setdefault wants a key");
  RUVLLM_TRY(heap.spend_items(self.dict()->entries.size()));
  if (const Value* found = self.dict()->find(*bound[0]); found != nullptr) return *found;
  Value value = bound[1] != nullptr ? *bound[1] : Value(None{});
  RUVLLM_TRY(heap.assign(*self.dict(), *bound[0], value));
  return value;
}

Result<Value> update(Heap& heap, const Value& self, const Arguments& arguments) {
  for (const Value& other : arguments.positional) {
    if (other.dict() == nullptr) return fail(ErrorCode::kInvalidArgument, "update wants a mapping");
    if (other.dict() == self.dict()) continue;
    for (const auto& [key, value] : other.dict()->entries) {
      RUVLLM_TRY(heap.assign(*self.dict(), key, value));
    }
  }
  for (const auto& [name, value] : arguments.named) {
    RUVLLM_TRY(heap.assign(*self.dict(), Value::constant(name), value));
  }
  return Value(None{});
}

Result<Value> copy_dict(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(Dict* const out, heap.new_dict(self.dict()->entries.size()));
  out->entries.assign(self.dict()->entries.begin(), self.dict()->entries.end());
  return Value(out);
}

Result<Value> append(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "object"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "append wants a value");
  RUVLLM_TRY(heap.push(*self.list(), *bound[0]));
  return Value(None{});
}

Result<Value> extend(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "iterable"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "extend wants a list");
  RUVLLM_ASSIGN(const List* const other, items_of(heap, *bound[0]));
  const size_t size = other->items.size();  // a list may extend itself
  RUVLLM_TRY(heap.spend_items(size));
  for (size_t i = 0; i < size; ++i) {
    const Value item = other->items[i];
    RUVLLM_TRY(heap.push(*self.list(), item));
  }
  return Value(None{});
}

// The position of an index that may count from the end; nullopt when it is outside.
std::optional<std::ptrdiff_t> position_of(const List& list, int64_t index) {
  const auto size = static_cast<int64_t>(list.items.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return std::nullopt;
  return index;
}

Result<Value> pop_item(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "index"));
  RUVLLM_ASSIGN(const int64_t index, integer_argument(bound[0], -1, "index"));
  auto& list = self.list()->items;
  const auto position = position_of(*self.list(), index);
  if (!position)
    return fail(ErrorCode::kInvalidArgument, "pop: index {} is outside the list", index);
  RUVLLM_TRY(heap.spend_items(list.size()));
  Value value = list[static_cast<size_t>(*position)];
  list.erase(list.begin() + *position);
  return value;
}

Result<Value> insert(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "index", "object"));
  if (bound[1] == nullptr) return fail(ErrorCode::kInvalidArgument, "insert wants index and value");
  RUVLLM_ASSIGN(int64_t index, integer_argument(bound[0], 0, "index"));
  auto& list = self.list()->items;
  const auto size = static_cast<int64_t>(list.size());
  index = std::clamp<int64_t>(index < 0 ? index + size : index, 0, size);
  RUVLLM_TRY(heap.spend_items(list.size()));
  RUVLLM_TRY(heap.push(*self.list(), *bound[1]));
  std::rotate(list.begin() + index, list.end() - 1, list.end());
  return Value(None{});
}

template <bool counts>
Result<Value> index_or_count(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "value"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "the method wants a value");
  int64_t found = 0;
  for (size_t i = 0; i < self.list()->items.size(); ++i) {
    RUVLLM_ASSIGN(const bool same, equals(heap, self.list()->items[i], *bound[0]));
    if (same && !counts) return Value(static_cast<int64_t>(i));
    found += same ? 1 : 0;
  }
  if (!counts) return fail(ErrorCode::kInvalidArgument, "index: the value is not in the list");
  return Value(found);
}

Result<Value> reverse_in_place(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_TRY(heap.spend_items(self.list()->items.size()));
  std::reverse(self.list()->items.begin(), self.list()->items.end());
  return Value(None{});
}

Result<Value> copy_list(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(List* const out, heap.new_list(ListKind::kList, self.list()->items.size()));
  out->items.assign(self.list()->items.begin(), self.list()->items.end());
  return Value(out);
}

constexpr FunctionEntry kDictMethods[] = {
    {"keys", keys},   {"values", values},         {"items", items},   {"get", get},
    {"pop", pop_key}, {"setdefault", setdefault}, {"update", update}, {"copy", copy_dict},
};

constexpr FunctionEntry kListMethods[] = {
    {"append", append},
    {"extend", extend},
    {"insert", insert},
    {"pop", pop_item},
    {"index", index_or_count<false>},
    {"count", index_or_count<true>},
    {"reverse", reverse_in_place},
    {"copy", copy_list},
};

}  // namespace

std::span<const FunctionEntry> dict_methods() { return kDictMethods; }
std::span<const FunctionEntry> list_methods() { return kListMethods; }

}  // namespace ruvllm::text::jinja
