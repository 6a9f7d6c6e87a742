#include "kernels/cpu/matmul.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/half.h"
#include "base/system/cpu_info.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/ref/matmul_ref.h"
#include "tensor/blocks.h"
#include "tensor/codec.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {
namespace {

struct Isa {
  std::string_view name;
  bool available;
  void (*overlay)(KernelTable& table);
};

// As in device: each is laid over those before it that are available.
std::vector<Isa> all_isas() {
  [[maybe_unused]] const CpuFeatures& features = cpu_features();
  return {
      {"generic", true, fill_generic},
#if defined(__x86_64__)
      {"avx2", features.avx2, overlay_avx2},
      {"avx_vnni", features.avx_vnni, overlay_avx_vnni},
      {"avx512", features.avx2 && features.avx512_vnni, overlay_avx512},
      {"amx", features.avx512_vnni && features.amx_int8, overlay_amx},
#elif defined(__aarch64__)
      {"neon", true, overlay_neon},
      {"neon_dotprod", features.neon_dotprod, overlay_neon_dotprod},
      {"neon_i8mm", features.neon_dotprod && features.neon_i8mm, overlay_neon_i8mm},
#endif
  };
}

std::string_view isa_name(size_t isa) { return all_isas()[isa].name; }

// What a kernel multiplies: weights of a type, float ones in one of two ways.
struct Product {
  DType dtype;
  bool is_grouped = false;

  ActivationKind activation() const {
    return is_grouped ? ActivationKind::kQ14Group32 : ref::activation_kind(dtype);
  }
  std::string name() const {
    return std::string(dtype_info(dtype).name) + (is_grouped ? " grouped" : "");
  }
};

MatmulKernel kernel_of(size_t isa, Product product) {
  auto table = std::make_unique<KernelTable>();
  const std::vector<Isa> isas = all_isas();
  for (size_t i = 0; i <= isa; ++i) {
    if (isas[i].available) isas[i].overlay(*table);
  }
  const auto index = static_cast<size_t>(product.dtype);
  return product.is_grouped ? table->grouped_matmul[index] : table->matmul[index];
}

std::vector<DType> all_types() {
  std::vector<DType> out;
  for (size_t i = 0; i < kNumDTypes; ++i) out.push_back(static_cast<DType>(i));
  return out;
}

bool is_quantized(DType dtype) { return ref::activation_kind(dtype) != ActivationKind::kF32; }

// Where a block holds binary16 values: d, then the minimum if the type has one. iq1_m and mxfp4
// keep their scale in other ways.
std::vector<size_t> half_offsets(DType dtype) {
  switch (dtype) {
    case DType::kMXFP4:
    case DType::kIQ1_M:
      return {};
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {0, 2};
    case DType::kQ2_K:
      return {offsetof(BlockQ2_K, d), offsetof(BlockQ2_K, dmin)};
    case DType::kQ3_K:
      return {offsetof(BlockQ3_K, d)};
    case DType::kQ6_K:
      return {offsetof(BlockQ6_K, d)};
    case DType::kTQ1_0:
      return {offsetof(BlockTQ1_0, d)};
    case DType::kTQ2_0:
      return {offsetof(BlockTQ2_0, d)};
    default:
      return {0};
  }
}

// How the weights and activations of a problem are filled.
enum class Fill {
  kRandom,
  kIntegers,    // scales one and small integers: every float operation is exact
  kExtremes,    // all bits set, x = +-127 in runs of one sign
  kZeroScales,  // d = dmin = 0
  kDenormals,   // d and dmin are denormal halves, some negative
};

struct Shape {
  int32_t num_weight_rows;
  int32_t num_cols;
  int32_t num_x_rows;
};

// Owns the operands; every buffer is exactly as large as the contract says, so that the address
// sanitizer sees the first byte read beyond one.
class Problem {
 public:
  Problem(Product product, Shape shape, Fill fill, uint32_t seed)
      : dtype_(product.dtype),
        kind_(product.activation()),
        shape_(shape),
        fill_(fill),
        random_(seed) {
    stride_ = row_bytes(dtype_, static_cast<uint64_t>(shape.num_cols)).value();
    // GGUF rows are aligned to their element only: start off the natural alignment of vectors.
    offset_ = dtype_ == DType::kF32 ? 4 : 2;
    weights_.resize(offset_ + stride_ * static_cast<size_t>(shape.num_weight_rows));
    fill_weights();
    fill_x();
  }

