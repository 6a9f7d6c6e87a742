#include "text/template/library/operators.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/core/checked.h"
#include "text/template/library/format.h"
#include "text/template/value/compare.h"

namespace ruvllm::text::jinja {
namespace {

std::string_view symbol(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kFloorDivide:
      return "//";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kPower:
      return "**";
  }
  return "?";
}

// a // b and a % b round towards minus infinity. b != 0.
std::optional<int64_t> floor_divide(int64_t a, int64_t b) {
  if (b == -1) return checked_sub<int64_t>(0, a);
  const int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

int64_t floor_modulo(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t remainder = a % b;
  return remainder + (remainder != 0 && (remainder < 0) != (b < 0) ? b : 0);
}

std::optional<int64_t> power(int64_t base, int64_t exponent) {
  std::optional<int64_t> result = 1;
  std::optional<int64_t> square = base;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) {
      result = square ? checked_mul(*result, *square) : std::nullopt;
      if (!result) return std::nullopt;
    }
    square = square ? checked_mul(*square, *square) : std::nullopt;
  }
  return result;
}

Result<Value> real_arithmetic(BinaryOperator op, double a, double b) {
  switch (op) {
    case BinaryOperator::kAdd:
      return Value(a + b);
    case BinaryOperator::kSubtract:
      return Value(a - b);
    case BinaryOperator::kMultiply:
      return Value(a * b);
    case BinaryOperator::kDivide:
      return Value(a / b);
    case BinaryOperator::kFloorDivide:
      return Value(std::floor(a / b));
    case BinaryOperator::kModulo: {
      const double remainder = std::fmod(a, b);
      return Value(remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder);
    }
    case BinaryOperator::kPower:
      return Value(std::pow(a, b));
  }
  return Value();
}

Result<Value> integer_arithmetic(BinaryOperator op, int64_t a, int64_t b) {
  std::optional<int64_t> result;
  switch (op) {
    case BinaryOperator::kAdd:
      result = checked_add(a, b);
      break;
    case BinaryOperator::kSubtract:
      result = checked_sub(a, b);
      break;
    case BinaryOperator::kMultiply:
      result = checked_mul(a, b);
      break;
    case BinaryOperator::kDivide:
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case BinaryOperator::kFloorDivide:
      result = floor_divide(a, b);
      break;
    case BinaryOperator::kModulo:
      result = floor_modulo(a, b);
      break;
    case BinaryOperator::kPower:
      if (b < 0) return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
      result = power(a, b);
      break;
  }
  if (result) return Value(*result);
  return fail(ErrorCode::kInvalidArgument, "{} {} {} does not fit 64 bits", a, symbol(op), b);
}

Result<Value> numbers(BinaryOperator op, const Value& a, const Value& b) {
  const bool divides = op == BinaryOperator::kDivide || op == BinaryOperator::kFloorDivide ||
                       op == BinaryOperator::kModulo;
  const bool inverts = op == BinaryOperator::kPower && as_double(b) < 0;
  if ((divides && as_double(b) == 0) || (inverts && as_double(a) == 0)) {
    return fail(ErrorCode::kInvalidArgument, "{} by zero", divides ? "division" : "inversion");
  }
  int64_t x = 0;
  int64_t y = 0;
  if (as_integer(a, x) != nullptr && as_integer(b, y) != nullptr)
    return integer_arithmetic(op, x, y);
  return real_arithmetic(op, as_double(a), as_double(b));
}

// "-" * 3 and [0] * 3, from either side; nullopt when the operands are not of that kind.
std::optional<Result<Value>> repeated(Heap& heap, const Value& sequence, const Value& count) {
  int64_t times = 0;
  const bool fits = as_integer(count, times) != nullptr &&
                    (sequence.text() != nullptr ||
                     (sequence.list() != nullptr && sequence.list()->kind != ListKind::kGenerator));
  if (!fits) return std::nullopt;
  const auto repeat = static_cast<uint64_t>(std::max<int64_t>(times, 0));
  const auto build = [&]() -> Result<Value> {
    if (const Text* text = sequence.text(); text != nullptr) {
      TextBuilder out(heap);
      RUVLLM_TRY(out.append_repeated(text->view, repeat));
      return Value(out.take());
    }
    const List& list = *sequence.list();
    const auto size = checked_mul<uint64_t>(list.items.size(), repeat);
    RUVLLM_ASSIGN(List* const out, heap.new_list(list.kind, size.value_or(UINT64_MAX)));
    while (out->items.size() < *size)
      out->items.push_back(list.items[out->items.size() % list.items.size()]);
    return Value(out);
  };
  return build();
}

Result<Value> joined(Heap& heap, const Value& a, const Value& b) {
  if (a.text() != nullptr && b.text() != nullptr) {
    TextBuilder out(heap);
    RUVLLM_TRY(out.append(a.text()->view));
    RUVLLM_TRY(out.append(b.text()->view));
    return Value(out.take());
  }
  const List& x = *a.list();
  const List& y = *b.list();
  RUVLLM_ASSIGN(List* const out, heap.new_list(x.kind, x.items.size() + y.items.size()));
  out->items.assign(x.items.begin(), x.items.end());
  out->items.insert(out->items.end(), y.items.begin(), y.items.end());
  return Value(out);
}

bool can_join(const Value& a, const Value& b) {
  if (a.text() != nullptr && b.text() != nullptr) return true;
  return a.list() != nullptr && b.list() != nullptr && a.list()->kind == b.list()->kind &&
         a.list()->kind != ListKind::kGenerator;
}

}  // namespace

Result<Value> arithmetic(Heap& heap, BinaryOperator op, const Value& a, const Value& b) {
  if (is_number(a) && is_number(b)) return numbers(op, a, b);
  if (op == BinaryOperator::kAdd && can_join(a, b)) return joined(heap, a, b);
  if (op == BinaryOperator::kMultiply) {
    if (auto result = repeated(heap, a, b)) return *std::move(result);
    if (auto result = repeated(heap, b, a)) return *std::move(result);
  }
  if (op == BinaryOperator::kModulo && a.text() != nullptr) {
    const List* tuple = b.list();
    const bool many = tuple != nullptr && tuple->kind == ListKind::kTuple;
    RUVLLM_ASSIGN(Text text, format_percent(heap, a.text()->view,
                                            many ? tuple->items : std::vector<Value>{b}));
    return Value(std::move(text));
  }
  for (const Value* value : {&a, &b}) {
    if (const Undefined* undefined = value->undefined(); undefined != nullptr) {
      return fail(ErrorCode::kInvalidArgument, "{} is undefined and has no {}",
                  undefined->name.empty() ? "the value" : fmt::format("'{}'", undefined->name),
                  symbol(op));
    }
  }
  return fail(ErrorCode::kInvalidArgument, "{} does not work between {} and {}", symbol(op),
              a.type_name(), b.type_name());
}

Result<Value> negate(const Value& value, bool negative) {
  int64_t integer = 0;
  if (as_integer(value, integer) != nullptr) {
    const auto result = negative ? checked_sub<int64_t>(0, integer) : integer;
    if (result) return Value(*result);
    return fail(ErrorCode::kInvalidArgument, "-({}) does not fit 64 bits", integer);
  }
  if (value.real() != nullptr) return Value(negative ? -*value.real() : *value.real());
  return fail(ErrorCode::kInvalidArgument, "a sign does not work on a value of type {}",
              value.type_name());
}

}  // namespace ruvllm::text::jinja
