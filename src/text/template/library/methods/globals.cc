// The functions that every template can call.
#include "text/template/library/methods/clock.h"
#include "text/template/library/tables.h"
#include "text/template/value/compare.h"
#include "text/template/value/print.h"

namespace ruvllm::text::jinja {
namespace {

constexpr uint64_t kMaxRange = 100'000;  // as Jinja2's sandbox

Result<Value> range(Heap& heap, const Value& /*self*/, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "start", "stop", "step"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "range wants a number");
  RUVLLM_ASSIGN(int64_t start, integer_argument(bound[0], 0, "start"));
  RUVLLM_ASSIGN(int64_t stop, integer_argument(bound[1], 0, "stop"));
  RUVLLM_ASSIGN(const int64_t step, integer_argument(bound[2], 1, "step"));
  if (bound[1] == nullptr) stop = std::exchange(start, 0);
  if (step == 0) return fail(ErrorCode::kInvalidArgument, "the step of range is 0");
  const bool empty = step > 0 ? start >= stop : start <= stop;
  const auto unsigned_of = [](int64_t value) { return static_cast<uint64_t>(value); };
  const uint64_t span =
      step > 0 ? unsigned_of(stop) - unsigned_of(start) : unsigned_of(start) - unsigned_of(stop);
  const uint64_t stride = step > 0 ? unsigned_of(step) : 0 - unsigned_of(step);
  const uint64_t count = empty ? 0 : 1 + (span - 1) / stride;
  if (count > kMaxRange) {
    return fail(ErrorCode::kResourceExhausted, "range gives {} numbers, and at most {} are allowed",
                count, kMaxRange);
  }
  RUVLLM_ASSIGN(List* const list, heap.new_list(ListKind::kList, count));
  for (uint64_t i = 0; i < count; ++i) {
    list->items.emplace_back(static_cast<int64_t>(unsigned_of(start) + i * unsigned_of(step)));
  }
  return Value(list);
}

// The entries of dict(mapping, name=value, ...) and namespace(...).
Status fill(Heap& heap, Dict& dict, const Arguments& arguments) {
  for (const Value& source : arguments.positional) {
    if (source.dict() != nullptr) {
      for (const auto& [key, value] : source.dict()->entries) {
        RUVLLM_TRY(heap.assign(dict, key, value));
      }
      continue;
    }
    RUVLLM_ASSIGN(const List* const pairs, items_of(heap, source));
    for (const Value& pair : pairs->items) {
      if (pair.list() == nullptr || pair.list()->items.size() != 2) {
        return fail(ErrorCode::kInvalidArgument, "a dict is made of mappings or pairs");
      }
      RUVLLM_TRY(heap.assign(dict, pair.list()->items[0], pair.list()->items[1]));
    }
  }
  for (const auto& [name, value] : arguments.named) {
    RUVLLM_TRY(heap.assign(dict, Value::constant(name), value));
  }
  return {};
}

Result<Value> make_dict(Heap& heap, const Value& /*self*/, const Arguments& arguments) {
  RUVLLM_ASSIGN(Dict* const dict, heap.new_dict());
  RUVLLM_TRY(fill(heap, *dict, arguments));
  return Value(dict);
}

Result<Value> make_namespace(Heap& heap, const Value& /*self*/, const Arguments& arguments) {
  RUVLLM_ASSIGN(Namespace* const space, heap.new_namespace());
  RUVLLM_TRY(fill(heap, space->attributes, arguments));
  return Value(space);
}

Result<Value> raise_exception(Heap& heap, const Value& /*self*/, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "message"));
  Text message{"the template refuses this conversation", nullptr};
  if (bound[0] != nullptr) {
    RUVLLM_ASSIGN(message, to_text(heap, *bound[0]));
  }
  return fail(ErrorCode::kInvalidArgument, "{}", message.view);
}

// `self` is the clock that the variables set, in seconds, or undefined.
Result<Value> strftime_now(Heap& heap, const Value& self, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "format"));
  RUVLLM_ASSIGN(const Text format, wanted_text(bound[0], "format"));
  const double seconds = as_double(self);
  RUVLLM_ASSIGN(const std::string time,
                format_time(format.view, is_number(self) ? &seconds : nullptr));
  RUVLLM_ASSIGN(Text text, heap.text(time));
  return Value(std::move(text));
}

constexpr FunctionEntry kGlobals[] = {
    {"range", range},
    {"dict", make_dict},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

std::span<const FunctionEntry> global_functions() { return kGlobals; }

}  // namespace ruvllm::text::jinja
