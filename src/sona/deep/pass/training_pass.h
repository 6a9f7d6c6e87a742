// Forward and backward through a frozen model with LoRA in float32 on all its linear layers.
//
// The base's products are the model's own plans, quantized weights and activations as they are
// served; what the backward pass needs is saved in float32, and norms, gated activations and
// attention probabilities are computed again (layer_saves.h). Rounding of activations counts as the
// identity in gradients. Results are bit-equal for any number of threads.
//
// Memory, beside the model: per token and layer 4 * (2 hidden + 2 q_dim + 2 kv_dim + 2 ffn) bytes
// (and again q_dim + kv_dim with norms of q and k), one layer's gradients, the logits of
// head_rows() rows (twice with KL terms), and tiles of decoded weights (transposed_product.h).
// bytes() is the exact sum; pages are committed on first touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "base/memory/arena.h"
#include "base/numeric/random_stream.h"
#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "model/model.h"
#include "model/workspace.h"
#include "ops/attention.h"
#include "sona/deep/gradients/attention_gradient.h"
#include "sona/deep/gradients/lora_product.h"
#include "sona/deep/gradients/transposed_product.h"
#include "sona/deep/pass/example.h"
#include "sona/deep/pass/layer_saves.h"
#include "sona/deep/pass/lora_parameters.h"

namespace ruvllm::sona {

enum class AttentionForm : uint8_t {
  kServed,  // the engine's kernels over keys and values in binary16: the loss has perplexity's bits
  kFloat,   // float32 throughout: gradients are those of the very function, for tests
};

struct TrainingPassOptions {
  int32_t max_tokens = 512;  // of an example
  int32_t max_rank = 8;      // of the parameters
  AttentionForm attention = AttentionForm::kServed;
  // Called before each layer of each half, by the thread that calls the pass; may wait.
  std::function<void()> before_layer = {};
};

// Model and device must outlive it. Not thread-safe; while it runs, the device's team is its own.
class TrainingPass {
 public:
  // kUnsupported as check_trainable() says; kInvalidArgument for limits beyond the model's.
  static Result<std::unique_ptr<TrainingPass>> create(const model::Model& model,
                                                      device::CpuDevice& device,
                                                      const TrainingPassOptions& options);

  // kInvalidArgument for an example that does not fit: lengths, ids, weights.
  Status check(const TrainingExample& example) const;
  // The loss alone. A loss that is not finite is an error. `parameters` must be of this model's
  // shape and at most max_rank; null: the model alone.
  Result<ExampleLoss> loss(const TrainingExample& example, const LoraParameters* parameters);
  // Adds factor * d loss / d parameters to gradients, [parameters.count()].
  Result<ExampleLoss> add_gradients(const TrainingExample& example,
                                    const LoraParameters& parameters, float factor,
                                    float* gradients);
  // The same of targets that are drawn from the model's own distribution, each on its own given the
  // example's tokens before it, and with the square root of the example's weight: the squares of
  // such gradients have the Fisher information's diagonal as their mean (lora_consolidation.h). The
  // loss is that of the drawn targets.
  Result<ExampleLoss> add_sampled_gradients(const TrainingExample& example,
                                            const LoraParameters& parameters, uint64_t seed,
                                            float* gradients);

  // -log p of each scored token of the last example, in order; 0 where token_weights is 0.
  std::span<const double> token_nll() const { return {row_nll_.data(), target_rows_.size()}; }
  int32_t head_rows() const { return head_rows_; }
  uint64_t bytes() const;

 private:
  TrainingPass(const model::Model& model, device::CpuDevice& device,
               const TrainingPassOptions& options);

  Status allocate();
  void plan_saves();
  void bind_saves();
  void fill_rope();
  void find_targets(const TrainingExample& example);
  void before_layer() const noexcept {
    if (options_.before_layer) options_.before_layer();
  }
  Result<ExampleLoss> run(const TrainingExample& example, const LoraParameters* parameters,
                          float factor, float* gradients);

