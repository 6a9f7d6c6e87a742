#include "ops/lora.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/memory/arena.h"
#include "base/numeric/half.h"
#include "device/cpu_device.h"

namespace ruvllm::ops {
namespace {

constexpr int32_t kIn = 40, kMaxRows = 80;
constexpr int32_t kOut[2] = {300, 24};
constexpr LoraTarget kTargets[2] = {LoraTarget::kQ, LoraTarget::kK};

std::vector<float> random_values(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Two parts for q and one for k in layer 1, nothing in layer 0.
class Set {
 public:
  explicit Set(uint32_t seed) {
    add(5, 0.5f, kOut[0], seed);
    add(3, -1.0f, kOut[0], seed + 2);
    add(7, 2.0f, kOut[1], seed + 4);
    begins_.assign(2 * kNumLoraTargets + 1, 3);
    std::fill_n(begins_.begin(), kNumLoraTargets + 1, 0);
    begins_[kNumLoraTargets + 1] = 2;
    for (size_t i = 0; i < parts_.size(); ++i) {
      parts_[i].a = a_[i].data();
      parts_[i].b = b_[i].data();
    }
    view_ = {parts_.data(), begins_.data()};
  }
  Set(const Set&) = delete;
  Set& operator=(const Set&) = delete;

  const LoraView& view() const { return view_; }

 private:
  void add(int32_t rank, float scale, int32_t out_dim, uint32_t seed) {
    constexpr int32_t kSlice = kernels::kLowRankSlice;
    std::vector<uint16_t>& a = a_.emplace_back();
    for (const float value : random_values(static_cast<size_t>(rank * kIn), seed)) {
      a.push_back(f32_to_f16(value));
    }
    std::vector<uint16_t>& b = b_.emplace_back(lora_b_elements(out_dim, rank));
    const std::vector<float> values = random_values(static_cast<size_t>(rank * out_dim), seed + 1);
    for (int32_t row = 0; row < out_dim; ++row) {
      for (int32_t r = 0; r < rank; ++r) {
        b[static_cast<size_t>((row / kSlice * rank + r) * kSlice + row % kSlice)] =
            f32_to_f16(values[static_cast<size_t>(row * rank + r)]);
      }
    }
    parts_.push_back({nullptr, nullptr, rank, scale});
  }

  std::vector<std::vector<uint16_t>> a_, b_;
  std::vector<LoraPart> parts_;
  std::vector<uint32_t> begins_;
  LoraView view_;
};

// The products themselves, [kOut[i], kIn] of float.
struct Products {
  explicit Products(const device::CpuDevice& device) {
    for (size_t i = 0; i < 2; ++i) {
      weights[i] =
          random_values(static_cast<size_t>(kOut[i] * kIn), 100 + static_cast<uint32_t>(i));
      const MatrixView view{reinterpret_cast<const std::byte*>(weights[i].data()), DType::kF32,
                            static_cast<uint32_t>(kOut[i]), kIn, kIn * sizeof(float)};
      plans[i] = plan_linear(device, view, nullptr, "test").value();
    }
  }

  std::vector<float> weights[2];
  LinearPlan plans[2];
};

struct Result {
  std::vector<float> dst[2];   // with what the adapters add
  std::vector<float> base[2];  // without
};

Result run(const std::vector<SpanView>& spans, int32_t num_rows, const std::vector<float>& x,
           uint32_t num_threads) {
  auto device = device::CpuDevice::create(num_threads, "").value();
  const Products products(*device);
  Arena arena;
  LoraScratch scratch;
  scratch.plan(arena, num_rows, num_threads);
  ActivationBuffer input;
  input.plan(arena, num_rows, kIn, kind_bit(kernels::ActivationKind::kF32));
  const size_t thread_bytes =
      std::max<size_t>({products.plans[0].scratch_bytes(), products.plans[1].scratch_bytes(), 64});
  const auto thread_scratch = arena.add<std::byte>(thread_bytes * num_threads);
  EXPECT_TRUE(arena.commit(HugePages::kNo, "test").has_value());
  scratch.bind(arena);
  input.bind(arena);
  std::copy_n(x.begin(), num_rows * kIn, input.row(0, kIn));
  BatchView batch;
  batch.num_rows = num_rows;
  batch.num_spans = static_cast<int32_t>(spans.size());
  batch.spans = spans.data();
  Result result;
  std::vector<LinearCall> calls, base_calls;
  for (size_t i = 0; i < 2; ++i) {
    for (std::vector<float>* dst : {&result.dst[i], &result.base[i]}) {
      dst->assign(static_cast<size_t>(num_rows * kOut[i]), NAN);
    }
    calls.push_back({&products.plans[i], result.dst[i].data()});
    base_calls.push_back({&products.plans[i], result.base[i].data()});
  }
  scratch.prepare(batch, nullptr);
  const LoraPass pass = {device->kernels(), batch, scratch};
  const LoraGroup group = {1, kTargets, kIn};
  device->team().run([&](ThreadTeam::Worker& worker) {
    std::byte* own = arena.at(thread_scratch) + worker.index() * thread_bytes;
    project_lora(worker, pass, group, input.row(0, kIn));
    worker.barrier();
    run_linear_with_lora(worker, pass, group, calls, input, group, own);
    worker.barrier();
    run_linear(worker, base_calls, input, num_rows, own);
  });
  return result;
}

TEST(Lora, AddsEachSequencesOwnSet) {
  constexpr int32_t kSlice = kernels::kLowRankSlice;
  const Set first(1), second(20);
  const std::vector<float> x = random_values(kIn * kMaxRows, 3);
  const std::vector<SpanView> spans = {{0, 70, 0, nullptr, &first.view()},
                                       {70, 1, 0, nullptr, nullptr},
                                       {71, 9, 0, nullptr, &second.view()}};
  const Result one_thread = run(spans, kMaxRows, x, 1);
  for (int32_t row = 0; row < kMaxRows; ++row) {
    const LoraView* set = row < 70 ? &first.view() : row > 70 ? &second.view() : nullptr;
    for (size_t call = 0; call < 2; ++call) {
      for (int32_t r = 0; r < kOut[call]; ++r) {
        const size_t place = static_cast<size_t>(row * kOut[call] + r);
        double expected = one_thread.base[call][place], size = std::abs(expected);
        for (const LoraPart& part :
             set ? set->at(1, kTargets[call]) : std::span<const LoraPart>()) {
          for (int32_t j = 0; j < part.rank; ++j) {
            double inner = 0.0, inner_size = 0.0;
            for (int32_t i = 0; i < kIn; ++i) {
              const double product = static_cast<double>(f16_to_f32(part.a[j * kIn + i])) *
                                     x[static_cast<size_t>(row * kIn + i)];
              inner += product;
              inner_size += std::abs(product);
            }
            const double factor =
                static_cast<double>(part.scale) *
                f16_to_f32(part.b[(r / kSlice * part.rank + j) * kSlice + r % kSlice]);
            expected += factor * inner;
            size += std::abs(factor) * inner_size;
          }
        }
        // kIn + rank + 3 roundings of float on terms that add up to `size`.
        EXPECT_NEAR(one_thread.dst[call][place], expected, size * 60 * 0x1p-24);
      }
    }
  }
}

// A sequence's rows have the same bits alone, in a batch, in chunks and on any number of threads.
TEST(Lora, BitsDependOnTheRowAlone) {
  const Set set(1), other(20);
  const std::vector<float> x = random_values(kIn * kMaxRows, 3);
  const Result whole = run({{0, kMaxRows, 0, nullptr, &set.view()}}, kMaxRows, x, 2);
  const Result parts = run({{0, 1, 0, nullptr, &set.view()},
                            {1, 45, 0, nullptr, &set.view()},
                            {46, 4, 0, nullptr, &other.view()},
                            {50, 30, 0, nullptr, &set.view()}},
                           kMaxRows, x, 3);
  for (size_t call = 0; call < 2; ++call) {
    for (int32_t row = 0; row < kMaxRows; ++row) {
      if (row >= 46 && row < 50) continue;
      for (int32_t r = 0; r < kOut[call]; ++r) {
        const size_t i = static_cast<size_t>(row * kOut[call] + r);
        ASSERT_EQ(whole.dst[call][i], parts.dst[call][i]) << "row " << row;
      }
    }
  }
}

TEST(Lora, LayersAndTargetsWithoutPartsStayAsTheyAre) {
  const Set set(1);
  const BatchView none;
  EXPECT_FALSE(has_lora(none));
  EXPECT_TRUE(set.view().at(0, LoraTarget::kQ).empty());
  EXPECT_TRUE(set.view().at(1, LoraTarget::kDown).empty());
}

}  // namespace
}  // namespace ruvllm::ops
