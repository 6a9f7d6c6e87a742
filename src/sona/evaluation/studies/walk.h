// Walks several texts in step, each with its own arms: logits are computed once for all arms, and
// an arm may read what another text's arm has learned.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "device/cpu_device.h"
#include "sona/evaluation/arms/arm.h"
#include "sona/evaluation/feed/text_feed.h"

namespace ruvllm::sona {

struct Lane {
  std::unique_ptr<TextFeed> feed;
  std::vector<std::unique_ptr<Arm>> arms;
  std::vector<std::vector<double>> log_ratios;  // [arms][positions walked]
  std::vector<double> base_losses;              // [positions walked]
  FeedChunk chunk;                              // the current one; no positions: the text has ended

  // Another text; arms of its own follow.
  void start(std::span<const int32_t> tokens);
};

// One chunk of every lane: predict, then learn. false when all texts have ended. Arms run on the
// device's threads.
Result<bool> walk_chunk(device::CpuDevice& device, std::span<Lane> lanes);
// To the end of all texts.
Status walk(device::CpuDevice& device, std::span<Lane> lanes);

// Tokens of a text that give so many predictions in windows of `window`.
size_t tokens_for(size_t num_predictions, int32_t window);

}  // namespace ruvllm::sona
