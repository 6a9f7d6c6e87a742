#include "engine/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/numeric/random_stream.h"

namespace ruvllm::engine {
namespace {

// The bounds as floats, which the values are: the float nearest to 0.01 is below 0.01.
Status check_range(const char* field, double value, double min, double max) {
  const double low = static_cast<float>(min), high = static_cast<float>(max);
  if (std::isfinite(value) && value >= low && value <= high) return {};
  return fail(ErrorCode::kInvalidArgument, "{} is {}; expected {} to {}", field, value, min, max);
}

}  // namespace

Status check_sampling(const SamplingParams& params, int32_t vocab_size) {
  constexpr double kMaxInt = std::numeric_limits<int32_t>::max();
  RUVLLM_TRY(check_range("temperature", params.temperature, 0.0, 100.0));
  RUVLLM_TRY(check_range("top_k", params.top_k, 0.0, kMaxInt));
  RUVLLM_TRY(check_range("top_p", params.top_p, 0.0, 1.0));
  RUVLLM_TRY(check_range("min_p", params.min_p, 0.0, 1.0));
  RUVLLM_TRY(check_range("repetition_penalty", params.repetition_penalty, 0.01, 100.0));
  RUVLLM_TRY(check_range("frequency_penalty", params.frequency_penalty, -100.0, 100.0));
  RUVLLM_TRY(check_range("presence_penalty", params.presence_penalty, -100.0, 100.0));
  RUVLLM_TRY(check_range("penalty_last_n", params.penalty_last_n, -1.0, kMaxInt));
  RUVLLM_TRY(check_range("num_logprobs", params.num_logprobs, -1.0, events::kMaxTopLogprobs));
  for (const auto& [id, bias] : params.logit_bias) {
    RUVLLM_TRY(check_range("logit_bias", bias, -1000.0, 1000.0));
    if (id < 0 || id >= vocab_size) {
      return fail(ErrorCode::kInvalidArgument,
                  "logit_bias: token {} is not in the vocabulary of {}", id, vocab_size);
    }
  }
  return {};
}

Sampler::Sampler(const kernels::ElementwiseKernels& kernels, int32_t vocab_size)
    : kernels_(kernels),
      vocab_size_(vocab_size),
      candidates_(static_cast<size_t>(vocab_size)),
      counts_(static_cast<size_t>(vocab_size), 0),
      unpenalized_(static_cast<size_t>(vocab_size)) {}

bool Sampler::all_finite(const float* logits) const {
  constexpr uint32_t kExponent = 0x7f800000u;
  uint32_t bad = 0;
  for (int32_t i = 0; i < vocab_size_; ++i) {
    bad |= (std::bit_cast<uint32_t>(logits[i]) & kExponent) == kExponent ? 1u : 0u;
  }
  return bad == 0;
}

int32_t Sampler::arg_max(const float* logits) const {
  const float max = kernels_.row_max(logits, vocab_size_);
  return static_cast<int32_t>(std::find(logits, logits + vocab_size_, max) - logits);
}

double Sampler::log_sum_exp(const float* logits) const {
  if (!all_finite(logits)) return std::numeric_limits<double>::quiet_NaN();
  const float max = kernels_.row_max(logits, vocab_size_);
  return max + std::log(kernels_.sum_exp(logits, vocab_size_, max));
}

size_t Sampler::top_tokens(const float* logits, std::span<int32_t> ids) {
  const size_t count = std::min(ids.size(), static_cast<size_t>(vocab_size_));
  if (count == 0) return 0;
  select_top(logits, static_cast<int32_t>(count));
  for (size_t i = 0; i < count; ++i) ids[i] = candidates_[i].id;
  return count;
}

void Sampler::select_top(const float* logits, int32_t count) {
  // A heap of the best so far, its worst in front; most blocks have nothing better.
  constexpr int32_t kBlock = 256;
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const auto begin = candidates_.begin(), end = begin + count;
  for (int32_t i = 0; i < count; ++i) begin[i] = {logits[i], i};
  std::make_heap(begin, end, better);
  for (int32_t first = count; first < vocab_size_; first += kBlock) {
    const int32_t last = std::min(first + kBlock, vocab_size_);
    if (kernels_.row_max(logits + first, last - first) <= begin->logit) continue;
    for (int32_t i = first; i < last; ++i) {
      if (logits[i] <= begin->logit) continue;  // an equal logit has a higher id: not better
      std::pop_heap(begin, end, better);
      end[-1] = {logits[i], i};
      std::push_heap(begin, end, better);
    }
  }
  std::sort_heap(begin, end, better);
}

void Sampler::record_logprobs(int32_t num_logprobs, const float* logits,
                              events::TokenEvent& event) {
  const double log_sum = log_sum_exp(logits);
  event.logprob = static_cast<float>(logits[event.id] - log_sum);
  const int32_t count = std::min(num_logprobs, vocab_size_);
  if (count > 0) select_top(logits, count);
  event.num_top = static_cast<uint8_t>(count);
  for (int32_t i = 0; i < count; ++i) {
    const Candidate& candidate = candidates_[static_cast<size_t>(i)];
    event.top[i] = {candidate.id, static_cast<float>(candidate.logit - log_sum)};
  }
}

void Sampler::apply_penalties(const SamplingParams& params, std::span<const int32_t> history,
                              float* logits) {
  const bool active = params.repetition_penalty != 1.0f || params.frequency_penalty != 0.0f ||
                      params.presence_penalty != 0.0f;
  if (!active || params.penalty_last_n == 0) return;
  if (params.penalty_last_n > 0) {
    const size_t last_n = std::min(history.size(), static_cast<size_t>(params.penalty_last_n));
    history = history.last(last_n);
  }
  for (const int32_t id : history) ++counts_[static_cast<size_t>(id)];
  for (const int32_t id : history) {
    int32_t& count = counts_[static_cast<size_t>(id)];
    if (count == 0) continue;  // handled at its first occurrence
    float& logit = logits[id];
    logit = logit > 0.0f ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    logit -= static_cast<float>(count) * params.frequency_penalty + params.presence_penalty;
    count = 0;
  }
}

// candidates_[0, n) = what top-k, top-p and min-p leave, likeliest first; returns n.
size_t Sampler::truncate(const SamplingParams& params, const float* logits) {
  const int32_t limit = params.top_k == 0 ? vocab_size_ : std::min(params.top_k, vocab_size_);
  // Without top-k few tokens usually reach top_p: widen only as far as the mass demands.
  constexpr int32_t kFirstWidth = 256;
  int32_t width = std::min(limit, std::max(kFirstWidth, params.top_k));
  const float max = kernels_.row_max(logits, vocab_size_);
  double total = 0.0;
  if (params.top_k == 0) total = kernels_.sum_exp(logits, vocab_size_, max);
  for (;;) {
    select_top(logits, width);
    if (params.top_k != 0) {
      for (int32_t i = 0; i < width; ++i) {
        total += std::exp(static_cast<double>(candidates_[static_cast<size_t>(i)].logit) - max);
      }
    }
    const double min_weight = params.min_p;  // relative to the likeliest, whose weight is 1
    double mass = 0.0;
    for (int32_t i = 0; i < width; ++i) {
      const double weight =
          std::exp(static_cast<double>(candidates_[static_cast<size_t>(i)].logit) - max);
      if (i > 0 && (mass >= static_cast<double>(params.top_p) * total || weight < min_weight)) {
        return static_cast<size_t>(i);
      }
      mass += weight;
    }
    if (width == limit) return static_cast<size_t>(limit);
    width = static_cast<int32_t>(std::min<int64_t>(limit, static_cast<int64_t>(width) * 8));
  }
}

int32_t Sampler::draw_token(const SamplingParams& params, double uniform, size_t count) const {
  const double max = candidates_[0].logit;
  const double inverse = 1.0 / static_cast<double>(params.temperature);
  double total = 0.0;
  for (size_t i = 0; i < count; ++i) total += std::exp((candidates_[i].logit - max) * inverse);
  double remaining = uniform * total;
  for (size_t i = 0; i + 1 < count; ++i) {
    remaining -= std::exp((candidates_[i].logit - max) * inverse);
    if (remaining < 0.0) return candidates_[i].id;
  }
  return candidates_[count - 1].id;
}

int32_t Sampler::choose(const SamplingParams& params, uint64_t seed, uint64_t draw,
                        std::span<const int32_t> history, float* logits) {
  for (const auto& [id, bias] : params.logit_bias) logits[id] += bias;
  apply_penalties(params, history, logits);
  if (params.temperature == 0.0f) return arg_max(logits);
  const size_t count = truncate(params, logits);
  return draw_token(params, RandomStream(seed).uniform(draw), count);
}

bool Sampler::draw(const SamplingParams& params, uint64_t seed, uint64_t draw,
                   std::span<const int32_t> history, float* logits, int32_t& id) {
  if (!all_finite(logits)) return false;
  id = choose(params, seed, draw, history, logits);
  return true;
}

bool Sampler::sample(const SamplingParams& params, uint64_t seed, uint64_t draw,
                     std::span<const int32_t> history, float* logits, events::TokenEvent& event) {
  if (!all_finite(logits)) return false;
  const bool wants_logprobs = params.num_logprobs >= 0;
  if (wants_logprobs) std::copy_n(logits, vocab_size_, unpenalized_.begin());
  event.id = choose(params, seed, draw, history, logits);
  if (wants_logprobs) record_logprobs(params.num_logprobs, unpenalized_.data(), event);
  return true;
}

}  // namespace ruvllm::engine
