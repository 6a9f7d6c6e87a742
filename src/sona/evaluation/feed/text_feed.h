// A model run over a text, a few positions at a time: what is served there and what learners see.
//
// Windows without overlap, each from an empty cache; every token but the first of a window is
// predicted, as `ruvllm perplexity` scores. So what is learned of earlier windows is beyond what
// attention sees.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "model/model.h"
#include "model/workspace.h"

namespace ruvllm::sona {

struct FeedOptions {
  int32_t window = 512;
  cache::PageShape page_shape;  // of the model
};

// Some positions of one window. Vectors keep their memory from chunk to chunk.
struct FeedChunk {
  static constexpr int32_t kMaxPositions = 32;
  static constexpr int32_t kMostProbable = 32;

  int32_t num_positions = 0;
  int32_t hidden_dim = 0;
  int32_t vocab_size = 0;
  int32_t num_top = 0;              // kMostProbable, or the whole vocabulary if it is smaller
  std::vector<float> hidden;        // [positions, hidden]: final states after the last norm
  std::vector<float> logits;        // [positions, vocab]
  std::vector<double> log_sum_exp;  // [positions]
  std::vector<int32_t> targets;     // [positions]: the tokens that follow
  std::vector<int32_t> top;         // [positions, num_top]: the most probable tokens, ascending

  std::span<const float> hidden_of(int32_t position) const {
    return std::span(hidden).subspan(static_cast<size_t>(position) * width(), width());
  }
  std::span<const float> logits_of(int32_t position) const {
    const size_t vocab = static_cast<size_t>(vocab_size);
    return std::span(logits).subspan(static_cast<size_t>(position) * vocab, vocab);
  }
  std::span<const int32_t> top_of(int32_t position) const {
    const size_t count = static_cast<size_t>(num_top);
    return std::span(top).subspan(static_cast<size_t>(position) * count, count);
  }
  // log p_0 of a token.
  double log_probability(int32_t position, int32_t token) const {
    return static_cast<double>(logits_of(position)[static_cast<size_t>(token)]) -
           log_sum_exp[static_cast<size_t>(position)];
  }

 private:
  size_t width() const { return static_cast<size_t>(hidden_dim); }
};

// Sets log_sum_exp and top from logits.
void summarize_logits(FeedChunk& chunk);

// Not thread-safe; runs on the device's team. Keeps references to model and device.
class TextFeed {
 public:
  static Result<std::unique_ptr<TextFeed>> create(const model::Model& model,
                                                  device::CpuDevice& device,
                                                  const FeedOptions& options);

  // The text that next() walks; it outlives the walk. Its tokens are in the vocabulary.
  void begin(std::span<const int32_t> tokens);
  // false at the end of the text. Fails where logits are not finite.
  Result<bool> next(FeedChunk& chunk);

  const model::Model& model() const { return model_; }

 private:
  TextFeed(const model::Model& model, device::CpuDevice& device, const FeedOptions& options)
      : model_(model), device_(device), options_(options) {}
  void run_window();

  const model::Model& model_;
  device::CpuDevice& device_;
  FeedOptions options_;
  std::unique_ptr<model::Workspace> workspace_;
  std::unique_ptr<cache::KvCache> cache_;
  std::vector<uint32_t> block_table_;  // of one window; its pages are filled anew for each
  std::vector<int32_t> positions_, row_spans_;
  std::span<const int32_t> tokens_;
  size_t window_begin_ = 0;
  size_t window_size_ = 0;
  size_t next_row_ = 0;  // of the window
};

}  // namespace ruvllm::sona
