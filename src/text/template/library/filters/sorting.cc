#include "text/template/library/filters/sorting.h"

#include <algorithm>
#include <string_view>

#include "text/template/library/access.h"
#include "text/template/library/text_operations.h"
#include "text/template/value/compare.h"

namespace ruvllm::text::jinja {
namespace {

Result<Value> plain_key(Heap& heap, Value value, bool case_sensitive) {
  if (value.text() == nullptr || case_sensitive) return value;
  RUVLLM_ASSIGN(Text lower, change_case(heap, *value.text(), LetterCase::kLower));
  return Value(std::move(lower));
}

}  // namespace

Result<Value> sort_key(Heap& heap, const Value& value, const Value* attribute,
                       bool case_sensitive) {
  if (attribute == nullptr || attribute->is_none()) return plain_key(heap, value, case_sensitive);
  const Text* path = attribute->text();
  if (path == nullptr || path->view.find(',') == std::string_view::npos) {
    RUVLLM_ASSIGN(Value item, item_by_path(heap, value, *attribute));
    return plain_key(heap, std::move(item), case_sensitive);
  }
  RUVLLM_ASSIGN(List* const keys, heap.new_list(ListKind::kTuple));
  for (size_t begin = 0; begin <= path->view.size();) {
    const size_t end = std::min(path->view.find(',', begin), path->view.size());
    RUVLLM_ASSIGN(Value item, item_by_path(heap, value, Value(path->slice(begin, end - begin))));
    RUVLLM_ASSIGN(Value key, plain_key(heap, std::move(item), case_sensitive));
    RUVLLM_TRY(heap.push(*keys, std::move(key)));
    begin = end + 1;
  }
  return Value(keys);
}

Status sort_by_key(Heap& heap, std::vector<Keyed>& items, bool reverse) {
  std::vector<Keyed> merged;
  merged.reserve(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    merged.clear();
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size());
      const size_t end = std::min(begin + 2 * width, items.size());
      size_t left = begin;
      size_t right = middle;
      while (left < middle || right < end) {
        bool take_left = right == end;
        if (left < middle && right < end) {
          RUVLLM_ASSIGN(const int relation, order(heap, items[right].key, items[left].key));
          take_left = reverse ? relation <= 0 : relation >= 0;
        }
        merged.push_back(std::move(items[take_left ? left++ : right++]));
      }
    }
    items.swap(merged);
  }
  return {};
}

}  // namespace ruvllm::text::jinja
