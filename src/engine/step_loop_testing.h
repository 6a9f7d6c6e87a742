// What the tests of the step loop share: a golden model with a loop, prompts and answers.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "adapters/test_adapters.h"
#include "device/cpu_device.h"
#include "engine/step_loop.h"
#include "formats/gguf/gguf.h"
#include "model/model.h"

namespace ruvllm::engine {

inline std::unique_ptr<const model::Model> load(const std::string& path,
                                                device::CpuDevice& device) {
  auto file = formats::GgufFile::open(path);
  EXPECT_TRUE(file.has_value()) << file.error().message();
  auto model = model::Model::load(std::move(*file), device);
  EXPECT_TRUE(model.has_value()) << model.error().message();
  return std::move(*model);
}

// Tokens that differ from those of another salt; every golden model has 250 of them at least.
inline std::vector<int32_t> make_prompt(size_t length, int32_t salt) {
  std::vector<int32_t> prompt(length);
  for (size_t i = 0; i < length; ++i) {
    prompt[i] = static_cast<int32_t>((i * 37 + static_cast<size_t>(salt) * 101) % 250);
  }
  return prompt;
}

// Random adapters of all products; none for a model with experts.
inline std::shared_ptr<const adapters::AdapterSet> adapters_of(const model::Model& model,
                                                               uint32_t seed) {
  const model::ModelConfig& config = model.config();
  if (config.experts) return nullptr;
  const adapters::BaseShape base{.architecture = config.architecture,
                                 .num_layers = config.num_layers,
                                 .hidden_dim = config.hidden_dim,
                                 .ffn_dim = config.ffn_dim,
                                 .num_heads = config.num_heads,
                                 .num_kv_heads = config.num_kv_heads,
                                 .head_dim = config.head_dim};
  return *adapters::AdapterSet::create({{adapters::full_adapter("a", base, 4, seed), 0.1f}});
}

// A model with its own device and loop.
struct Served {
  std::unique_ptr<device::CpuDevice> device;
  std::unique_ptr<const model::Model> model;
  std::unique_ptr<StepLoop> loop;

  std::shared_ptr<SequenceChannel> submit(SequenceRequest request) const {
    auto channel = loop->submit(std::move(request));
    EXPECT_TRUE(channel.has_value()) << channel.error().message();
    return *channel;
  }
};

inline Served serve(const std::string& path, StepLoopOptions options, const std::string& isa = "",
                    bool drafts_by_itself = false, uint32_t num_threads = 1) {
  Served served;
  served.device = std::move(*device::CpuDevice::create(num_threads, isa));
  served.model = load(path, *served.device);
  if (drafts_by_itself) options.speculation.draft_model = served.model.get();
  auto loop = StepLoop::create(*served.model, *served.device, options);
  EXPECT_TRUE(loop.has_value()) << loop.error().message();
  served.loop = std::move(*loop);
  return served;
}

struct Answer {
  std::vector<int32_t> ids;
  // Of each token and of those next to it: a difference in any logit shows.
  std::vector<uint32_t> logprob_bits;
  events::EndReason end = events::EndReason::kNone;
  uint32_t cached_prompt_tokens = 0;

  // What was found in the cache depends on who ran before, the rest does not.
  bool operator==(const Answer& other) const {
    return ids == other.ids && logprob_bits == other.logprob_bits && end == other.end;
  }
};

inline Answer read_all(SequenceChannel& channel) {
  Answer answer;
  for (;;) {
    events::TokenEvent event;
    channel.ring.pop_wait(event);
    if (event.end != events::EndReason::kNone) {
      answer.end = event.end;
      answer.cached_prompt_tokens = channel.result.cached_prompt_tokens;
      return answer;
    }
    answer.ids.push_back(event.id);
    answer.logprob_bits.push_back(std::bit_cast<uint32_t>(event.logprob));
    for (uint8_t i = 0; i < event.num_top; ++i) {
      answer.logprob_bits.push_back(static_cast<uint32_t>(event.top[i].id));
      answer.logprob_bits.push_back(std::bit_cast<uint32_t>(event.top[i].logprob));
    }
  }
}

}  // namespace ruvllm::engine