  MatmulArgs args() const { return args(0, shape_.num_weight_rows, 0, shape_.num_x_rows); }

  // The part with weight rows [row, row + num_rows) and x rows [x_row, x_row + num_x).
  MatmulArgs args(int32_t row, int32_t num_rows, int32_t x_row, int32_t num_x) const {
    MatmulArgs out;
    out.weights = weights_.data() + offset_ + static_cast<size_t>(row) * stride_;
    out.weight_row_stride = stride_;
    out.num_weight_rows = num_rows;
    out.num_cols = shape_.num_cols;
    out.num_x_rows = num_x;
    const size_t cols = static_cast<size_t>(shape_.num_cols), first = static_cast<size_t>(x_row);
    if (kind_ == ActivationKind::kF32) {
      out.x.f32 = x_f32_.data() + first * cols;
      return out;
    }
    out.x.scales = scales_.data() + first * (cols / group());
    if (kind_ == ActivationKind::kQ16Group32 || kind_ == ActivationKind::kQ14Group32) {
      out.x.q16 = q16_.data() + first * cols;
      return out;
    }
    out.x.q8 = q8_.data() + first * cols;
    out.x.sums32 = sums32_.data() + first * (cols / 32);
    if (kind_ == ActivationKind::kQ8Group256) out.x.sums16 = sums16_.data() + first * (cols / 16);
    return out;
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }

  // Bound of |kernel - reference| / magnitude, u = 2^-24.
  //
  // Quantized types: block b adds t_b = (d_w * d_x) * float(isum), and types with minimums a second
  // term.
  // Each term takes one rounding for d_w * d_x and one for the conversion; the chain of S fused
  // steps rounds the running sum once a step, and a term is in at most S of these sums. Thus
  // |err| <= ((1 + u)^(S + 2) - 1) * sum |t| <= (S + 3) u sum |t|.
  // Float types: 8 lanes; a product is rounded at most once on its own (none when fused), then
  // takes part in at most ceil(n / 8) additions of its lane and 3 of the tree: (ceil(n / 8) + 5) u
  // sum |t|.
  double relative_bound() const {
    constexpr double kUnit = 0x1p-24;
    const double cols = shape_.num_cols;
    switch (kind_) {
      case ActivationKind::kF32:
        return (std::ceil(cols / 8) + 5) * kUnit;
      case ActivationKind::kQ8Group32:
      case ActivationKind::kQ16Group32:
        return (static_cast<double>(half_offsets(dtype_).size() + 1) * cols / kBlock32 + 3) * kUnit;
      case ActivationKind::kQ14Group32:
        return (cols / kBlock32 + 3) * kUnit;
      case ActivationKind::kQ8Group256:
        return (2 * cols / kSuperblock + 3) * kUnit;
    }
    return 0;
  }

 private:
  size_t group() const { return kind_ == ActivationKind::kQ8Group256 ? 256 : 32; }

  int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  uint16_t scale_bits() {
    switch (fill_) {
      case Fill::kRandom:
        return f32_to_f16(static_cast<float>(uniform(-1000, 1000)) * 1e-4f);
      case Fill::kIntegers:
        return f32_to_f16(1.0f);
      case Fill::kExtremes:
        return f32_to_f16(65504.0f);
      case Fill::kZeroScales:
        return 0;
      case Fill::kDenormals:
        return static_cast<uint16_t>(uniform(1, 0x3ff) | (uniform(0, 1) << 15));
    }
    return 0;
  }

  // Exponents whose products with the scales of x are neither subnormal nor infinite.
  int e8m0_scale() {
    switch (fill_) {
      case Fill::kIntegers:
        return 128;  // the table holds doubled values
      case Fill::kExtremes:
        return 230;
      case Fill::kZeroScales:
      case Fill::kDenormals:
        return uniform(13, 40);
      case Fill::kRandom:
        break;
    }
    return uniform(115, 128);
  }

