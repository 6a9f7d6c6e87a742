// map, select, reject and their attribute forms.
#include "text/template/library/access.h"
#include "text/template/library/lookup.h"
#include "text/template/library/tables.h"
#include "text/template/value/compare.h"

namespace ruvllm::text::jinja {
namespace {

// As Jinja2 has it, anything false (none, too) counts as an empty sequence here.
Result<const List*> input_items(Heap& heap, const Value& self) {
  return items_of(heap, self.truthy() ? self : Value());
}

Result<std::string_view> first_name(const Arguments& arguments, size_t idx, std::string_view what) {
  if (idx < arguments.positional.size() && arguments.positional[idx].text() != nullptr) {
    return arguments.positional[idx].text()->view;
  }
  return fail(ErrorCode::kInvalidArgument, "the name of {} is missing or no string", what);
}

Arguments without_first(const Arguments& arguments, size_t count) {
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<std::ptrdiff_t>(count));
  return rest;
}

Result<Value> map_attribute(Heap& heap, const List& list, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "attribute", "default"));
  RUVLLM_ASSIGN(List* const out, heap.new_list(ListKind::kGenerator, list.items.size()));
  for (const Value& item : list.items) {
    RUVLLM_ASSIGN(Value value, item_by_path(heap, item, *bound[0]));
    const bool missing = value.is_undefined() && bound[1] != nullptr && !bound[1]->is_none();
    out->items.push_back(missing ? *bound[1] : std::move(value));
  }
  return Value(out);
}

Result<Value> map(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const List* const list, input_items(heap, self));
  const bool by_attribute = arguments.positional.empty() && !arguments.named.empty();
  if (by_attribute) {
    for (const auto& argument : arguments.named) {
      if (argument.first == "attribute") return map_attribute(heap, *list, arguments);
    }
  }
  RUVLLM_ASSIGN(const std::string_view name, first_name(arguments, 0, "map's filter"));
  const NativeFunction filter = find_filter(name);
  if (filter == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "there is no filter '{}'", name.substr(0, 100));
  }
  const Arguments rest = without_first(arguments, 1);
  RUVLLM_ASSIGN(List* const out, heap.new_list(ListKind::kGenerator, list->items.size()));
  for (const Value& item : list->items) {
    RUVLLM_TRY(heap.spend());
    RUVLLM_ASSIGN(Value value, filter(heap, item, rest));
    out->items.push_back(std::move(value));
  }
  return Value(out);
}

template <bool wanted, bool by_attribute>
Result<Value> select(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const List* const list, input_items(heap, self));
  constexpr size_t kNameIdx = by_attribute ? 1 : 0;
  if (by_attribute && arguments.positional.empty()) {
    return fail(ErrorCode::kInvalidArgument, "selectattr and rejectattr want an attribute");
  }
  TestFunction test = nullptr;
  Arguments rest;
  if (arguments.positional.size() > kNameIdx) {
    RUVLLM_ASSIGN(const std::string_view name, first_name(arguments, kNameIdx, "the test"));
    test = find_test(name);
    if (test == nullptr) {
      return fail(ErrorCode::kInvalidArgument, "there is no test '{}'", name.substr(0, 100));
    }
    rest = without_first(arguments, kNameIdx + 1);
  }
  RUVLLM_ASSIGN(List* const out, heap.new_list(ListKind::kGenerator));
  for (const Value& item : list->items) {
    RUVLLM_TRY(heap.spend());
    Value tested = item;
    if (by_attribute) {
      RUVLLM_ASSIGN(tested, item_by_path(heap, item, arguments.positional[0]));
    }
    bool holds = tested.truthy();
    if (test != nullptr) {
      RUVLLM_ASSIGN(holds, test(heap, tested, rest));
    }
    if (holds == wanted) RUVLLM_TRY(heap.push(*out, item));
  }
  return Value(out);
}

constexpr FunctionEntry kFilters[] = {
    {"map", map},
    {"select", select<true, false>},
    {"reject", select<false, false>},
    {"selectattr", select<true, true>},
    {"rejectattr", select<false, true>},
};

}  // namespace

std::span<const FunctionEntry> select_filters() { return kFilters; }

}  // namespace ruvllm::text::jinja
