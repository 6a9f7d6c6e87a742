// Older pages of keys and values, quantized: which forms there are and where each bit lies.
//
// A stored page holds the 32 tokens of one KV head of one layer, keys and values apart. Both
// consist of runs of 32 pairs of levels, 8 * bits bytes each: the form that products of 16-bit
// integers take, two neighbours of a sum side by side. Little endian, with level 2 i + j of a run
// member j of its pair i:
//
//   8 bits  int8 of level i in byte i, -127..127
//   4 bits  byte i (0..31): level i in the low half, level i + 32 in the high half
//   2 bits  byte i (0..15): levels i, i + 16, i + 32 and i + 48 from the low bits on
//   3 bits  levels i, i + 16, i + 32 and i + 48 are 12 bits: the low 8 of them in byte i (0..15),
//           the high 4 in byte 16 + i / 2, in its low half where i is even
//
// Keys, scales per channel (https://arxiv.org/abs/2402.02750):
//   runs      [head_dim / 2]      two neighbouring channels of the 32 tokens
//   scales    [head_dim]          binary16
//   minimums  [head_dim]          binary16; not with 8 bits
// Values, scales per token and group of channels:
//   runs      [16, head_dim / 32 rounded up]  32 channels of two neighbouring tokens; levels of
//                                             channels beyond head_dim are 0
//   scales    [groups, 32 tokens]             binary16
//   minimums  [groups, 32 tokens]             binary16; not with 8 bits
//
// A number is level * scale (8 bits) or level * scale + minimum (fewer). The scale is the smallest
// binary16 number that is not below the largest magnitude / 127 or below (maximum - minimum) /
// (2^bits - 1); the minimum is that of the binary16 numbers; a level is the nearest (ties to even)
// to the float number - minimum, times the float 1 / scale. So a number is off by at most scale /
// 2, beside rounding. A channel or group with a number that is not finite has NaN as scale and
// minimum, and levels 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ruvllm::kernels {

// kF16: nothing is quantized. kK8V4: keys with 8 bits, values with 4.
enum class KvStoreFormat : uint8_t { kF16, kQ8, kQ4, kK8V4, kQ3, kQ2 };

// The first page never is read from the store: models rest their attention on the first tokens.
inline constexpr int32_t kSinkTokens = 32;
inline constexpr size_t kStoredRun = 32;  // pairs of levels

constexpr size_t key_bits(KvStoreFormat format) {
  constexpr uint8_t kBits[] = {16, 8, 4, 8, 3, 2};
  return kBits[static_cast<size_t>(format)];
}

constexpr size_t value_bits(KvStoreFormat format) {
  constexpr uint8_t kBits[] = {16, 8, 4, 4, 3, 2};
  return kBits[static_cast<size_t>(format)];
}

// Channels of a token's values that share a scale, given the bits.
constexpr size_t stored_group(size_t bits, size_t head_dim) {
  size_t group = bits == 2 ? 32 : 64;
  while (head_dim % group != 0) group /= 2;
  return group;
}

constexpr size_t stored_run_bytes(size_t bits) { return bits * 2 * kStoredRun / 8; }

// Binary16 numbers that go with each scale: itself, and the minimum.
constexpr size_t stored_scale_numbers(size_t bits) { return bits == 8 ? 1 : 2; }

// Bytes of the keys or values of one page of one head; head_dim is a multiple of 8. Multiples of
// 16, and of 64 for head_dim a multiple of 64.
constexpr size_t stored_keys_bytes(KvStoreFormat format, size_t head_dim) {
  const size_t bits = key_bits(format);
  if (bits == 16) return head_dim * kStoredRun * sizeof(uint16_t);
  return head_dim / 2 * stored_run_bytes(bits) +
         head_dim * stored_scale_numbers(bits) * sizeof(uint16_t);
}

constexpr size_t stored_values_bytes(KvStoreFormat format, size_t head_dim) {
  const size_t bits = value_bits(format);
  if (bits == 16) return head_dim * kStoredRun * sizeof(uint16_t);
  const size_t runs = (head_dim + kStoredRun - 1) / kStoredRun;
  const size_t groups = head_dim / stored_group(bits, head_dim);
  return kStoredRun / 2 * runs * stored_run_bytes(bits) +
         kStoredRun * groups * stored_scale_numbers(bits) * sizeof(uint16_t);
}

}  // namespace ruvllm::kernels
