#include "sona/evaluation/studies/study.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace ruvllm::sona {

Result<std::shared_ptr<const adapters::HeadFeatures>> measure_features(
    const model::Model& model, device::CpuDevice& device, const FeedOptions& feed_options,
    std::span<const Domain> domains) {
  RUVLLM_ASSIGN(const auto feed, TextFeed::create(model, device, feed_options));
  std::vector<double> sums(static_cast<size_t>(model.config().hidden_dim));
  int64_t count = 0;
  FeedChunk chunk;
  for (const Domain& domain : domains) {
    const size_t length = std::min(static_cast<size_t>(feed_options.window), domain.tokens.size());
    feed->begin(std::span(domain.tokens).first(length));
    while (true) {
      RUVLLM_ASSIGN(const bool has_chunk, feed->next(chunk));
      if (!has_chunk) break;
      count += chunk.num_positions;
      for (size_t i = 0; i < chunk.hidden.size(); ++i) {
        sums[i % sums.size()] += static_cast<double>(chunk.hidden[i]);
      }
    }
  }
  if (count == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "the texts have no two tokens in a window; give longer ones");
  }
  std::vector<float> mean;
  for (const double sum : sums)
    mean.push_back(static_cast<float>(sum / static_cast<double>(count)));
  return std::make_shared<const adapters::HeadFeatures>(std::move(mean));
}

}  // namespace ruvllm::sona
