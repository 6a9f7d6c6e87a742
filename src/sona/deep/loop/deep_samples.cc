#include "sona/deep/loop/deep_samples.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/numeric/random_stream.h"

namespace ruvllm::sona {
namespace {

struct SplitShares {
  double validation;
  double test;
};

// Indexes of samples with the same tokens, in an order drawn from the seed.
std::vector<std::vector<size_t>> shuffled_groups(const std::vector<DeepSample>& samples,
                                                 uint64_t seed) {
  std::map<std::vector<int32_t>, std::vector<size_t>> by_tokens;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].quality != 0.0) by_tokens[samples[i].tokens].push_back(i);
  }
  std::vector<std::vector<size_t>> groups;
  for (auto& [tokens, indexes] : by_tokens) groups.push_back(std::move(indexes));
  std::ranges::sort(groups);  // by first index: their order is the caller's
  const RandomStream random(seed);
  for (size_t i = groups.size(); i > 1; --i) {
    const auto j = static_cast<size_t>(random.uniform(i) * static_cast<double>(i));
    std::swap(groups[i - 1], groups[std::min(j, i - 1)]);
  }
  return groups;
}

void split_set(const std::vector<DeepSample>& samples, const SplitShares& shares, uint64_t seed,
               std::vector<DeepSample> DeepSamples::* set, SampleSplit& split) {
  const auto groups = shuffled_groups(samples, seed);
  size_t total = 0;
  for (const auto& group : groups) total += group.size();
  const auto count = static_cast<double>(total);
  const auto wanted = [&](double share) { return static_cast<size_t>(std::lround(share * count)); };
  size_t for_validation = std::min(wanted(shares.validation), total / 2);
  size_t for_test = std::min(wanted(shares.test), total / 2 - for_validation);
  for (const auto& group : groups) {
    std::vector<DeepSample>* target = &(split.training.*set);
    for (const auto& [left, part] :
         {std::pair{&for_validation, &split.validation}, {&for_test, &split.test}}) {
      if (group.size() > *left) continue;
      *left -= group.size();
      target = &(part->*set);
      break;
    }
    for (const size_t i : group) target->push_back(samples[i]);
  }
}

Status check(const DeepSample& sample) {
  if (sample.tokens.size() != sample.token_weights.size() || sample.tokens.size() < 2) {
    return fail(ErrorCode::kInvalidArgument,
                "a sample of {} tokens has {} weights; it must have 2 tokens or more and a weight "
                "each",
                sample.tokens.size(), sample.token_weights.size());
  }
  if (!(sample.quality >= 0.0 && sample.quality <= 1.0)) {
    return fail(ErrorCode::kInvalidArgument, "a sample has the quality {}; it must be 0 to 1",
                sample.quality);
  }
  for (size_t i = 0; i < sample.tokens.size(); ++i) {
    const float weight = sample.token_weights[i];
    if (std::isfinite(weight) && weight >= 0.0f && (i > 0 || weight == 0.0f)) continue;
    return fail(ErrorCode::kInvalidArgument,
                "token {} of a sample has the weight {}; it must be finite and not negative, and "
                "that of the first token 0",
                i, weight);
  }
  return {};
}

}  // namespace

DeepSample correction_sample(std::span<const int32_t> prompt, std::span<const int32_t> answer,
                             double quality) {
  DeepSample sample;
  sample.tokens.assign(prompt.begin(), prompt.end());
  sample.tokens.insert(sample.tokens.end(), answer.begin(), answer.end());
  sample.token_weights.assign(sample.tokens.size(), 1.0f);
  const size_t unscored = std::max<size_t>(prompt.size(), sample.tokens.empty() ? 0 : 1);
  std::fill_n(sample.token_weights.begin(), unscored, 0.0f);
  sample.quality = quality;
  return sample;
}

DeepSample text_sample(std::vector<int32_t> tokens, double quality) {
  DeepSample sample;
  sample.token_weights.assign(tokens.size(), 1.0f);
  if (!tokens.empty()) sample.token_weights[0] = 0.0f;
  sample.tokens = std::move(tokens);
  sample.quality = quality;
  return sample;
}

SampleSplit split_samples(const DeepSamples& samples, double validation_share, double test_share,
                          uint64_t seed) {
  SampleSplit split;
  const SplitShares shares = {validation_share, test_share};
  const RandomStream seeds(seed);
  uint64_t set_idx = 0;
  for (std::vector<DeepSample> DeepSamples::* set :
       {&DeepSamples::taught, &DeepSamples::contrast, &DeepSamples::replay,
        &DeepSamples::self_generated}) {
    split_set(samples.*set, shares, seeds.bits(set_idx++), set, split);
  }
  return split;
}

Result<std::vector<TrainingExample>> examples_of(std::span<const DeepSample> samples,
                                                 ExampleTerm term, int32_t max_tokens) {
  if (max_tokens < 2) {
    return fail(ErrorCode::kInvalidArgument, "windows of {} tokens; they must have 2 or more",
                max_tokens);
  }
  const auto window = static_cast<size_t>(max_tokens);
  std::vector<TrainingExample> examples;
  for (const DeepSample& sample : samples) {
    RUVLLM_TRY(check(sample));
    for (size_t end = sample.tokens.size(); end >= 2;) {
      const size_t begin = end > window ? end - window : 0;
      TrainingExample example;
      example.tokens.assign(sample.tokens.begin() + static_cast<ptrdiff_t>(begin),
                            sample.tokens.begin() + static_cast<ptrdiff_t>(end));
      std::vector<float> weights(example.tokens.size());
      double total = 0.0;
      for (size_t i = 1; i < weights.size(); ++i) {
        weights[i] = sample.token_weights[begin + i] * static_cast<float>(sample.quality);
        total += static_cast<double>(weights[i]);
      }
      if (term == ExampleTerm::kDivergence) {
        example.token_weights.assign(weights.size(), 0.0f);
        example.kl_weights = std::move(weights);
      } else {
        example.token_weights = std::move(weights);
      }
      if (total > 0.0) examples.push_back(std::move(example));
      end = begin;
    }
  }
  return examples;
}

}  // namespace ruvllm::sona
