// The tests behind `is`.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "text/template/library/library.h"
#include "text/template/library/lookup.h"
#include "text/template/value/compare.h"
#include "text/template/value/unicode.h"

namespace ruvllm::text::jinja {
namespace {

using Predicate = bool (*)(const Value& value);
using Relation = Result<bool> (*)(Heap& heap, const Value& value, const Value& other);

// A test without arguments.
template <Predicate predicate>
Result<bool> plain(Heap& /*heap*/, const Value& value, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  return predicate(value);
}

// A test against one other value.
template <Relation relation>
Result<bool> against(Heap& heap, const Value& value, const Arguments& arguments) {
  RUVLLM_ASSIGN(const auto bound, bind(arguments, "other"));
  if (bound[0] == nullptr) return fail(ErrorCode::kInvalidArgument, "the test wants an argument");
  return relation(heap, value, *bound[0]);
}

bool is_generator(const Value& v) {
  return v.list() != nullptr && v.list()->kind == ListKind::kGenerator;
}
bool is_sequence(const Value& v) {
  return v.text() != nullptr || (v.list() != nullptr && !is_generator(v)) || v.dict() != nullptr ||
         v.is_undefined();
}
bool is_iterable(const Value& v) { return is_sequence(v) || is_generator(v); }
bool is_true(const Value& v) { return v.boolean() != nullptr && *v.boolean(); }
bool is_false(const Value& v) { return v.boolean() != nullptr && !*v.boolean(); }

template <bool upper>
bool is_cased(const Value& v) {
  if (v.text() == nullptr) return false;
  bool any = false;
  for (size_t i = 0; i < v.text()->view.size();) {
    const CodePoint c = decode(v.text()->view, i);
    const bool is_upper = to_lower(c.value) != c.value;
    const bool is_lower = to_upper(c.value) != c.value;
    if (upper ? is_lower : is_upper) return false;
    any = any || is_upper || is_lower;
    i += c.length;
  }
  return any;
}

Result<bool> divisible(Heap& /*heap*/, const Value& value, const Value& other) {
  int64_t a = 0;
  int64_t b = 0;
  if (as_integer(value, a) == nullptr || as_integer(other, b) == nullptr || b == 0) {
    return fail(ErrorCode::kInvalidArgument, "divisibleby wants integers, and not 0");
  }
  return b == -1 || a % b == 0;
}

template <int remainder>
Result<bool> parity(Heap& /*heap*/, const Value& value, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  int64_t number = 0;
  if (as_integer(value, number) == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "odd and even want an integer, not {}",
                value.type_name());
  }
  return (number % 2 != 0) == (remainder == 1);
}

Result<bool> not_equal(Heap& heap, const Value& a, const Value& b) {
  RUVLLM_ASSIGN(const bool same, equals(heap, a, b));
  return !same;
}
Result<bool> equal(Heap& heap, const Value& a, const Value& b) { return equals(heap, a, b); }
Result<bool> contained(Heap& heap, const Value& a, const Value& b) { return contains(heap, b, a); }

// Whether order(a, b) has the sign `sign`, or is 0 where `or_equal`.
template <int sign, bool or_equal>
Result<bool> ordered(Heap& heap, const Value& a, const Value& b) {
  RUVLLM_ASSIGN(const int relation, order(heap, a, b));
  return relation * sign > 0 || (or_equal && relation == 0);
}

Result<bool> same_object(Heap& heap, const Value& a, const Value& b) {
  if (a.list() != nullptr || b.list() != nullptr) return a.list() == b.list();
  if (a.dict() != nullptr || b.dict() != nullptr) return a.dict() == b.dict();
  if (a.type_name() != b.type_name()) return false;
  return equals(heap, a, b);
}

Result<bool> is_filter(Heap& /*heap*/, const Value& value, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  return value.text() != nullptr && find_filter(value.text()->view) != nullptr;
}

Result<bool> is_test(Heap& /*heap*/, const Value& value, const Arguments& arguments) {
  RUVLLM_TRY(bind(arguments));
  return value.text() != nullptr && find_test(value.text()->view) != nullptr;
}

struct TestEntry {
  std::string_view name;
  TestFunction function;
};

constexpr TestEntry kTests[] = {
    {"defined", plain<[](const Value& v) { return !v.is_undefined(); }>},
    {"undefined", plain<[](const Value& v) { return v.is_undefined(); }>},
    {"none", plain<[](const Value& v) { return v.is_none(); }>},
    {"string", plain<[](const Value& v) { return v.text() != nullptr; }>},
    {"number", plain<is_number>},
    {"integer", plain<[](const Value& v) { return v.integer() != nullptr; }>},
    {"float", plain<[](const Value& v) { return v.real() != nullptr; }>},
    {"boolean", plain<[](const Value& v) { return v.boolean() != nullptr; }>},
    {"true", plain<is_true>},
    {"false", plain<is_false>},
    {"mapping", plain<[](const Value& v) { return v.dict() != nullptr; }>},
    {"sequence", plain<is_sequence>},
    {"iterable", plain<is_iterable>},
    {"callable", plain<[](const Value& v) { return v.callable() != nullptr; }>},
    {"upper", plain<is_cased<true>>},
    {"lower", plain<is_cased<false>>},
    {"escaped", plain<[](const Value&) { return false; }>},
    {"odd", parity<1>},
    {"even", parity<0>},
    {"divisibleby", against<divisible>},
    {"equalto", against<equal>},
    {"eq", against<equal>},
    {"==", against<equal>},
    {"ne", against<not_equal>},
    {"!=", against<not_equal>},
    {"lt", against<ordered<-1, false>>},
    {"lessthan", against<ordered<-1, false>>},
    {"<", against<ordered<-1, false>>},
    {"le", against<ordered<-1, true>>},
    {"<=", against<ordered<-1, true>>},
    {"gt", against<ordered<1, false>>},
    {"greaterthan", against<ordered<1, false>>},
    {">", against<ordered<1, false>>},
    {"ge", against<ordered<1, true>>},
    {">=", against<ordered<1, true>>},
    {"in", against<contained>},
    {"sameas", against<same_object>},
    {"filter", is_filter},
    {"test", is_test},
};

}  // namespace

TestFunction find_test(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTests), std::end(kTests),
                                   [&](const TestEntry& entry) { return entry.name == name; });
  return found == std::end(kTests) ? nullptr : found->function;
}

}  // namespace ruvllm::text::jinja
