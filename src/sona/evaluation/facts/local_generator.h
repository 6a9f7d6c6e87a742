// Draws text from a model without an engine: for evaluations, and for the deep loop's
// self-generated replay.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "adapters/adapter.h"
#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "model/model.h"
#include "model/workspace.h"

namespace ruvllm::sona {

struct GenerationOptions {
  int32_t max_tokens = 24;
  double temperature = 0.0;               // 0: the likeliest token, the first of equals
  uint64_t seed = 1;                      // of draws
  std::span<const int32_t> end_ids = {};  // tokens that end the text; they are not part of it
};

// Model and device outlive it. Not thread-safe.
class LocalGenerator {
 public:
  static Result<std::unique_ptr<LocalGenerator>> create(const model::Model& model,
                                                        device::CpuDevice& device,
                                                        int32_t max_context);

  // Used from now on, as sequences use it; null: the model alone.
  void use(std::shared_ptr<const adapters::AdapterSet> set) { set_ = std::move(set); }
  // What follows the prompt. kInvalidArgument for a prompt that is empty, too long or holds ids
  // outside the vocabulary.
  Result<std::vector<int32_t>> generate(std::span<const int32_t> prompt,
                                        const GenerationOptions& options);
  // Mean -log p of a text's tokens but the first, in windows of max_context.
  Result<double> mean_nll(std::span<const int32_t> text);

 private:
  LocalGenerator(const model::Model& model, device::CpuDevice& device, int32_t max_context)
      : model_(model), device_(device), max_context_(max_context) {}

  Status allocate();
  Status check(std::span<const int32_t> tokens) const;
  // One step over `tokens` from first_position on; logits of all rows or of the last.
  void step(std::span<const int32_t> tokens, int32_t first_position, bool all_logits);
  std::span<const float> logits(size_t row) const;

  const model::Model& model_;
  device::CpuDevice& device_;
  int32_t max_context_;
  std::shared_ptr<const adapters::AdapterSet> set_;
  std::unique_ptr<model::Workspace> workspace_;
  std::optional<cache::KvCache> cache_;
  std::vector<uint32_t> block_table_;
  std::vector<int32_t> positions_, row_spans_, logit_rows_;
};

}  // namespace ruvllm::sona
