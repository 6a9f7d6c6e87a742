// Quantizing pages for the store: layout, error and equal bytes on every ISA.
#include "kernels/cpu/kv_store.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/half.h"
#include "kernels/cpu/attention/attention_test_util.h"
#include "kernels/ref/kv_store.h"

namespace ruvllm::kernels {
namespace {

constexpr KvStoreFormat kFormats[] = {KvStoreFormat::kQ8, KvStoreFormat::kQ4, KvStoreFormat::kK8V4,
                                      KvStoreFormat::kQ3, KvStoreFormat::kQ2};
constexpr size_t kTokens = static_cast<size_t>(kPageTokens);
constexpr std::byte kUntouched{0xa5};
constexpr size_t kGuardBytes = 64;

struct StoredPage {
  std::vector<std::byte> keys, values;  // with guards behind
};

StoredPage quantize(const AttentionKernels& kernels, KvStoreFormat format, size_t head_dim,
                    const std::vector<uint16_t>& k, const std::vector<uint16_t>& v) {
  const size_t k_bytes = stored_keys_bytes(format, head_dim);
  const size_t v_bytes = stored_values_bytes(format, head_dim);
  StoredPage page = {std::vector(k_bytes + kGuardBytes, kUntouched),
                     std::vector(v_bytes + kGuardBytes, kUntouched)};
  kernels.quantize_kv_page(format, k.data(), v.data(), static_cast<int32_t>(head_dim),
                           page.keys.data(), page.values.data());
  for (size_t i = 0; i < kGuardBytes; ++i) {
    EXPECT_EQ(page.keys[k_bytes + i], kUntouched) << kernels.name;
    EXPECT_EQ(page.values[v_bytes + i], kUntouched) << kernels.name;
  }
  return page;
}

std::vector<uint16_t> random_halves(size_t count, float deviation, uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0.0f, deviation);
  std::vector<uint16_t> halves(count);
  for (uint16_t& half : halves) half = f32_to_f16(distribution(generator));
  return halves;
}

using Case = std::tuple<KvStoreFormat, size_t>;  // head_dim
class KvStoreTest : public testing::TestWithParam<Case> {
 protected:
  KvStoreFormat format() const { return std::get<0>(GetParam()); }
  size_t head_dim() const { return std::get<1>(GetParam()); }
  size_t numbers() const { return head_dim() * kTokens; }
};

INSTANTIATE_TEST_SUITE_P(Formats, KvStoreTest,
                         testing::Combine(testing::ValuesIn(kFormats),
                                          testing::Values(size_t{8}, size_t{24}, size_t{40},
                                                          size_t{64}, size_t{80}, size_t{96},
                                                          size_t{128}, size_t{256})));

// |number - stored| <= scale / 2, with the roundings of number - minimum, of the product with 1 /
// scale (itself rounded) and of the decoded number: 3 u of the range and u of the number.
void expect_close(uint16_t number, const ref::StoredNumber& stored, size_t bits) {
  const double exact = static_cast<double>(f16_to_f32(number));
  const double scale = static_cast<double>(stored.scale);
  const double range = scale * (bits == 8 ? 127.0 : static_cast<double>((1u << bits) - 1));
  const double bound = 0.5 * scale + kU * (3.0 * range + std::fabs(exact) + range);
  ASSERT_LE(std::fabs(static_cast<double>(stored.value) - exact), bound);
  if (bits == 8) {
    ASSERT_LE(std::abs(stored.level), 127);
  }
}

// Deviations down to where binary16 has few bits left, and up to its end.
TEST_P(KvStoreTest, EveryNumberIsWithinHalfAStep) {
  for (const float deviation : {1.0f, 1e-3f, 3e-5f, 1e-7f, 15000.0f}) {
    SCOPED_TRACE(deviation);
    std::vector<uint16_t> k = random_halves(numbers(), deviation, 1);
    std::vector<uint16_t> v = random_halves(numbers(), deviation, 2);
    for (uint16_t& half : k) half = std::min<uint16_t>(half & 0x7fff, 0x7bff) | (half & 0x8000);
    for (uint16_t& half : v) half = std::min<uint16_t>(half & 0x7fff, 0x7bff) | (half & 0x8000);
    const StoredPage page = quantize(implementations()[0], format(), head_dim(), k, v);
    double key_scales = 0.0, key_range = 0.0;
    for (size_t token = 0; token < kTokens; ++token) {
      for (size_t dim = 0; dim < head_dim(); ++dim) {
        const ref::StoredNumber key =
            ref::stored_key(format(), head_dim(), page.keys.data(), token, dim);
        expect_close(k[dim * kTokens + token], key, key_bits(format()));
        expect_close(v[token * head_dim() + dim],
                     ref::stored_value(format(), head_dim(), page.values.data(), token, dim),
                     value_bits(format()));
        if (HasFatalFailure()) FAIL() << "token " << token << " dim " << dim;
        key_scales += static_cast<double>(key.scale);
      }
    }
    // The scale is no larger than what the range asks for, beside the rounding to binary16.
    const double levels = key_bits(format()) == 8 ? 127.0 : (1u << key_bits(format())) - 1.0;
    for (size_t dim = 0; dim < head_dim(); ++dim) {
      float low = kInfinity, high = -kInfinity;
      for (size_t token = 0; token < kTokens; ++token) {
        low = std::min(low, f16_to_f32(k[dim * kTokens + token]));
        high = std::max(high, f16_to_f32(k[dim * kTokens + token]));
      }
      const double range = static_cast<double>(high) - static_cast<double>(low);
      key_range += key_bits(format()) == 8
                       ? static_cast<double>(std::max(std::fabs(low), std::fabs(high)))
                       : range;
    }
    EXPECT_LE(key_scales / static_cast<double>(kTokens),
              key_range / levels * (1.0 + 0x1p-10) + static_cast<double>(head_dim()) * 0x1p-24);
  }
}

// Small integers that the levels hit exactly come back as they were.
TEST_P(KvStoreTest, ExactNumbersStayExact) {
  for (const bool is_key : {true, false}) {
    const size_t bits = is_key ? key_bits(format()) : value_bits(format());
    const int levels = bits == 8 ? 127 : (1 << bits) - 1;
    std::vector<uint16_t> k(numbers()), v(numbers());
    std::mt19937 generator(3);
    const size_t group = is_key ? kTokens : stored_group(bits, head_dim());
    std::vector<uint16_t>& halves = is_key ? k : v;
    for (size_t i = 0; i < numbers(); ++i) {
      // Both ends of the range first in every channel or group.
      int level = static_cast<int>(generator() % static_cast<uint32_t>(levels + 1));
      if (i % group == 0) level = levels;
      if (i % group == 1) level = 0;
      halves[i] = f32_to_f16(0.25f * static_cast<float>(bits == 8 ? level : level - 3));
    }
    const StoredPage page = quantize(implementations()[0], format(), head_dim(), k, v);
    for (size_t token = 0; token < kTokens; ++token) {
      for (size_t dim = 0; dim < head_dim(); ++dim) {
        const float key = ref::stored_key(format(), head_dim(), page.keys.data(), token, dim).value;
        const float value =
            ref::stored_value(format(), head_dim(), page.values.data(), token, dim).value;
        ASSERT_EQ(key, f16_to_f32(k[dim * kTokens + token]));
        ASSERT_EQ(value, f16_to_f32(v[token * head_dim() + dim]));
      }
    }
  }
}

// Among them zeros of both signs, subnormal numbers, infinities and NaN.
TEST_P(KvStoreTest, EveryIsaWritesTheSameBytes) {
  std::mt19937 generator(4);
  for (uint32_t trial = 0; trial < 40; ++trial) {
    const float deviation = std::ldexp(1.0f, static_cast<int>(generator() % 36) - 24);
    std::vector<uint16_t> k = random_halves(numbers(), deviation, 10 + trial);
    std::vector<uint16_t> v = random_halves(numbers(), deviation, 60 + trial);
    const uint16_t special[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x7c00, 0xfc00, 0x7e00, 0xfd55};
    // Trials without non-finite numbers, with few of all kinds, and with many zeros.
    const uint32_t kinds = trial % 4 == 3 ? 8 : 4;
    for (size_t i = 0; i < numbers() / 8 * (trial % 4); ++i) {
      k[generator() % numbers()] = special[generator() % kinds];
      v[generator() % numbers()] = special[generator() % kinds];
    }
    if (trial == 0) k.assign(numbers(), 0x8000);
    const StoredPage expected = quantize(implementations()[0], format(), head_dim(), k, v);
    for (const AttentionKernels& kernels : implementations()) {
      const StoredPage actual = quantize(kernels, format(), head_dim(), k, v);
      ASSERT_EQ(actual.keys, expected.keys) << kernels.name << " " << trial;
      ASSERT_EQ(actual.values, expected.values) << kernels.name << " " << trial;
    }
  }
}

// One number that is not finite makes its channel or group NaN, and no other.
TEST_P(KvStoreTest, NonFiniteNumbersStayInTheirGroup) {
  for (const uint16_t bad : {kHalfNaN, kHalfInfinity, uint16_t{0xfc00}}) {
    std::vector<uint16_t> k = random_halves(numbers(), 1.0f, 5);
    std::vector<uint16_t> v = random_halves(numbers(), 1.0f, 6);
    const size_t token = 7, bad_dim = head_dim() - 3;
    k[bad_dim * kTokens + token] = v[token * head_dim() + bad_dim] = bad;
    const StoredPage page = quantize(implementations()[0], format(), head_dim(), k, v);
    const size_t group = stored_group(value_bits(format()), head_dim());
    for (size_t i = 0; i < kTokens; ++i) {
      for (size_t dim = 0; dim < head_dim(); ++dim) {
        const float key = ref::stored_key(format(), head_dim(), page.keys.data(), i, dim).value;
        const float value =
            ref::stored_value(format(), head_dim(), page.values.data(), i, dim).value;
        ASSERT_EQ(std::isnan(key), dim == bad_dim);
        ASSERT_EQ(std::isnan(value), i == token && dim / group == bad_dim / group);
      }
    }
  }
}

TEST(KvStoreSizeTest, FollowsTheFormula) {
  // 1024 + 128 + 128 bytes of keys, 1024 + 64 + 64 of values, against 8192 as binary16.
  EXPECT_EQ(stored_keys_bytes(KvStoreFormat::kQ4, 64), 1280u);
  EXPECT_EQ(stored_values_bytes(KvStoreFormat::kQ4, 64), 1152u);
  EXPECT_EQ(stored_keys_bytes(KvStoreFormat::kQ8, 128), 34u * 128u);
  EXPECT_EQ(stored_values_bytes(KvStoreFormat::kQ8, 128), 32u * (128u + 4u));
  EXPECT_EQ(stored_keys_bytes(KvStoreFormat::kK8V4, 64), 34u * 64u);
  EXPECT_EQ(stored_values_bytes(KvStoreFormat::kK8V4, 64), 1152u);
  EXPECT_EQ(stored_keys_bytes(KvStoreFormat::kQ3, 64), 16u * 64u);
  EXPECT_EQ(stored_values_bytes(KvStoreFormat::kQ3, 64), 32u * (24u + 4u));
  EXPECT_EQ(stored_keys_bytes(KvStoreFormat::kQ2, 64), 12u * 64u);
  EXPECT_EQ(stored_values_bytes(KvStoreFormat::kQ2, 64), 32u * (16u + 8u));
  EXPECT_EQ(stored_values_bytes(KvStoreFormat::kQ4, 80), 32u * (48u + 20u));
  EXPECT_EQ(stored_keys_bytes(KvStoreFormat::kF16, 64), 4096u);
  for (const KvStoreFormat format : kFormats) {
    for (size_t head_dim = 8; head_dim <= 256; head_dim += 8) {
      const size_t alignment = head_dim % 64 == 0 ? 64 : 16;
      EXPECT_EQ(stored_keys_bytes(format, head_dim) % alignment, 0u);
      EXPECT_EQ(stored_values_bytes(format, head_dim) % alignment, 0u);
    }
  }
}

// The layout, bit for bit, of a page whose levels are known: pairs of channels 0, 1, ... by token,
// and of tokens 0, 1, ... by channel.
TEST(KvStoreLayoutTest, FourBitsAndFewer) {
  constexpr size_t kDim = 8;
  std::vector<uint16_t> k(kDim * kTokens), v(kDim * kTokens);
  for (size_t dim = 0; dim < kDim; ++dim) {
    for (size_t token = 0; token < kTokens; ++token) {
      k[dim * kTokens + token] = f32_to_f16(static_cast<float>((token + dim) % 16));
      v[token * kDim + dim] = f32_to_f16(static_cast<float>(dim * 15 / 7) - 1.0f);
    }
  }
  const StoredPage four = quantize(implementations()[0], KvStoreFormat::kQ4, kDim, k, v);
  EXPECT_EQ(four.keys[0], std::byte{0x00});       // tokens 0 and 16 of channel 0
  EXPECT_EQ(four.keys[1], std::byte{0x11});       // of channel 1
  EXPECT_EQ(four.keys[6], std::byte{0x33});       // tokens 3 and 19 of channel 0
  EXPECT_EQ(four.keys[32], std::byte{0x22});      // tokens 0 and 16 of channel 2
  EXPECT_EQ(four.keys[8 * 16], std::byte{0x00});  // 1.0 as binary16
  EXPECT_EQ(four.keys[8 * 16 + 1], std::byte{0x3c});
  EXPECT_EQ(four.keys[8 * 16 + 16], std::byte{0x00});  // minimum 0
  EXPECT_EQ(four.values[6], std::byte{0x06});          // token 0, channel 3: 45 / 7; channel 19: 0
  EXPECT_EQ(four.values[32 + 15], std::byte{0x0f});    // token 3, channel 7
  EXPECT_EQ(four.values[16 * 32 + 1], std::byte{0x3c});
  EXPECT_EQ(four.values[16 * 32 + 64 + 1], std::byte{0xbc});  // minimum -1

  for (size_t i = 0; i < k.size(); ++i) {
    k[i] = f32_to_f16(static_cast<float>(i % kTokens / 4 % 8));
  }
  const StoredPage three = quantize(implementations()[0], KvStoreFormat::kQ3, kDim, k, v);
  // Tokens 0 to 3, 8 to 11, 16 to 19 and 24 to 27: levels 0, 2, 4 and 6; those between: 1, 3, 5, 7.
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(three.keys[i], std::byte{0b00010000});
  for (size_t i = 8; i < 16; ++i) EXPECT_EQ(three.keys[i], std::byte{0b01011001});
  for (size_t i = 16; i < 20; ++i) EXPECT_EQ(three.keys[i], std::byte{0b11011101});
  for (size_t i = 20; i < 24; ++i) EXPECT_EQ(three.keys[i], std::byte{0xff});
  for (uint16_t& half : k) half = f32_to_f16(std::fmod(f16_to_f32(half), 4.0f));
  const StoredPage two = quantize(implementations()[0], KvStoreFormat::kQ2, kDim, k, v);
  for (size_t i = 0; i < kDim * 8; ++i) {
    EXPECT_EQ(two.keys[i], i % 16 < 8 ? std::byte{0b10001000} : std::byte{0b11011101});
  }
}

}  // namespace
}  // namespace ruvllm::kernels
