#include "tensor/codec.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tensor/iq/grids.h"

namespace ruvllm {
namespace {

// The formats once more, written from their published description and not from the code under test:
// element by element, from bytes at fixed offsets, in float64 (in which every product is exact).

double half_value(const uint8_t* bytes) {
  const int bits = bytes[0] + 256 * bytes[1];
  const int exponent = (bits / 1024) % 32;
  const int mantissa = bits % 1024;
  const double sign = bits >= 32768 ? -1.0 : 1.0;
  if (exponent == 31) {
    return mantissa == 0 ? sign * HUGE_VAL : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

int bit(const uint8_t* bytes, int idx) { return (bytes[idx / 8] >> (idx % 8)) & 1; }

double q4_0_value(const uint8_t* block, int i) {
  const int byte = block[2 + i % 16];
  return half_value(block) * ((i < 16 ? byte % 16 : byte / 16) - 8);
}

double q5_0_value(const uint8_t* block, int i) {
  const int byte = block[6 + i % 16];
  return half_value(block) * ((i < 16 ? byte % 16 : byte / 16) + 16 * bit(block + 2, i) - 16);
}

double q8_0_value(const uint8_t* block, int i) {
  const int byte = block[2 + i];
  return half_value(block) * (byte < 128 ? byte : byte - 256);
}

// Scale (which = 0) or minimum (which = 1) number s of the 12 bytes of q4_K and q5_K.
int six_bits(const uint8_t* scales, int which, int s) {
  if (s < 4) return scales[4 * which + s] % 64;
  const int nibble = which == 0 ? scales[4 + s] % 16 : scales[4 + s] / 16;
  return nibble + 16 * (scales[4 * which + s - 4] / 64);
}

double q4_k_value(const uint8_t* block, int i) {
  const int s = i / 32;
  const int byte = block[16 + 32 * (i / 64) + i % 32];
  const int level = i % 64 < 32 ? byte % 16 : byte / 16;
  return half_value(block) * six_bits(block + 4, 0, s) * level -
         half_value(block + 2) * six_bits(block + 4, 1, s);
}

double q5_k_value(const uint8_t* block, int i) {
  const int s = i / 32;
  const int byte = block[48 + 32 * (i / 64) + i % 32];
  const int level = (i % 64 < 32 ? byte % 16 : byte / 16) + 16 * bit(block + 16 + i % 32, s);
  return half_value(block) * six_bits(block + 4, 0, s) * level -
         half_value(block + 2) * six_bits(block + 4, 1, s);
}

double q6_k_value(const uint8_t* block, int i) {
  const int half = i / 128;
  const int part = i % 128 / 32;
  const int l = i % 32;
  const int low = block[64 * half + 32 * (part % 2) + l];
  const int high = block[128 + 32 * half + l] / (1 << (2 * part)) % 4;
  const int level = (part < 2 ? low % 16 : low / 16) + 16 * high - 32;
  const int scale = static_cast<int8_t>(block[192 + 8 * half + 2 * part + l / 16]);
  return half_value(block + 208) * scale * level;
}

double q4_1_value(const uint8_t* block, int i) {
  const int byte = block[4 + i % 16];
  return half_value(block) * (i < 16 ? byte % 16 : byte / 16) + half_value(block + 2);
}

double q5_1_value(const uint8_t* block, int i) {
  const int byte = block[8 + i % 16];
  const int level = (i < 16 ? byte % 16 : byte / 16) + 16 * bit(block + 4, i);
  return half_value(block) * level + half_value(block + 2);
}

// Two bits of element i: 128 elements take 32 bytes, each byte one of every 32.
int quarter(const uint8_t* bytes, int i) {
  return bytes[32 * (i / 128) + i % 32] / (1 << (2 * (i % 128 / 32))) % 4;
}

double q2_k_value(const uint8_t* block, int i) {
  const int scales = block[i / 16];
  return half_value(block + 80) * (scales % 16) * quarter(block + 16, i) -
         half_value(block + 82) * (scales / 16);
}

double q3_k_value(const uint8_t* block, int i) {
  const uint8_t* scales = block + 96;
  const int s = i / 16;
  const int low = s < 8 ? scales[s] % 16 : scales[s - 8] / 16;
  const int high = scales[8 + s % 4] / (1 << (2 * (s / 4))) % 4;
  const int level = quarter(block + 32, i) + 4 * bit(block + i % 32, i / 32) - 4;
  return half_value(block + 108) * (low + 16 * high - 32) * level;
}

int half_byte(const uint8_t* bytes, int idx) {
  return idx % 2 == 0 ? bytes[idx / 2] % 16 : bytes[idx / 2] / 16;
}

constexpr int kTable4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                             1,    13,   25,  38,  53,  69,  89,  113};

double iq4_nl_value(const uint8_t* block, int i) {
  const int byte = block[2 + i % 16];
  return half_value(block) * kTable4[i < 16 ? byte % 16 : byte / 16];
}

double iq4_xs_value(const uint8_t* block, int i) {
  const int s = i / 32;
  const int byte = block[8 + 16 * s + i % 16];
  const int scale =
      half_byte(block + 4, s) + 16 * bit(block + 2, 2 * s) + 32 * bit(block + 2, 2 * s + 1) - 32;
  return half_value(block) * scale * kTable4[i % 32 < 16 ? byte % 16 : byte / 16];
}

double mxfp4_value(const uint8_t* block, int i) {
  const int byte = block[1 + i % 16];
  const int code = i < 16 ? byte % 16 : byte / 16;
  const int exponent = code / 2 % 4;  // E2M1: sign, two bits of exponent, one of mantissa
  const double magnitude =
      exponent == 0 ? 0.5 * (code % 2) : std::ldexp(1 + 0.5 * (code % 2), exponent - 1);
  if (magnitude == 0) return 0;  // ggml's table has no negative zero
  return std::ldexp(code < 8 ? magnitude : -magnitude, block[0] - 127);
}

// `count` bits from bit `first` on, lowest first.
int bits_at(const uint8_t* bytes, int first, int count) {
  int value = 0;
  for (int i = 0; i < count; ++i) value += bit(bytes, first + i) << i;
  return value;
}

template <class Word>
int grid_element(Word word, int j) {
  return static_cast<int8_t>(word >> (8 * j));
}

// Sign of element j of eight whose seven sign bits begin at bit `first`.
int even_sign(const uint8_t* bytes, int first, int j) {
  int minus_signs = 0;
  for (int i = 0; i < 7; ++i) minus_signs += bit(bytes, first + i);
  return (j < 7 ? bit(bytes, first + j) : minus_signs % 2) == 1 ? -1 : 1;
}

double iq2_xxs_value(const uint8_t* block, int i) {
  const uint8_t* part = block + 2 + 8 * (i / 32);
  const int vector = i % 32 / 8;
  return half_value(block) * (0.5 + bits_at(part, 60, 4)) / 4 *
         grid_element(kIq2XxsGrid.words[part[vector]], i % 8) *
         even_sign(part, 32 + 7 * vector, i % 8);
}

double iq2_xs_value(const uint8_t* block, int i) {
  const uint8_t* vector = block + 2 + 2 * (i / 8);
  return half_value(block) * (0.5 + half_byte(block + 66, i / 16)) / 4 *
         grid_element(kIq2XsGrid.words[bits_at(vector, 0, 9)], i % 8) * even_sign(vector, 9, i % 8);
}

double iq2_s_value(const uint8_t* block, int i) {
  const int vector = i / 8;
  const int index = block[2 + vector] + 256 * bits_at(block + 66, 2 * vector, 2);
  return half_value(block) * (0.5 + half_byte(block + 74, i / 16)) / 4 *
         grid_element(kIq2SGrid.words[index], i % 8) * (bit(block + 34, i) == 1 ? -1 : 1);
}

double iq3_xxs_value(const uint8_t* block, int i) {
  const uint8_t* word = block + 66 + 4 * (i / 32);
  return half_value(block) * (0.5 + word[3] / 16) / 2 *
         grid_element(kIq3XxsGrid.words[block[2 + i / 4]], i % 4) *
         even_sign(word, 7 * (i % 32 / 8), i % 8);
}

double iq3_s_value(const uint8_t* block, int i) {
  const int index = block[2 + i / 4] + 256 * bit(block + 66, i / 4);
  return half_value(block) * (1 + 2 * half_byte(block + 106, i / 32)) *
         grid_element(kIq3SGrid.words[index], i % 4) * (bit(block + 74, i) == 1 ? -1 : 1);
}

double iq1_s_value(const uint8_t* block, int i) {
  const uint8_t* high = block + 34 + 2 * (i / 32);
  const int index = block[2 + i / 8] + 256 * bits_at(high, 3 * (i % 32 / 8), 3);
  const double delta = bit(high, 15) == 1 ? -0.125 : 0.125;
  return half_value(block) * (1 + 2 * bits_at(high, 12, 3)) *
         (grid_element(kIq1Grid.words[index], i % 8) + delta);
}

double iq1_m_value(const uint8_t* block, int i) {
  const int vector = i / 8;
  const int index = block[vector] + 256 * bits_at(block + 32, 4 * vector, 3);
  const double delta = bit(block + 32, 4 * vector + 3) == 1 ? -0.125 : 0.125;
  const int scale = bits_at(block + 48, 16 * (i / 64) + 3 * (i % 64 / 16), 3);
  const uint8_t d[2] = {static_cast<uint8_t>(block[49] / 16 + block[51] / 16 * 16),
                        static_cast<uint8_t>(block[53] / 16 + block[55] / 16 * 16)};
  return half_value(d) * (1 + 2 * scale) * (grid_element(kIq1Grid.words[index], i % 8) + delta);
}

double tq1_0_value(const uint8_t* block, int i) {
  const int byte = i < 160 ? i % 32 : i < 240 ? 32 + i % 16 : 48 + i % 4;
  const int digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
  int fraction = block[byte];  // of 256
  for (int before = 0; before < digit; ++before) fraction = fraction * 3 % 256;
  return half_value(block + 52) * (fraction * 3 / 256 - 1);
}

double tq2_0_value(const uint8_t* block, int i) {
  return half_value(block + 64) * (quarter(block, i) - 1);
}

struct Format {
  DType dtype;
  double (*value)(const uint8_t* block, int i);
  std::vector<size_t> half_offsets;
};

const Format kFormats[] = {
    {DType::kQ4_0, q4_0_value, {0}},       {DType::kQ5_0, q5_0_value, {0}},
    {DType::kQ8_0, q8_0_value, {0}},       {DType::kQ4_K, q4_k_value, {0, 2}},
    {DType::kQ5_K, q5_k_value, {0, 2}},    {DType::kQ6_K, q6_k_value, {208}},
    {DType::kQ4_1, q4_1_value, {0, 2}},    {DType::kQ5_1, q5_1_value, {0, 2}},
    {DType::kQ2_K, q2_k_value, {80, 82}},  {DType::kQ3_K, q3_k_value, {108}},
    {DType::kIQ4_NL, iq4_nl_value, {0}},   {DType::kIQ4_XS, iq4_xs_value, {0}},
    {DType::kMXFP4, mxfp4_value, {}},      {DType::kIQ2_XXS, iq2_xxs_value, {0}},
    {DType::kIQ2_XS, iq2_xs_value, {0}},   {DType::kIQ2_S, iq2_s_value, {0}},
    {DType::kIQ3_XXS, iq3_xxs_value, {0}}, {DType::kIQ3_S, iq3_s_value, {0}},
    {DType::kIQ1_S, iq1_s_value, {0}},     {DType::kIQ1_M, iq1_m_value, {}},
    {DType::kTQ1_0, tq1_0_value, {52}},    {DType::kTQ2_0, tq2_0_value, {64}},
};

// Equal bits, with all NaNs alike: their payload is the hardware's.
::testing::AssertionResult same_float(float actual, float expected) {
  const bool same = std::isnan(actual)
                        ? std::isnan(expected)
                        : std::bit_cast<uint32_t>(actual) == std::bit_cast<uint32_t>(expected);
  if (same) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << actual << " is not " << expected;
}

void expect_definition(const Format& format, const std::vector<uint8_t>& block) {
  const DTypeInfo& info = dtype_info(format.dtype);
  std::vector<float> decoded(info.block_elements);
  decode_row(format.dtype, block.data(), decoded.size(), decoded.data());
  for (size_t i = 0; i < decoded.size(); ++i) {
    const float expected = static_cast<float>(format.value(block.data(), static_cast<int>(i)));
    ASSERT_TRUE(same_float(decoded[i], expected)) << info.name << " element " << i;
  }
}

std::vector<uint8_t> random_bytes(std::mt19937& rng, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng());
  return bytes;
}

constexpr int kStride = RUVLLM_SANITIZED ? 7 : 1;

TEST(Decode, EveryQuantizedTypeIsTested) {
  EXPECT_EQ(std::size(kFormats), kNumDTypes - 3);  // all but the plain floats
}

TEST(Decode, EveryScaleBitPattern) {
  std::mt19937 rng(1);
  for (const Format& format : kFormats) {
    for (uint32_t bits = 0; bits < 65536;
         bits += dtype_info(format.dtype).block_elements == 256 ? 7u : 1u) {
      std::vector<uint8_t> block = random_bytes(rng, dtype_info(format.dtype).block_bytes);
      for (const size_t offset : format.half_offsets) {
        block[offset] = static_cast<uint8_t>(bits);
        block[offset + 1] = static_cast<uint8_t>(bits >> 8);
      }
      ASSERT_NO_FATAL_FAILURE(expect_definition(format, block));
    }
  }
}

// Every value of every byte that is not part of a half, alone and with all other bits set. Under
// sanitizers every seventh value, of each byte others.
TEST(Decode, EveryBytePattern) {
  for (const Format& format : kFormats) {
    const size_t num_bytes = dtype_info(format.dtype).block_bytes;
    for (const uint8_t fill : {uint8_t{0}, uint8_t{255}}) {
      for (size_t position = 0; position < num_bytes; ++position) {
        for (int value = static_cast<int>(position) % kStride; value < 256; value += kStride) {
          std::vector<uint8_t> block(num_bytes, fill);
          block[position] = static_cast<uint8_t>(value);
          for (const size_t offset : format.half_offsets) {
            block[offset] = 0x55;
            block[offset + 1] = static_cast<uint8_t>(0x35 + offset % 4);
          }
          ASSERT_NO_FATAL_FAILURE(expect_definition(format, block)) << "byte " << position;
        }
      }
    }
  }
}

TEST(Decode, RowsOfSeveralBlocksAtAnyAddress) {
  std::mt19937 rng(2);
  for (const Format& format : kFormats) {
    const DTypeInfo& info = dtype_info(format.dtype);
    const std::vector<uint8_t> bytes = random_bytes(rng, 1 + 3 * size_t{info.block_bytes});
    std::vector<float> decoded(3 * size_t{info.block_elements});
    decode_row(format.dtype, bytes.data() + 1, decoded.size(), decoded.data());
    for (size_t i = 0; i < decoded.size(); ++i) {
      const uint8_t* block = bytes.data() + 1 + i / info.block_elements * info.block_bytes;
      const int element = static_cast<int>(i % info.block_elements);
      EXPECT_TRUE(same_float(decoded[i], static_cast<float>(format.value(block, element))));
    }
  }
}

TEST(Decode, PlainFloats) {
  const uint8_t f16[] = {0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00};
  float out[3];
  decode_row(DType::kF16, f16, 3, out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -2.0f);
  EXPECT_EQ(out[2], 0x1p-24f);
  const uint8_t bf16[] = {0x80, 0x3f, 0x20, 0xc1, 0x00, 0x80};
  decode_row(DType::kBF16, bf16, 3, out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -10.0f);
  EXPECT_TRUE(same_float(out[2], -0.0f));
  decode_row(DType::kF32, out, 0, nullptr);
}

TEST(Decode, EveryHalf) {
  std::vector<uint8_t> bytes(2 * 65536);
  for (size_t bits = 0; bits < 65536; ++bits) {
    bytes[2 * bits] = static_cast<uint8_t>(bits);
    bytes[2 * bits + 1] = static_cast<uint8_t>(bits >> 8);
  }
  std::vector<float> decoded(65536);
  decode_row(DType::kF16, bytes.data(), decoded.size(), decoded.data());
  for (size_t bits = 0; bits < 65536; ++bits) {
    const float expected = static_cast<float>(half_value(&bytes[2 * bits]));
    ASSERT_TRUE(same_float(decoded[bits], expected)) << bits;
  }
}

std::vector<float> round_trip(DType dtype, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(row_bytes(dtype, values.size()).value());
  encode_row(dtype, values.data(), values.size(), bytes.data());
  std::vector<float> decoded(values.size());
  decode_row(dtype, bytes.data(), values.size(), decoded.data());
  return decoded;
}

// Steps of the coarsest grid a sub-block may get, as a fraction of the block's largest magnitude,
// plus what rounding the scale itself to 11, 6 or 7 bits can add.
double worst_error(DType dtype, double largest) {
  switch (dtype) {
    case DType::kQ4_0:
      return largest * (1.0 / 8 + 1e-3);  // +extreme lies a whole step outside
    case DType::kQ5_0:
      return largest * (1.0 / 16 + 1e-3);
    case DType::kQ8_0:
      return largest * (0.5 / 127 + 1e-3);
    case DType::kQ4_K:
      return largest * (2.0 / 15 + 2.0 / 63);
    case DType::kQ5_K:
      return largest * (2.0 / 31 + 2.0 / 63);
    case DType::kQ6_K:
      return largest * (1.0 / 32 + 1.0 / 128);
    case DType::kQ4_1:  // half a step of a range of twice the largest
      return largest * (1.0 / 15 + 3e-3);
    case DType::kQ5_1:
      return largest * (1.0 / 31 + 3e-3);
    case DType::kIQ4_NL:  // the widest step is 24 of 113, and a search may clip
    case DType::kIQ4_XS:
      return largest * (24.0 / 113 + 1.0 / 32);
    case DType::kMXFP4:  // magnitudes from 6 to 8 become 6
      return largest * (1.0 / 4 + 1e-3);
    case DType::kQ2_K:
      return largest * (2.0 / 3 + 2.0 / 15);
    case DType::kQ3_K:  // +extreme lies a whole step outside
      return largest * (1.0 / 3 + 1.0 / 32);
    default:
      return 0;
  }
}

TEST(Encode, ErrorStaysWithinTheStep) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal(0.0f, 1.0f);
  for (const Format& format : kFormats) {
    if (!can_encode(format.dtype)) continue;
    for (int trial = 0; trial < 200; ++trial) {
      // Scales stay above 2^-14, below which binary16 has fewer bits.
      const float magnitude = std::ldexp(1.0f, trial % 12 - 1);
      std::vector<float> values(512);
      for (float& value : values) value = magnitude * normal(rng);
      const std::vector<float> decoded = round_trip(format.dtype, values);
      const size_t block = dtype_info(format.dtype).block_elements;
      for (size_t begin = 0; begin < values.size(); begin += block) {
        double largest = 0;
        for (size_t i = begin; i < begin + block; ++i) {
          largest = std::max(largest, std::abs(static_cast<double>(values[i])));
        }
        for (size_t i = begin; i < begin + block; ++i) {
          ASSERT_NEAR(decoded[i], values[i], worst_error(format.dtype, largest))
              << dtype_info(format.dtype).name;
        }
      }
    }
  }
}

// Relative root-mean-square error on normal values, about what the format's bits allow: a search
// that stopped searching, or scales packed wrongly, lands far above.
TEST(Encode, MeanErrorOnNormalValues) {
  const struct {
    DType dtype;
    double bound;
  } cases[] = {{DType::kQ4_0, 0.092}, {DType::kQ5_0, 0.046}, {DType::kQ8_0, 0.0060},
               {DType::kQ4_K, 0.076}, {DType::kQ5_K, 0.038}, {DType::kQ6_K, 0.0190}};
  std::mt19937 rng(4);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> values(256 * 256);
  for (float& value : values) value = normal(rng);
  for (const auto& [dtype, bound] : cases) {
    const std::vector<float> decoded = round_trip(dtype, values);
    double error = 0;
    double power = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      error += std::pow(static_cast<double>(decoded[i] - values[i]), 2);
      power += std::pow(static_cast<double>(values[i]), 2);
    }
    EXPECT_LT(std::sqrt(error / power), bound) << dtype_info(dtype).name;
  }
}

