// What the tests of the step loop share: a golden model with a loop, requests and answers.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "device/cpu_device.h"
#include "engine/step_loop.h"
#include "formats/gguf/gguf.h"
#include "model/model.h"

namespace ruvllm::engine {

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
                    bool drafts_by_itself = false) {
  Served served;
  served.device = std::move(*device::CpuDevice::create(1, isa));
  auto file = formats::GgufFile::open(path);
  EXPECT_TRUE(file.has_value()) << file.error().message();
  auto model = model::Model::load(std::move(*file), *served.device);
  EXPECT_TRUE(model.has_value()) << model.error().message();
  served.model = std::move(*model);
  if (drafts_by_itself) options.speculation.draft_model = served.model.get();
  auto loop = StepLoop::create(*served.model, *served.device, options);
  EXPECT_TRUE(loop.has_value()) << loop.error().message();
  served.loop = std::move(*loop);
  return served;
}

struct Answer {
  std::vector<int32_t> ids;
  std::vector<uint32_t> logprob_bits;  // a difference in any logit shows
  events::EndReason end = events::EndReason::kNone;
  bool operator==(const Answer&) const = default;
};

inline Answer read_all(SequenceChannel& channel) {
  Answer answer;
  for (;;) {
    events::TokenEvent event;
    channel.ring.pop_wait(event);
    if (event.end != events::EndReason::kNone) {
      answer.end = event.end;
      return answer;
    }
    answer.ids.push_back(event.id);
    answer.logprob_bits.push_back(std::bit_cast<uint32_t>(event.logprob));
  }
}

}  // namespace ruvllm::engine
