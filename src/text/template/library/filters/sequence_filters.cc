// Filters of sequences: ends, order, grouping, aggregation.
#include <algorithm>
#include <iterator>

#include "text/template/library/access.h"
#include "text/template/library/filters/sorting.h"
#include "text/template/library/operators.h"
#include "text/template/library/tables.h"
#include "text/template/library/text_operations.h"
#include "text/template/value/compare.h"
#include "text/template/value/print.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

Result<Value> first(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  return list->items.empty() ? Value() : list->items.front();
}

Result<Value> last(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  return list->items.empty() ? Value() : list->items.back();
}

Result<List*> copy_of(Heap& heap, const List& list, ListKind kind) {
  RUVLLM_ASSIGN(List* const copy, heap.new_list(kind, list.items.size()));
  copy->items.assign(list.items.begin(), list.items.end());
  return copy;
}

Result<Value> to_list(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  RUVLLM_ASSIGN(List* const copy, copy_of(heap, *list, ListKind::kList));
  return Value(copy);
}

Result<Value> reverse(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  RUVLLM_ASSIGN(List* const copy, copy_of(heap, *list, ListKind::kGenerator));
  std::reverse(copy->items.begin(), copy->items.end());
  if (self.text() == nullptr) return Value(copy);
  RUVLLM_ASSIGN(Text text, join(heap, *copy, "", true));
  return Value(std::move(text));
}

Result<Value> join_filter(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "d", "attribute"));
  Text separator;
  if (bound[0] != nullptr) {
    RUVLLM_ASSIGN(separator, to_text(heap, *bound[0]));
  }
  RUVLLM_ASSIGN(const List* list, items_of(heap, self));
  if (bound[1] != nullptr && !bound[1]->is_none()) {
    RUVLLM_ASSIGN(List* const picked, heap.new_list(ListKind::kList, list->items.size()));
    for (const Value& item : list->items) {
      RUVLLM_ASSIGN(Value value, item_by_path(heap, item, *bound[1]));
      picked->items.push_back(std::move(value));
    }
    list = picked;
  }
  RUVLLM_ASSIGN(Text text, join(heap, *list, separator.view, false));
  return Value(std::move(text));
}

Result<std::vector<Keyed>> keyed_items(Heap& heap, const List& list, const Value* attribute,
                                       bool case_sensitive) {
  RUVLLM_TRY(heap.admit(list.items.size() * sizeof(Keyed)));
  std::vector<Keyed> items;
  items.reserve(list.items.size());
  for (const Value& value : list.items) {
    RUVLLM_TRY(heap.spend());
    RUVLLM_ASSIGN(Value key, sort_key(heap, value, attribute, case_sensitive));
    items.push_back({std::move(key), value});
  }
  return items;
}

Result<List*> values_of(Heap& heap, std::vector<Keyed> items, ListKind kind) {
  RUVLLM_ASSIGN(List* const list, heap.new_list(kind, items.size()));
  for (Keyed& item : items) list->items.push_back(std::move(item.value));
  return list;
}

Result<Value> sort(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "reverse", "case_sensitive", "attribute"));
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  RUVLLM_ASSIGN(auto items, keyed_items(heap, *list, bound[2], flag_argument(bound[1], false)));
  RUVLLM_TRY(sort_by_key(heap, items, flag_argument(bound[0], false)));
  RUVLLM_ASSIGN(List* const sorted, values_of(heap, std::move(items), ListKind::kList));
  return Value(sorted);
}

Result<Value> unique(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "case_sensitive", "attribute"));
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  RUVLLM_ASSIGN(auto items, keyed_items(heap, *list, bound[1], flag_argument(bound[0], false)));
  RUVLLM_ASSIGN(Dict* const seen, heap.new_dict());
  RUVLLM_ASSIGN(List* const kept, heap.new_list(ListKind::kGenerator));
  for (Keyed& item : items) {
    const size_t before = seen->entries.size();
    RUVLLM_TRY(heap.assign(*seen, item.key, Value(true)));
    if (seen->entries.size() > before) RUVLLM_TRY(heap.push(*kept, std::move(item.value)));
  }
  return Value(kept);
}

// The smallest item, or the largest when `sign` is -1.
template <int sign>
Result<Value> extreme(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "case_sensitive", "attribute"));
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  RUVLLM_ASSIGN(const auto items,
                keyed_items(heap, *list, bound[1], flag_argument(bound[0], false)));
  const Keyed* best = nullptr;
  for (const Keyed& item : items) {
    int relation = -1;
    if (best != nullptr) {
      RUVLLM_ASSIGN(relation, order(heap, item.key, best->key));
      relation *= sign;
    }
    if (relation < 0) best = &item;
  }
  return best == nullptr ? Value() : best->value;
}

Result<Value> sum(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "attribute", "start"));
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  Value total = bound[1] != nullptr ? *bound[1] : Value(int64_t{0});
  for (const Value& item : list->items) {
    Value addend = item;
    if (bound[0] != nullptr && !bound[0]->is_none()) {
      RUVLLM_ASSIGN(addend, item_by_path(heap, item, *bound[0]));
    }
    RUVLLM_TRY(heap.spend());
    RUVLLM_ASSIGN(total, arithmetic(heap, BinaryOperator::kAdd, total, addend));
  }
  return total;
}

Result<Value> pair_of(Heap& heap, const Value& a, const Value& b) {
  RUVLLM_ASSIGN(List* const pair, heap.new_list(ListKind::kTuple, 2));
  pair->items.push_back(a);
  pair->items.push_back(b);
  return Value(pair);
}

