// What the deep loop learns from, as its caller collects it, and how it is split.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "sona/deep/pass/example.h"

namespace ruvllm::sona {

struct DeepSample {
  std::vector<int32_t> tokens = {};       // at least 2
  std::vector<float> token_weights = {};  // [tokens], not negative; the first is 0
  double quality = 1.0;                   // 0 to 1, scales the weights; 0: the sample is left out
};

// A prompt and the answer that should have come: only the answer counts.
DeepSample correction_sample(std::span<const int32_t> prompt, std::span<const int32_t> answer,
                             double quality = 1.0);
// A text of which every token counts.
DeepSample text_sample(std::vector<int32_t> tokens, double quality = 1.0);

struct DeepSamples {
  std::vector<DeepSample> taught = {};  // what is new
  // Neighbours of what is taught that must not change with it: questions about what was never
  // taught, with the model's own answers or "I do not know".
  std::vector<DeepSample> contrast = {};
  std::vector<DeepSample> replay = {};  // taught before
  // Texts drawn from the model itself; a KL term holds them to its own answers.
  std::vector<DeepSample> self_generated = {};
};

struct SampleSplit {
  DeepSamples training = {};
  DeepSamples validation = {};  // decides when training ends, and which parameters are kept
  DeepSamples test = {};        // decides nothing: what is measured on it is not flattered
};

// By sample, never by token; samples of the same tokens stay together. A set gives
// round(share * size) samples to validation and to test, and at least as many as it gives to both
// to training. Samples of quality 0 are left out. A function of its arguments.
SampleSplit split_samples(const DeepSamples& samples, double validation_share, double test_share,
                          uint64_t seed);

enum class ExampleTerm : uint8_t { kLikelihood, kDivergence };

// Windows of at most max_tokens, cut from the sample's end backwards, so that an answer keeps what
// stands right before it; windows in which no token counts are left out. kInvalidArgument for
// weights or a quality that cannot be used.
Result<std::vector<TrainingExample>> examples_of(std::span<const DeepSample> samples,
                                                 ExampleTerm term, int32_t max_tokens);

}  // namespace ruvllm::sona
