#include "sona/evaluation/studies/walk.h"

#include <cstddef>
#include <utility>

namespace ruvllm::sona {
namespace {

// Every (lane, arm), spread over the threads.
template <typename Body>
void for_each_arm(device::CpuDevice& device, std::span<Lane> lanes, Body&& body) {
  std::vector<std::pair<Lane*, size_t>> work;
  for (Lane& lane : lanes) {
    if (lane.chunk.num_positions == 0) continue;
    for (size_t arm = 0; arm < lane.arms.size(); ++arm) work.emplace_back(&lane, arm);
  }
  device.team().run([&](ThreadTeam::Worker& worker) {
    worker.for_chunks(static_cast<int64_t>(work.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto& [lane, arm] = work[static_cast<size_t>(i)];
        body(*lane, arm);
      }
    });
  });
}

}  // namespace

void Lane::start(std::span<const int32_t> tokens) {
  feed->begin(tokens);
  arms.clear();
  log_ratios.clear();
  base_losses.clear();
}

Result<bool> walk_chunk(device::CpuDevice& device, std::span<Lane> lanes) {
  bool has_more = false;
  for (Lane& lane : lanes) {
    RUVLLM_ASSIGN(const bool has_chunk, lane.feed->next(lane.chunk));
    if (!has_chunk) {
      lane.chunk.num_positions = 0;
      continue;
    }
    has_more = true;
    for (int32_t position = 0; position < lane.chunk.num_positions; ++position) {
      const int32_t target = lane.chunk.targets[static_cast<size_t>(position)];
      lane.base_losses.push_back(-lane.chunk.log_probability(position, target));
    }
    lane.log_ratios.resize(lane.arms.size());
    for (auto& values : lane.log_ratios) values.resize(lane.base_losses.size());
  }
  for_each_arm(device, lanes, [](Lane& lane, size_t arm) {
    const size_t count = static_cast<size_t>(lane.chunk.num_positions);
    lane.arms[arm]->predict(lane.chunk, std::span(lane.log_ratios[arm]).last(count));
  });
  for_each_arm(device, lanes, [](Lane& lane, size_t arm) { lane.arms[arm]->learn(lane.chunk); });
  return has_more;
}

Status walk(device::CpuDevice& device, std::span<Lane> lanes) {
  while (true) {
    RUVLLM_ASSIGN(const bool has_more, walk_chunk(device, lanes));
    if (!has_more) return {};
  }
}

size_t tokens_for(size_t num_predictions, int32_t window) {
  const size_t predicted = static_cast<size_t>(window - 1);
  return num_predictions + (num_predictions + predicted - 1) / predicted;
}

}  // namespace ruvllm::sona