  // A nibble in the upper bits of each of four words.
  void put_iq1_m_scale(size_t block_at, uint16_t bits) {
    for (size_t i = 0; i < 4; ++i) {
      std::byte& byte = weights_[block_at + offsetof(BlockIQ1_M, scales) + 2 * i + 1];
      const auto nibble = static_cast<std::byte>(((bits >> (4 * i)) & 15) << 4);
      byte = (byte & std::byte{0x0f}) | nibble;
    }
  }

  float float_value() {
    switch (fill_) {
      case Fill::kIntegers:
        return static_cast<float>(uniform(-8, 8));
      case Fill::kExtremes:
        return uniform(0, 1) == 0 ? 60000.0f : 1e-4f;
      case Fill::kZeroScales:
        return 0.0f;
      case Fill::kDenormals:
        return static_cast<float>(uniform(-1000, 1000)) * 0x1p-24f;
      case Fill::kRandom:
        break;
    }
    return static_cast<float>(uniform(-100000, 100000)) * 1e-5f;
  }

  void put_u16(size_t offset, uint16_t bits) {
    std::memcpy(weights_.data() + offset, &bits, sizeof(bits));
  }

  void fill_weights() {
    if (!is_quantized(dtype_)) {
      const size_t bytes = dtype_ == DType::kF32 ? 4 : 2;
      for (size_t at = offset_; at < weights_.size(); at += bytes) {
        const float value = float_value();
        if (dtype_ == DType::kF32) {
          std::memcpy(weights_.data() + at, &value, sizeof(value));
        } else {
          put_u16(at, dtype_ == DType::kF16 ? f32_to_f16(value) : f32_to_bf16(value));
        }
      }
      return;
    }
    for (size_t i = offset_; i < weights_.size(); ++i) {
      weights_[i] = static_cast<std::byte>(uniform(0, 255));
    }
    const size_t block_bytes = dtype_info(dtype_).block_bytes;
    for (size_t at = offset_; at < weights_.size(); at += block_bytes) {
      if (fill_ == Fill::kExtremes) {  // one or the other holds a type's largest magnitudes
        std::memset(weights_.data() + at, uniform(0, 1) == 0 ? 0x00 : 0xff, block_bytes);
      }
      for (const size_t offset : half_offsets(dtype_)) put_u16(at + offset, scale_bits());
      if (dtype_ == DType::kMXFP4) weights_[at] = static_cast<std::byte>(e8m0_scale());
      if (dtype_ == DType::kIQ1_M) put_iq1_m_scale(at, scale_bits());
      if (fill_ == Fill::kExtremes && dtype_ == DType::kQ8_0) {  // -128, the largest magnitude
        std::memset(weights_.data() + at + 2, 0x80, 32);
      }
      if (fill_ == Fill::kExtremes && dtype_ == DType::kQ6_K) {  // scale -128, q = 63 or 0
        std::memset(weights_.data() + at + 192, 0x80, 16);
        if (uniform(0, 1) == 0) std::memset(weights_.data() + at, 0, 192);
      }
      if (fill_ == Fill::kIntegers && (dtype_ == DType::kQ4_K || dtype_ == DType::kQ5_K)) {
        for (size_t i = 0; i < 12; ++i) weights_[at + 4 + i] &= std::byte{0x03};  // all below 4
      }
      if (fill_ == Fill::kIntegers && dtype_ == DType::kQ6_K) {
        for (size_t i = 0; i < 16; ++i) weights_[at + 192 + i] &= std::byte{0x03};
      }
    }
  }