  // forward.cc
  void forward(const TrainingExample& example, const LoraParameters* parameters) noexcept;
  void embed(const TrainingExample& example) noexcept;
  void forward_attention(int32_t layer_idx, const LoraParameters* parameters) noexcept;
  void attend(int32_t layer_idx) noexcept;
  void turn_queries_and_keys(int32_t layer_idx) noexcept;
  void forward_feed_forward(int32_t layer_idx, const LoraParameters* parameters) noexcept;
  void norm_rows(const float* rows, const std::vector<float>& weight,
                 ops::ActivationKinds kinds) noexcept;
  void run_products(std::span<const ops::LinearCall> calls,
                    const ops::ActivationBuffer& input) noexcept;
  void add_lora(int32_t layer_idx, ops::LoraTarget target, const LoraParameters* parameters,
                const float* x, float* y) noexcept;
  void add_to_stream(const float* stream, float* next) noexcept;

  // head_loss.cc
  void head(const TrainingExample& example, float factor, bool wants_gradient) noexcept;
  void head_chunk(const TrainingExample& example, size_t first, size_t count, float factor,
                  bool wants_gradient) noexcept;
  void head_row(const TrainingExample& example, size_t first, size_t i, float factor,
                bool wants_gradient) noexcept;
  int32_t draw_token(const float* logits, float max, double log_sum, int32_t row) const noexcept;
  void save_teacher_states() noexcept;
  void run_output(size_t count) noexcept;

  // backward.cc
  void backward(const LoraParameters& parameters, float* gradients) noexcept;
  void backward_feed_forward(int32_t layer_idx, const LoraParameters& parameters,
                             float* gradients) noexcept;
  void backward_attention(int32_t layer_idx, const LoraParameters& parameters,
                          float* gradients) noexcept;
  void turn_gradients_back(int32_t layer_idx) noexcept;
  void unnorm_heads(const std::vector<float>& weight, const float* raw, int32_t num_heads,
                    float* gradients, float* scratch) noexcept;
  // dx += what product `target` makes of dy, and its factors' gradients; dx null: only those.
  void backward_product(int32_t layer_idx, ops::LoraTarget target, const float* x, const float* dy,
                        const LoraParameters& parameters, float* gradients, float* dx) noexcept;
  void renorm_rows(const float* rows, const std::vector<float>& weight) noexcept;
  void add_norm_gradient(const float* rows, const std::vector<float>& weight) noexcept;

  const model::ModelConfig& config() const { return model_.config(); }
  const model::LayerWeights& weights(int32_t layer_idx) const {
    return model_.weights().layers[static_cast<size_t>(layer_idx)];
  }
  const LayerSaves& saves(int32_t layer_idx) const {
    return saves_[static_cast<size_t>(layer_idx)];
  }
  ops::AttentionShape attention_shape(int32_t layer_idx) const;

  const model::Model& model_;
  device::CpuDevice& device_;
  TrainingPassOptions options_;
  int32_t max_rows_ = 0;                       // an example's last token is only a target
  int32_t head_rows_ = 0;                      // whose logits are there at once
  int32_t num_rows_ = 0;                       // of the example at hand
  std::optional<RandomStream> drawn_targets_;  // while they are drawn
  std::unique_ptr<model::Workspace> workspace_;
  std::optional<cache::KvCache> cache_;  // of one layer, used by all in turn
  std::vector<uint32_t> block_table_;
  std::vector<int32_t> positions_, row_spans_, target_rows_;
  std::vector<double> row_nll_, row_kl_;  // [target_rows_]
  Arena arena_;
  std::vector<Arena::Slot<float>> slots_;
  std::vector<LayerSaves> saves_;
  PassBuffers buffers_;
  TransposedProduct transposed_;
  AttentionGradient attention_;
  LoraProduct lora_;
};

}  // namespace ruvllm::sona
