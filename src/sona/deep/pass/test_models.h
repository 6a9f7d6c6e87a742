// Golden models (tests/golden) and examples over them, for tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "model/model.h"
#include "sona/deep/pass/example.h"
#include "sona/deep/pass/lora_parameters.h"

namespace ruvllm::sona {

struct TestModel {
  std::unique_ptr<device::CpuDevice> device;
  std::unique_ptr<const model::Model> model;
};

inline TestModel open_test_model(const std::string& path, uint32_t num_threads = 1) {
  TestModel out;
  auto device = device::CpuDevice::create(num_threads, "");
  EXPECT_TRUE(device.has_value());
  out.device = std::move(*device);
  auto file = formats::GgufFile::open(path);
  EXPECT_TRUE(file.has_value()) << file.error().message();
  auto model = model::Model::load(std::move(*file), *out.device);
  EXPECT_TRUE(model.has_value()) << model.error().message();
  out.model = std::move(*model);
  return out;
}

// Random tokens; every third counts for nothing, the others differently.
inline TrainingExample random_example(const model::ModelConfig& config, size_t num_tokens,
                                      uint64_t seed) {
  const RandomStream random(seed);
  TrainingExample example;
  for (size_t i = 0; i < num_tokens; ++i) {
    example.tokens.push_back(static_cast<int32_t>(random.uniform(i) * config.vocab_size));
    const bool counts = i > 0 && i % 3 != 0;
    example.token_weights.push_back(
        counts ? static_cast<float>(0.5 + random.uniform(num_tokens + i)) : 0.0f);
  }
  return example;
}

// As after training: B is not zero, either.
inline void fill_randomly(LoraParameters& parameters, uint64_t seed, double magnitude) {
  const RandomStream random(seed);
  for (size_t i = 0; i < parameters.count(); ++i) {
    parameters.values()[i] = static_cast<float>((2.0 * random.uniform(i) - 1.0) * magnitude);
  }
}

}  // namespace ruvllm::sona