  void fill_x() {
    const size_t count =
        static_cast<size_t>(shape_.num_cols) * static_cast<size_t>(shape_.num_x_rows);
    if (kind_ == ActivationKind::kF32) {
      x_f32_.resize(count);
      for (float& value : x_f32_) value = float_value();
      return;
    }
    q8_.resize(count);
    int8_t sign = 1;
    for (size_t i = 0; i < count; ++i) {
      if (i % 64 == 0 && fill_ == Fill::kExtremes) sign = uniform(0, 1) == 0 ? 1 : -1;
      const int limit = fill_ == Fill::kIntegers ? 4 : 127;
      q8_[i] = static_cast<int8_t>(fill_ == Fill::kExtremes ? 127 * sign : uniform(-limit, limit));
    }
    // The upper half of an int16 and random lower bits, so that all 16 bits count.
    q16_.resize(count);
    const int limit = kind_ == ActivationKind::kQ14Group32 ? 8191 : 32767;
    for (size_t i = 0; i < count; ++i) {
      const int low = fill_ == Fill::kIntegers   ? 0
                      : fill_ == Fill::kExtremes ? 255
                                                 : uniform(0, 255);
      const int high = fill_ == Fill::kIntegers ? q8_[i] : q8_[i] * (limit / 127);
      q16_[i] = static_cast<int16_t>(std::clamp(high + (q8_[i] < 0 ? -low : low), -limit, limit));
    }
    scales_.resize(count / group());
    for (float& scale : scales_) {
      scale = fill_ == Fill::kIntegers ? 1.0f : static_cast<float>(uniform(1, 1000)) * 1e-3f;
    }
    sums16_.resize(count / 16);
    sums32_.resize(count / 32);
    for (size_t i = 0; i < count; ++i) {
      sums16_[i / 16] = static_cast<int16_t>(sums16_[i / 16] + q8_[i]);
      sums32_[i / 32] = static_cast<int16_t>(sums32_[i / 32] + q8_[i]);
    }
  }

  DType dtype_;
  ActivationKind kind_;
  Shape shape_;
  Fill fill_;
  std::mt19937 random_;
  size_t stride_ = 0;
  size_t offset_ = 0;
  std::vector<std::byte> weights_;
  std::vector<float> x_f32_;
  std::vector<int8_t> q8_;
  std::vector<int16_t> q16_;
  std::vector<float> scales_;
  std::vector<int16_t> sums16_;
  std::vector<int16_t> sums32_;
};

constexpr float kCanary = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kGuard = 19;          // floats before and after dst, and between its rows
constexpr size_t kScratchGuard = 256;  // bytes
constexpr std::byte kGuardByte{0xa5};

// Runs a function on `args` with guarded dst and scratch; returns dst as [num_x_rows,
// num_weight_rows].
std::vector<float> run(const MatmulKernel& kernel, MatmulFn function, MatmulArgs args) {
  const size_t num_rows = static_cast<size_t>(args.num_weight_rows);
  const size_t num_x = static_cast<size_t>(args.num_x_rows);
  const size_t stride = num_rows + kGuard;
  std::vector<float> dst(kGuard + num_x * stride, kCanary);
  const size_t scratch_bytes = kernel.scratch_bytes(args.num_cols);
  std::vector<std::byte> scratch(scratch_bytes + kScratchGuard + 64, kGuardByte);
  void* aligned = scratch.data();
  size_t space = scratch.size();
  std::align(64, scratch_bytes + kScratchGuard, aligned, space);
  args.scratch = static_cast<std::byte*>(aligned);
  args.dst = dst.data() + kGuard;
  args.dst_stride = stride;
  function(args);

  const std::byte* after = args.scratch + scratch_bytes;
  EXPECT_TRUE(std::all_of(after, after + kScratchGuard, [](std::byte b) {
    return b == kGuardByte;
  })) << "wrote past scratch";
  std::vector<float> out(num_x * num_rows);
  for (size_t i = 0; i < dst.size(); ++i) {
    const bool inside = i >= kGuard && (i - kGuard) % stride < num_rows;
    if (inside) {
      EXPECT_FALSE(std::isnan(dst[i])) << "not written: " << i;
      out[(i - kGuard) / stride * num_rows + (i - kGuard) % stride] = dst[i];
    } else {
      EXPECT_TRUE(std::isnan(dst[i])) << "written outside: " << i;
    }
  }
  return out;
}

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(a[i]), std::bit_cast<uint32_t>(b[i]))
        << "element " << i << ": " << a[i] << " and " << b[i];
  }
}

