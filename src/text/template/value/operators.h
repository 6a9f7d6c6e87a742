// The operators of arithmetic.
#pragma once

#include <cstdint>

namespace ruvllm::text::jinja {

enum class BinaryOperator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower
};

}  // namespace ruvllm::text::jinja