Result<Value> items(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  RUVLLM_ASSIGN(List* const pairs, heap.new_list(ListKind::kGenerator));
  if (self.is_undefined()) return Value(pairs);
  if (self.dict() == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "items wants a mapping, not {}", self.type_name());
  }
  for (const auto& [key, value] : self.dict()->entries) {
    RUVLLM_ASSIGN(Value pair, pair_of(heap, key, value));
    RUVLLM_TRY(heap.push(*pairs, std::move(pair)));
  }
  return Value(pairs);
}

Result<Value> dictsort(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "case_sensitive", "by", "reverse"));
  RUVLLM_ASSIGN(const Text by, text_argument(bound[1], "key", "by"));
  if (self.dict() == nullptr || (by.view != "key" && by.view != "value")) {
    return fail(ErrorCode::kInvalidArgument, "dictsort wants a mapping, by 'key' or 'value'");
  }
  std::vector<Keyed> pairs;
  for (const auto& [key, value] : self.dict()->entries) {
    RUVLLM_TRY(heap.spend());
    RUVLLM_ASSIGN(Value order_key, sort_key(heap, by.view == "key" ? key : value, nullptr,
                                            flag_argument(bound[0], false)));
    RUVLLM_ASSIGN(Value pair, pair_of(heap, key, value));
    pairs.push_back({std::move(order_key), std::move(pair)});
  }
  RUVLLM_TRY(sort_by_key(heap, pairs, flag_argument(bound[2], false)));
  RUVLLM_ASSIGN(List* const sorted, values_of(heap, std::move(pairs), ListKind::kList));
  return Value(sorted);
}

Result<Value> groupby(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "attribute", "default", "case_sensitive"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "groupby wants an attribute");
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  RUVLLM_ASSIGN(auto items, keyed_items(heap, *list, bound[0], flag_argument(bound[2], false)));
  for (Keyed& item : items) {
    if (item.key.is_undefined() && bound[1] != nullptr) item.key = *bound[1];
  }
  RUVLLM_TRY(sort_by_key(heap, items, false));
  RUVLLM_ASSIGN(List* const groups, heap.new_list(ListKind::kList));
  List* members = nullptr;
  for (size_t i = 0; i < items.size(); ++i) {
    bool same = false;
    if (members != nullptr) {
      RUVLLM_ASSIGN(same, equals(heap, items[i].key, items[i - 1].key));
    }
    if (!same) {
      RUVLLM_ASSIGN(members, heap.new_list(ListKind::kList));
      RUVLLM_ASSIGN(Value shown, item_by_path(heap, items[i].value, *bound[0]));
      if (shown.is_undefined()) shown = items[i].key;
      RUVLLM_ASSIGN(Value group, pair_of(heap, shown, Value(members)));
      RUVLLM_TRY(heap.push(*groups, std::move(group)));
    }
    RUVLLM_TRY(heap.push(*members, items[i].value));
  }
  return Value(groups);
}

Result<Value> batch(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "linecount", "fill_with"));
  RUVLLM_ASSIGN(const int64_t size, integer_argument(bound[0], 0, "linecount"));
  if (size < 1) return fail(ErrorCode::kInvalidArgument, "batch wants a positive size");
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  RUVLLM_ASSIGN(List* const rows, heap.new_list(ListKind::kGenerator));
  List* row = nullptr;
  for (const Value& item : list->items) {
    if (row == nullptr || row->items.size() == static_cast<size_t>(size)) {
      RUVLLM_ASSIGN(row, heap.new_list(ListKind::kList));
      RUVLLM_TRY(heap.push(*rows, Value(row)));
    }
    RUVLLM_TRY(heap.push(*row, item));
  }
  const bool fills = bound[1] != nullptr && !bound[1]->is_none() && row != nullptr;
  while (fills && row->items.size() < static_cast<size_t>(size)) {
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(heap.push(*row, *bound[1]));
  }
  return Value(rows);
}

Result<Value> slice(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "slices", "fill_with"));
  RUVLLM_ASSIGN(const int64_t count, integer_argument(bound[0], 0, "slices"));
  if (count < 1) return fail(ErrorCode::kInvalidArgument, "slice wants a positive count");
  RUVLLM_ASSIGN(const List* const list, items_of(heap, self));
  RUVLLM_ASSIGN(List* const columns,
                heap.new_list(ListKind::kGenerator, static_cast<size_t>(count)));
  const size_t size = list->items.size() / static_cast<size_t>(count);
  const size_t larger = list->items.size() % static_cast<size_t>(count);
  size_t next = 0;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const size_t wanted = size + (i < larger ? 1 : 0);
    RUVLLM_ASSIGN(List* const column, heap.new_list(ListKind::kList, wanted + 1));
    for (size_t k = 0; k < wanted; ++k) column->items.push_back(list->items[next++]);
    const bool fills = bound[1] != nullptr && !bound[1]->is_none() && larger > 0 && i >= larger;
    if (fills) column->items.push_back(*bound[1]);
    columns->items.emplace_back(column);
  }
  return Value(columns);
}

constexpr FunctionEntry kFilters[] = {
    {"first", first},      {"last", last},   {"list", to_list},  {"reverse", reverse},
    {"join", join_filter}, {"sort", sort},   {"unique", unique}, {"min", extreme<1>},
    {"max", extreme<-1>},  {"sum", sum},     {"items", items},   {"dictsort", dictsort},
    {"groupby", groupby},  {"batch", batch}, {"slice", slice},
};

}  // namespace

std::span<const FunctionEntry> sequence_filters() { return kFilters; }

}  // namespace ruvllm::text::jinja