void expect_near_reference(const Problem& problem, const std::vector<float>& actual) {
  const MatmulArgs args = problem.args();
  double signed_error = 0.0;
  for (int32_t m = 0; m < args.num_x_rows; ++m) {
    for (int32_t r = 0; r < args.num_weight_rows; ++r) {
      const ref::ReferenceDot expected = ref::dot(problem.dtype(), args, r, m);
      const size_t at = static_cast<size_t>(m * args.num_weight_rows + r);
      const double error = static_cast<double>(actual[at]) - expected.value;
      ASSERT_LE(std::fabs(error), problem.relative_bound() * expected.magnitude)
          << "row " << r << ", x row " << m << ": " << actual[at] << ", not " << expected.value;
      if (expected.magnitude > 0) signed_error += error / expected.magnitude;
    }
  }
  // Truncation instead of rounding, or a small missing term, would all fall to one side.
  const double count = static_cast<double>(actual.size());
  if (count >= 64) {
    EXPECT_LE(std::fabs(signed_error / count), 0.25 * problem.relative_bound());
  }
}

std::vector<int32_t> column_counts(Product product) {
  switch (product.activation()) {
    case ActivationKind::kF32:
      return {1, 7, 8, 9, 67, 200};
    case ActivationKind::kQ8Group32:
    case ActivationKind::kQ16Group32:
    case ActivationKind::kQ14Group32:
      return {32, 64, 96, 288, 1056, 2080};
    case ActivationKind::kQ8Group256:
      return {256, 512, 1280, 2304};
  }
  return {};
}

// Weight rows 1 ... 2 * tile + 3 and x rows 1 ... 9 and beyond, without every combination.
std::vector<Shape> shapes(Product product) {
  const std::vector<int32_t> cols = column_counts(product);
  std::vector<Shape> out;
  for (int32_t rows = 1; rows <= 35; ++rows) {
    const int32_t num_x = 1 + (rows * 5) % 9;
    out.push_back({rows, cols[static_cast<size_t>(rows) % cols.size()], num_x});
  }
  for (int32_t num_x : {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 22, 37}) {
    out.push_back({17, cols[static_cast<size_t>(num_x) % cols.size()], num_x});
    out.push_back({24, cols.back(), num_x});
  }
  // More than one of the largest tiles, and whole and partial slices.
  out.push_back({18, cols.back(), 53});
  out.push_back({9, cols.back(), 37});
  out.push_back({48, cols.front(), 33});
  return out;
}

// Instruction sets by index, and the products that each has of its own.
std::vector<std::tuple<size_t, Product>> all_kernels() {
  std::vector<std::tuple<size_t, Product>> out;
  const std::vector<Isa> isas = all_isas();
  for (size_t isa = 0; isa < isas.size(); ++isa) {
    if (!isas[isa].available) continue;
    for (const DType dtype : all_types()) {
      for (const bool is_grouped : {false, true}) {
        const Product product = {dtype, is_grouped};
        const char* name = kernel_of(isa, product).name;
        if (is_grouped && name == nullptr) continue;
        const std::string_view view = name;
        if (view.substr(0, view.find(' ')) == isas[isa].name) out.emplace_back(isa, product);
      }
    }
  }
  return out;
}

class MatmulTest : public ::testing::TestWithParam<std::tuple<size_t, Product>> {
 protected:
  size_t isa() const { return std::get<0>(GetParam()); }
  Product product() const { return std::get<1>(GetParam()); }
  MatmulKernel kernel() const { return kernel_of(isa(), product()); }
};

TEST_P(MatmulTest, EntryIsNamedAndComplete) {
  const MatmulKernel entry = kernel();
  ASSERT_NE(entry.name, nullptr);
  EXPECT_EQ(entry.name, std::string(isa_name(isa())) + " " + product().name());
  EXPECT_EQ(entry.activation, product().activation());
  EXPECT_NE(entry.gemv, nullptr);
  EXPECT_NE(entry.gemm, nullptr);
  EXPECT_GE(entry.gemm_min_x_rows, 1);
  EXPECT_GE(entry.gemm_chunk_rows, entry.gemv_chunk_rows);
}

