// Methods of strings that give or take lists.
#include <algorithm>

#include "text/template/library/tables.h"
#include "text/template/library/text_operations.h"
#include "text/template/value/compare.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

// Words between white space, at most `limit` splits (all when negative), counted from the left.
Status split_words(Heap& heap, const Text& text, int64_t limit, List& out) {
  std::string_view rest = strip_left(text.view);
  while (!rest.empty()) {
    size_t end = 0;
    while (end < rest.size()) {
      const CodePoint next = decode(rest, end);
      if (is_space(next.value)) break;
      end += next.length;
    }
    if (limit-- == 0) return heap.push(out, Value(text.same_owner(strip_right(rest))));
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(heap.push(out, Value(text.same_owner(rest.substr(0, end)))));
    rest = strip_left(rest.substr(end));
  }
  return {};
}

// The same from the right; `out` is in reverse order.
Status split_words_from_right(Heap& heap, const Text& text, int64_t limit, List& out) {
  std::string_view rest = strip_right(text.view);
  while (!rest.empty()) {
    std::string_view word;
    for (size_t i = 0, begin = 0; i < rest.size();) {
      const CodePoint next = decode(rest, i);
      i += next.length;
      if (is_space(next.value)) begin = i;
      word = rest.substr(begin);
    }
    if (limit-- == 0) return heap.push(out, Value(text.same_owner(strip_left(rest))));
    RUVLLM_TRY(heap.spend(1 + rest.size() / 64));
    RUVLLM_TRY(heap.push(out, Value(text.same_owner(word))));
    rest = strip_right(rest.substr(0, rest.size() - word.size()));
  }
  return {};
}

Status split_at(Heap& heap, const Text& text, std::string_view separator, int64_t limit,
                List& out) {
  size_t begin = 0;
  for (; limit != 0; --limit) {
    const size_t end = text.view.find(separator, begin);
    if (end == std::string_view::npos) break;
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(heap.push(out, Value(text.slice(begin, end - begin))));
    begin = end + separator.size();
  }
  return heap.push(out, Value(text.slice(begin, text.view.size() - begin)));
}

Status split_at_from_right(Heap& heap, const Text& text, std::string_view separator, int64_t limit,
                           List& out) {
  std::string_view rest = text.view;
  for (; limit != 0; --limit) {
    const size_t found = rest.rfind(separator);
    if (found == std::string_view::npos) break;
    RUVLLM_TRY(heap.spend());
    RUVLLM_TRY(heap.push(out, Value(text.same_owner(rest.substr(found + separator.size())))));
    rest = rest.substr(0, found);
  }
  return heap.push(out, Value(text.same_owner(rest)));
}

template <bool from_right>
Result<Value> split(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "sep", "maxsplit"));
  RUVLLM_ASSIGN(const int64_t limit, integer_argument(bound[1], -1, "maxsplit"));
  const Text& text = *self.text();
  RUVLLM_TRY(heap.spend_bytes(text.view.size()));
  RUVLLM_ASSIGN(List* const out, heap.new_list(ListKind::kList));
  const bool words = bound[0] == nullptr || bound[0]->is_none();
  if (words) {
    RUVLLM_TRY(from_right ? split_words_from_right(heap, text, limit, *out)
                          : split_words(heap, text, limit, *out));
  } else {
    RUVLLM_ASSIGN(const Text separator, wanted_text(bound[0], "sep"));
    if (separator.view.empty()) return fail(ErrorCode::kInvalidArgument, "split wants a separator");
    RUVLLM_TRY(from_right ? split_at_from_right(heap, text, separator.view, limit, *out)
                          : split_at(heap, text, separator.view, limit, *out));
  }
  if (from_right) std::reverse(out->items.begin(), out->items.end());
  return Value(out);
}

Result<Value> splitlines(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "keepends"));
  RUVLLM_ASSIGN(List* const lines, split_lines(heap, *self.text(), flag_argument(bound[0], false)));
  return Value(lines);
}

template <bool from_right>
Result<Value> partition(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "sep"));
  RUVLLM_ASSIGN(const Text separator, wanted_text(bound[0], "sep"));
  if (separator.view.empty())
    return fail(ErrorCode::kInvalidArgument, "partition wants a separator");
  const Text& text = *self.text();
  RUVLLM_TRY(heap.spend_bytes(text.view.size()));
  RUVLLM_ASSIGN(List* const out, heap.new_list(ListKind::kTuple, 3));
  const size_t found =
      from_right ? text.view.rfind(separator.view) : text.view.find(separator.view);
  if (found == std::string_view::npos) {
    out->items.assign(3, Value::constant(""));
    out->items[from_right ? 2 : 0] = self;
    return Value(out);
  }
  const size_t end = found + separator.view.size();
  out->items.emplace_back(text.slice(0, found));
  out->items.emplace_back(text.slice(found, separator.view.size()));
  out->items.emplace_back(text.slice(end, text.view.size() - end));
  return Value(out);
}

Result<Value> join_method(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "iterable"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "join wants a list");
  RUVLLM_ASSIGN(const List* const list, items_of(heap, *bound[0]));
  RUVLLM_ASSIGN(Text text, join(heap, *list, self.text()->view, true));
  return Value(std::move(text));
}

constexpr FunctionEntry kMethods[] = {
    {"split", split<false>},         {"rsplit", split<true>},         {"splitlines", splitlines},
    {"partition", partition<false>}, {"rpartition", partition<true>}, {"join", join_method},
};

}  // namespace

std::span<const FunctionEntry> split_methods() { return kMethods; }

}  // namespace ruvllm::text::jinja
