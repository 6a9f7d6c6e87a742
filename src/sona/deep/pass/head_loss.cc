// Cross-entropy and divergence from the model alone at the chosen rows, a few rows' logits at a
// time, and the gradient of both with respect to the last layer's output.
//
// With logits z, p = softmax(z), target y, base p': d/dz of
//   w * -log p_y             is w (p - e_y),
//   kl * KL(p' || p)         is kl (p - p').
#include <algorithm>
#include <array>
#include <cmath>

#include "ops/linear.h"
#include "sona/deep/gradients/parallel.h"
#include "sona/deep/gradients/row_gradients.h"
#include "sona/deep/pass/training_pass.h"

namespace ruvllm::sona {
namespace {

// Max and log of the sum beside it, as the engine's sampler has them.
struct LogSum {
  float max;
  double log_sum;

  double log_probability(float logit) const { return static_cast<double>(logit) - max - log_sum; }
  float probability(float logit) const {
    return std::exp(static_cast<float>(log_probability(logit)));
  }
};

LogSum log_sum_of(const kernels::ElementwiseKernels& elementwise, const float* logits, int32_t n) {
  const float max = elementwise.row_max(logits, n);
  return {max, std::log(elementwise.sum_exp(logits, n, max))};
}

}  // namespace

void TrainingPass::save_teacher_states() noexcept {
  const int32_t hidden = config().hidden_dim;
  for_pieces(device_.team(), static_cast<int64_t>(target_rows_.size()), 16,
             [&](int64_t begin, int64_t end, uint32_t) {
               for (int64_t i = begin; i < end; ++i) {
                 const int64_t row = target_rows_[static_cast<size_t>(i)];
                 device_.kernels().elementwise.rms_norm(
                     buffers_.output + row * hidden, model_.weights().output_norm.data(),
                     config().norm_epsilon, hidden, buffers_.teacher_states + i * hidden);
               }
             });
}

// workspace.logits of the rows in workspace.logits_in.
void TrainingPass::run_output(size_t count) noexcept {
  const ops::LinearPlan& output = model_.weights().output;
  const auto rows = static_cast<int32_t>(count);
  const int32_t hidden = config().hidden_dim;
  for_pieces(device_.team(), rows, 16, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t i = begin; i < end; ++i) {
      workspace_->logits_in.store_row(device_.kernels().elementwise, static_cast<int32_t>(i),
                                      hidden, output.activation_kind());
    }
  });
  const std::array<ops::LinearCall, 1> calls = {{{&output, workspace_->logits}}};
  device_.team().run([&](ThreadTeam::Worker& worker) {
    ops::run_linear(worker, calls, workspace_->logits_in, rows,
                    workspace_->thread_scratch(worker.index()));
  });
}

// By inverting the distribution function; a function of the seed and the row.
int32_t TrainingPass::draw_token(const float* logits, float max, double log_sum,
                                 int32_t row) const noexcept {
  const LogSum own = {max, log_sum};
  double left = drawn_targets_->uniform(static_cast<uint64_t>(row));
  int32_t last = 0;
  for (int32_t token = 0; token < config().vocab_size; ++token) {
    const double probability = own.probability(logits[token]);
    if (probability <= 0.0) continue;
    last = token;
    left -= probability;
    if (left < 0.0) break;
  }
  return last;  // rounding may leave a little: then the last one that can be drawn
}

// Losses of target `first + i`, whose logits are row i; they become their own gradient.
void TrainingPass::head_row(const TrainingExample& example, size_t first, size_t i, float factor,
                            bool wants_gradient) noexcept {
  const int32_t vocab = config().vocab_size;
  const kernels::ElementwiseKernels& elementwise = device_.kernels().elementwise;
  float* logits = workspace_->logits + i * static_cast<size_t>(vocab);
  const float* teacher = buffers_.teacher_logits + i * static_cast<size_t>(vocab);
  const size_t token = static_cast<size_t>(target_rows_[first + i]) + 1;
  const float weight = example.token_weights[token], kl = example.kl_weight(token);
  const LogSum own = log_sum_of(elementwise, logits, vocab);
  const int32_t target = drawn_targets_
                             ? draw_token(logits, own.max, own.log_sum, target_rows_[first + i])
                             : example.tokens[token];
  if (weight != 0.0f) row_nll_[first + i] = -own.log_probability(logits[target]);
  LogSum base = {};
  if (kl != 0.0f) {
    base = log_sum_of(elementwise, teacher, vocab);
    double divergence = 0.0;
    for (int32_t j = 0; j < vocab; ++j) {
      const double log_base = base.log_probability(teacher[j]);
      divergence += std::exp(log_base) * (log_base - own.log_probability(logits[j]));
    }
    row_kl_[first + i] = divergence;
  }
  if (!wants_gradient) return;
  for (int32_t j = 0; j < vocab; ++j) {
    float gradient = (weight + kl) * own.probability(logits[j]);
    if (kl != 0.0f) gradient -= kl * base.probability(teacher[j]);
    if (j == target) gradient -= weight;
    logits[j] = factor * gradient;
  }
}

void TrainingPass::head_chunk(const TrainingExample& example, size_t first, size_t count,
                              float factor, bool wants_gradient) noexcept {
  const int32_t hidden = config().hidden_dim;
  const auto states = static_cast<int64_t>(count);
  ThreadTeam& team = device_.team();
  if (example.has_kl()) {
    std::copy_n(buffers_.teacher_states + first * static_cast<size_t>(hidden), states * hidden,
                workspace_->logits_in.row(0, hidden));
    run_output(count);
    std::copy_n(workspace_->logits, states * config().vocab_size, buffers_.teacher_logits);
  }
  const std::vector<float>& norm = model_.weights().output_norm;
  const auto stream_row = [&](int64_t i) {
    return int64_t{target_rows_[first + static_cast<size_t>(i)]} * hidden;
  };
  for_pieces(team, states, 16, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t i = begin; i < end; ++i) {
      device_.kernels().elementwise.rms_norm(
          buffers_.output + stream_row(i), norm.data(), config().norm_epsilon, hidden,
          workspace_->logits_in.row(static_cast<int32_t>(i), hidden));
    }
  });
  run_output(count);
  for_pieces(team, states, 1, [&](int64_t i, int64_t, uint32_t) {
    head_row(example, first, static_cast<size_t>(i), factor, wants_gradient);
  });
  if (!wants_gradient) return;
  std::fill_n(buffers_.d_states, states * hidden, 0.0f);
  transposed_.add(team, model_.weights().output.weight, workspace_->logits,
                  static_cast<int32_t>(count), buffers_.d_states);
  for_pieces(team, states, 16, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t i = begin; i < end; ++i) {
      add_rms_norm_gradient(buffers_.output + stream_row(i), norm.data(), config().norm_epsilon,
                            hidden, buffers_.d_states + i * hidden,
                            buffers_.d_stream + stream_row(i));
    }
  });
}

void TrainingPass::head(const TrainingExample& example, float factor,
                        bool wants_gradient) noexcept {
  std::fill_n(buffers_.d_stream, int64_t{num_rows_} * config().hidden_dim, 0.0f);
  const auto chunk = static_cast<size_t>(head_rows_);
  for (size_t first = 0; first < target_rows_.size(); first += chunk) {
    head_chunk(example, first, std::min(chunk, target_rows_.size() - first), factor,
               wants_gradient);
  }
}

}  // namespace ruvllm::sona