TEST_P(MatmulTest, StaysWithinTheErrorBoundOfTheFloat64Reference) {
  uint32_t seed = 1;
  for (const Shape& shape : shapes(product())) {
    SCOPED_TRACE(::testing::Message()
                 << shape.num_weight_rows << " x " << shape.num_cols << " x " << shape.num_x_rows);
    const Problem problem(product(), shape, Fill::kRandom, seed++);
    const MatmulKernel entry = kernel();
    const std::vector<float> gemv = run(entry, entry.gemv, problem.args());
    expect_near_reference(problem, gemv);
    expect_same_bits(gemv, run(entry, entry.gemm, problem.args()));
  }
}

TEST_P(MatmulTest, ChunksOfRowsAndOfXGiveTheSameBits) {
  const Problem problem(product(), {43, column_counts(product()).back(), 19}, Fill::kRandom, 7);
  const MatmulKernel entry = kernel();
  const size_t num_rows = 43;
  const std::vector<float> whole = run(entry, entry.gemm, problem.args());
  for (MatmulFn function : {entry.gemv, entry.gemm}) {
    for (const auto& [rows, num_x] : {std::pair{1, 1}, std::pair{8, 3}, std::pair{16, 5},
                                      std::pair{19, 19}, std::pair{43, 1}, std::pair{32, 17}}) {
      for (int32_t row = 0; row < 43; row += rows) {
        for (int32_t x_row = 0; x_row < 19; x_row += num_x) {
          const int32_t count = std::min(rows, 43 - row), x_count = std::min(num_x, 19 - x_row);
          const std::vector<float> part =
              run(entry, function, problem.args(row, count, x_row, x_count));
          std::vector<float> expected;
          for (int32_t m = x_row; m < x_row + x_count; ++m) {
            const float* begin =
                whole.data() + static_cast<size_t>(m) * num_rows + static_cast<size_t>(row);
            expected.insert(expected.end(), begin, begin + count);
          }
          expect_same_bits(expected, part);
        }
      }
    }
  }
}

TEST_P(MatmulTest, IntegersAreExact) {
  for (int32_t num_x : {1, 3, 4, 18, 33}) {
    const Problem problem(product(), {21, column_counts(product()).back(), num_x}, Fill::kIntegers,
                          3);
    const MatmulKernel entry = kernel();
    for (MatmulFn function : {entry.gemv, entry.gemm}) {
      const std::vector<float> actual = run(entry, function, problem.args());
      for (int32_t m = 0; m < num_x; ++m) {
        for (int32_t r = 0; r < 21; ++r) {
          ASSERT_EQ(static_cast<double>(actual[static_cast<size_t>(m * 21 + r)]),
                    ref::dot(product().dtype, problem.args(), r, m).value);
        }
      }
    }
  }
}

// Largest quantized values against x = +-127 (would saturate a careless int16 sum), zero, denormal
// and negative scales.
TEST_P(MatmulTest, ExtremeValues) {
  for (Fill fill : {Fill::kExtremes, Fill::kZeroScales, Fill::kDenormals}) {
    for (int32_t num_x : {1, 2, 3, 4, 18, 33}) {
      const Problem problem(product(), {19, column_counts(product()).back(), num_x}, fill, 11);
      const MatmulKernel entry = kernel();
      const std::vector<float> gemv = run(entry, entry.gemv, problem.args());
      expect_near_reference(problem, gemv);
      expect_same_bits(gemv, run(entry, entry.gemm, problem.args()));
    }
  }
}

// Of the generic instruction set, or of the first that has the product.
MatmulKernel first_kernel_of(Product product) {
  size_t isa = 0;
  while (kernel_of(isa, product).name == nullptr) ++isa;
  return kernel_of(isa, product);
}

TEST_P(MatmulTest, QuantizedBitsAreThoseOfTheGenericKernel) {
  if (product().activation() == ActivationKind::kF32) {
    GTEST_SKIP() << "float types fix their order for each ISA";
  }
  const MatmulKernel generic = first_kernel_of(product()), entry = kernel();
  for (Fill fill : {Fill::kRandom, Fill::kExtremes, Fill::kDenormals}) {
    for (int32_t cols : column_counts(product())) {
      const Problem problem(product(), {37, cols, 18}, fill, 5);
      const std::vector<float> expected = run(generic, generic.gemv, problem.args());
      expect_same_bits(expected, run(entry, entry.gemv, problem.args()));
      expect_same_bits(expected, run(entry, entry.gemm, problem.args()));
    }
  }
}

