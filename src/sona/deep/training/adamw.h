// AdamW (https://arxiv.org/abs/1711.05101) over one array of parameters, with clipping by the
// gradient's norm and a rate that warms up linearly and falls along a half cosine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::sona {

struct AdamWConfig {
  float peak_rate = 1e-3f;
  float final_rate = 0.0f;   // at the last step
  int32_t warmup_steps = 5;  // step s of them has rate peak * (s + 1) / warmup_steps
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 0.0f;  // low-rank factors have none by default
  float clip_norm = 1.0f;     // gradients are scaled down to this 2-norm; 0: they are not
};

// The rate of a step, counted from 0, of num_steps.
float learning_rate(const AdamWConfig& config, int32_t step, int32_t num_steps);

// Owns the moments. Deterministic; not thread-safe.
class AdamW {
 public:
  AdamW(const AdamWConfig& config, size_t num_parameters);

  // One step with the given rate. Returns the norm of the gradients before clipping; if it is not
  // finite, nothing changes.
  double step(std::span<const float> gradients, float rate, std::span<float> parameters);
  // What the last step multiplied each parameter's gradient by, moments aside: its step size.
  std::span<const float> step_sizes() const { return step_sizes_; }

 private:
  AdamWConfig config_;
  int64_t num_steps_ = 0;
  std::vector<float> first_moments_, second_moments_, step_sizes_;
};

}  // namespace ruvllm::sona