// What a grid can hold comes back exactly.
TEST(Encode, RepresentableValuesAreExact) {
  std::vector<float> q4(32), q5(32), q8(32);
  for (int i = 0; i < 32; ++i) {
    q4[static_cast<size_t>(i)] = static_cast<float>(i % 16 - 8) * 0.25f;
    q5[static_cast<size_t>(i)] = static_cast<float>(i - 16) * 0.5f;
    q8[static_cast<size_t>(i)] = static_cast<float>(i * 8 - 121) * 2.0f;
  }
  q8[0] = -254.0f;
  EXPECT_EQ(round_trip(DType::kQ4_0, q4), q4);
  EXPECT_EQ(round_trip(DType::kQ5_0, q5), q5);
  EXPECT_EQ(round_trip(DType::kQ8_0, q8), q8);
  std::vector<float> k4(256), k5(256), k6(256);
  for (int i = 0; i < 256; ++i) {
    const size_t idx = static_cast<size_t>(i);
    const float scale = static_cast<float>(i / 32 == 3 ? 63 : 7 * (i / 32) + 1);
    const float minimum = static_cast<float>(i / 32 == 5 ? 63 : 5 * (i / 32) + 2);
    k4[idx] = 0.5f * scale * static_cast<float>(i * 7 % 16) - 0.25f * minimum;
    k5[idx] = 0.5f * scale * static_cast<float>(i * 7 % 32) - 0.25f * minimum;
    const float signed_scale = static_cast<float>(i / 16 == 9 ? -128 : 8 * (i / 16) - 60);
    k6[idx] = 0.125f * signed_scale * static_cast<float>(i % 16 == 0 ? -32 : (i * 5) % 64 - 32);
  }
  EXPECT_EQ(round_trip(DType::kQ4_K, k4), k4);
  EXPECT_EQ(round_trip(DType::kQ5_K, k5), k5);
  EXPECT_EQ(round_trip(DType::kQ6_K, k6), k6);
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Encode, NonFiniteIsEncodedAsZero) {
  for (size_t t = 0; t < kNumDTypes; ++t) {
    const DType dtype = static_cast<DType>(t);
    if (!can_encode(dtype)) continue;
    std::vector<float> dirty(256);
    for (size_t i = 0; i < dirty.size(); ++i) dirty[i] = 0.01f * static_cast<float>(i) - 1.0f;
    std::vector<float> clean = dirty;
    dirty[3] = kNan, dirty[77] = kInf, dirty[200] = -kInf;
    clean[3] = clean[77] = clean[200] = 0.0f;
    EXPECT_EQ(round_trip(dtype, dirty), round_trip(dtype, clean)) << dtype_info(dtype).name;
    const std::vector<float> all_bad(256, kNan);
    EXPECT_EQ(round_trip(dtype, all_bad), std::vector<float>(256, 0.0f)) << dtype_info(dtype).name;
  }
}

TEST(Encode, ExtremesStayFinite) {
  for (size_t t = 0; t < kNumDTypes; ++t) {
    const DType dtype = static_cast<DType>(t);
    if (!can_encode(dtype)) continue;
    for (const float extreme : {3.4e38f, -3.4e38f, 1e10f, 1e-45f, -1e-38f, 1e-7f, 0.0f}) {
      std::vector<float> values(256, extreme);
      for (size_t i = 0; i < values.size(); i += 3) values[i] = -extreme * 0.5f;
      for (const float value : round_trip(dtype, values)) {
        ASSERT_TRUE(std::isfinite(value)) << dtype_info(dtype).name << " " << extreme;
        ASSERT_LE(std::abs(value), 1.2 * std::abs(static_cast<double>(extreme)) + 1e-6);
      }
    }
  }
}

TEST(Encode, ConstantRows) {
  for (const Format& format : kFormats) {
    if (!can_encode(format.dtype)) continue;
    for (const float constant : {0.75f, -0.75f}) {
      for (const float value : round_trip(format.dtype, std::vector<float>(256, constant))) {
        ASSERT_NEAR(value, constant, 2e-3) << dtype_info(format.dtype).name;
      }
    }
  }
}

}  // namespace
}  // namespace ruvllm