// The problem's weights in packed slices, as owners of matrices make them.
class PackedWeights {
 public:
  PackedWeights(const MatmulKernel& kernel, const MatmulArgs& args, PackSliceFn pack_slice) {
    const int32_t num_slices = (args.num_weight_rows + kSliceRows - 1) / kSliceRows;
    const size_t slice_bytes = kSliceRows * kernel.layout.row_bytes(args.num_cols);
    const auto bytes = static_cast<size_t>(num_slices) * slice_bytes;
    slices_.resize(bytes + kScratchGuard + 64, kGuardByte);
    void* aligned = slices_.data();
    size_t space = slices_.size();
    data_ = static_cast<std::byte*>(std::align(64, bytes + kScratchGuard, aligned, space));
    for (int32_t i = 0; i < num_slices; ++i) {
      const int32_t row = i * kSliceRows;
      pack_slice(kernel.layout, args.weights + static_cast<size_t>(row) * args.weight_row_stride,
                 args.weight_row_stride, std::min(kSliceRows, args.num_weight_rows - row),
                 args.num_cols / kernel.layout.block_elements,
                 data_ + static_cast<size_t>(i) * slice_bytes);
    }
    EXPECT_TRUE(std::all_of(data_ + bytes, data_ + bytes + kScratchGuard, [](std::byte b) {
      return b == kGuardByte;
    })) << "wrote past the last slice";
    contents_.assign(data_, data_ + bytes);
  }

  const std::byte* slice(int32_t index, size_t row_stride) const {
    return data_ + static_cast<size_t>(index) * kSliceRows * row_stride;
  }
  const std::vector<std::byte>& contents() const { return contents_; }

 private:
  std::vector<std::byte> slices_, contents_;
  std::byte* data_ = nullptr;
};

TEST_P(MatmulTest, PackedSlicesGiveTheSameBits) {
  const MatmulKernel entry = kernel();
  if (entry.packed == nullptr) GTEST_SKIP() << "this type has no packed form here";
  for (Fill fill : {Fill::kRandom, Fill::kExtremes, Fill::kDenormals}) {
    uint32_t seed = 17;
    for (const Shape& shape : shapes(product())) {
      const Problem problem(product(), shape, fill, seed++);
      MatmulArgs args = problem.args();
      const std::vector<float> expected = run(entry, entry.gemv, args);
      const PackedWeights packed(entry, args, entry.pack_slice);
      EXPECT_EQ(packed.contents(), PackedWeights(entry, args, pack_slice_generic).contents());
      args.weight_row_stride = entry.layout.row_bytes(args.num_cols);
      args.weights = packed.slice(0, args.weight_row_stride);
      expect_same_bits(expected, run(entry, entry.packed, args));
    }
  }
}

TEST_P(MatmulTest, SlicesMayBeMultipliedApart) {
  const MatmulKernel entry = kernel();
  if (entry.packed == nullptr) GTEST_SKIP() << "this type has no packed form here";
  const Problem problem(product(), {43, column_counts(product()).back(), 19}, Fill::kRandom, 7);
  const PackedWeights packed(entry, problem.args(), entry.pack_slice);
  for (int32_t x_row : {0, 4}) {
    const int32_t num_x = 19 - x_row;
    for (int32_t row : {16, 32}) {
      MatmulArgs args = problem.args(row, 43 - row, x_row, num_x);
      const std::vector<float> expected = run(entry, entry.gemm, args);
      args.weight_row_stride = entry.layout.row_bytes(args.num_cols);
      args.weights = packed.slice(row / kSliceRows, args.weight_row_stride);
      expect_same_bits(expected, run(entry, entry.packed, args));
    }
  }
}

