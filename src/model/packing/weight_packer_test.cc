#include "model/packing/weight_packer.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "model/model.h"

namespace ruvllm::model {
namespace {

class WeightPackerTest : public testing::Test {
 protected:
  std::unique_ptr<const Model> load(const ModelOptions& options) {
    auto file =
        formats::GgufFile::open(RUVLLM_SOURCE_DIR "/tests/golden/llama-k256-q4_k_m.gguf").value();
    return Model::load(std::move(file), *device_, options).value();
  }

  // What packing all matrices takes on this machine; 0: it has no packed forms.
  static uint64_t packable_bytes(const Model& model) {
    uint64_t total = 0;
    const auto add = [&](const ops::LinearPlan& plan) {
      if (plan.kernel->packed != nullptr) total += plan.weight.num_rows * plan.packed_row_stride();
    };
    for (const LayerWeights& layer : model.weights().layers) {
      layer.for_each_product([&](const ops::LinearPlan& plan, double) { add(plan); });
    }
    add(model.weights().output);
    return total;
  }

  // Outlives the models, which use its kernels.
  const std::unique_ptr<device::CpuDevice> device_ = device::CpuDevice::create(1, "").value();
};

TEST_F(WeightPackerTest, PacksWhatHasAPackedForm) {
  const auto model = load({.weight_form = WeightForm::kPacked});
  EXPECT_EQ(model->packed_bytes(), packable_bytes(*model));
  for (const LayerWeights& layer : model->weights().layers) {
    layer.for_each_product([&](const ops::LinearPlan& plan, double) {
      EXPECT_EQ(plan.packed_slices() != nullptr, plan.kernel->packed != nullptr);
    });
  }
}

TEST_F(WeightPackerTest, LeavesTheFileAloneUnlessAsked) {
  const auto model = load({});
  EXPECT_EQ(model->packed_bytes(), 0u);
  EXPECT_EQ(model->weights().output.packed_slices(), nullptr);
}

TEST_F(WeightPackerTest, KeepsToItsRoom) {
  const uint64_t all = packable_bytes(*load({}));
  const auto model = load({.weight_form = WeightForm::kPacked, .max_packed_bytes = all / 2});
  EXPECT_LE(model->packed_bytes(), all / 2);
  if (all > 0) {
    EXPECT_GT(model->packed_bytes(), 0u);
  }
}

TEST_F(WeightPackerTest, TheThreadPacksTheSame) {
  const auto model = load({.weight_form = WeightForm::kBackground});
  while (model->packed_bytes() < packable_bytes(*model)) std::this_thread::yield();
  const auto at_once = load({.weight_form = WeightForm::kPacked});
  const ops::LinearPlan& a = model->weights().output;
  const ops::LinearPlan& b = at_once->weights().output;
  if (a.packed_slices() == nullptr) GTEST_SKIP() << "no packed form here";
  const size_t bytes =
      a.weight.num_rows / kernels::kSliceRows * kernels::kSliceRows * a.packed_row_stride();
  EXPECT_TRUE(std::equal(a.packed_slices(), a.packed_slices() + bytes, b.packed_slices()));
}

TEST_F(WeightPackerTest, StopsWhenTheModelGoes) {
  for (int i = 0; i < 20; ++i) load({.weight_form = WeightForm::kBackground});
}

}  // namespace
}  // namespace ruvllm::model