// A group of the largest weights times the largest activations just fits int32, and a weight that
// is not finite makes its row NaN and no other.
TEST_P(MatmulTest, GroupsHoldTheLargestSumsAndNonFiniteWeights) {
  if (!product().is_grouped) GTEST_SKIP() << "not grouped";
  const bool is_f16 = product().dtype == DType::kF16;
  constexpr int32_t kRows = 18, kCols = 64;
  const float largest = is_f16 ? 65504.0f : 65280.0f;
  std::vector<uint16_t> weights(size_t{kRows} * kCols,
                                is_f16 ? f32_to_f16(largest) : f32_to_bf16(largest));
  std::vector<int16_t> x(size_t{2} * kCols, 8191);
  std::fill(x.begin() + kCols, x.end(), int16_t{-8191});
  const std::vector<float> scales(4, 1.0f);
  const float infinity = std::numeric_limits<float>::infinity();
  weights[17 * kCols + 40] = is_f16 ? f32_to_f16(-infinity) : f32_to_bf16(-infinity);
  weights[3 * kCols] = 0x7fff;  // NaN
  MatmulArgs args;
  args.weights = reinterpret_cast<const std::byte*>(weights.data());
  args.weight_row_stride = 2 * kCols;
  args.num_weight_rows = kRows;
  args.num_cols = kCols;
  args.x = {.q16 = x.data(), .scales = scales.data()};
  args.num_x_rows = 2;
  const MatmulKernel entry = kernel();
  std::vector<float> dst(2 * kRows);
  args.dst = dst.data();
  args.dst_stride = kRows;
  std::vector<std::byte> scratch(entry.scratch_bytes(kCols) + 64);
  void* aligned = scratch.data();
  size_t space = scratch.size();
  args.scratch =
      static_cast<std::byte*>(std::align(64, entry.scratch_bytes(kCols), aligned, space));
  entry.gemm(args);
  const float expected = largest * 8191.0f * 64.0f;
  for (size_t r = 0; r < kRows; ++r) {
    if (r == 3 || r == 17) {
      EXPECT_TRUE(std::isnan(dst[r]) && std::isnan(dst[kRows + r])) << r;
    } else {
      EXPECT_NEAR(dst[r], expected, 4e-7f * expected) << r;
      EXPECT_EQ(dst[kRows + r], -dst[r]);
    }
  }
}

std::string param_name(const ::testing::TestParamInfo<std::tuple<size_t, Product>>& info) {
  std::string name =
      std::string(isa_name(std::get<0>(info.param))) + "_" + std::get<1>(info.param).name();
  std::ranges::replace(name, ' ', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(AllKernels, MatmulTest, ::testing::ValuesIn(all_kernels()), param_name);

TEST(MatmulCoverage, EveryInstructionSetOfTheMachineIsTested) {
  const std::vector<Isa> isas = all_isas();
  const std::vector<std::tuple<size_t, Product>> kernels = all_kernels();
  for (size_t isa = 0; isa < isas.size(); ++isa) {
    const auto tested = std::ranges::count(
        kernels, isa,
        [](const std::tuple<size_t, Product>& kernel) { return std::get<0>(kernel); });
    if (!isas[isa].available) {
      EXPECT_EQ(tested, 0);
      continue;
    }
    const bool has_all_types = isas[isa].name == "generic" || isas[isa].name == "avx2";
    EXPECT_GE(tested, static_cast<std::ptrdiff_t>(has_all_types ? kNumDTypes : 1))
        << isas[isa].name;
  }
}

// The reference and the codec were written apart; they must define the same weights.
TEST(MatmulReference, WeightsAgreeWithTheCodec) {
  for (DType dtype : all_types()) {
    const Problem problem({dtype}, {3, 512, 1}, Fill::kRandom, 13);
    const MatmulArgs args = problem.args();
    std::vector<float> decoded(512);
    for (size_t r = 0; r < 3; ++r) {
      const std::byte* row = args.weights + r * args.weight_row_stride;
      decode_row(dtype, row, decoded.size(), decoded.data());
      for (size_t k = 0; k < decoded.size(); ++k) {
        const double expected = ref::weight_value(dtype, row, k);
        // Two roundings of parts that are at most 0.1 * 128 * 63 in magnitude.
        ASSERT_NEAR(static_cast<double>(decoded[k]), expected, 1e-4)
            << dtype_info(dtype).name << " element " << k;
      }
    }
  }
}

}  // namespace
}  // namespace ruvllm::kernels
