#include "adapters/head/evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"
#include "device/cpu_device.h"
#include "tensor/codec.h"

namespace ruvllm::adapters {
namespace {

constexpr int32_t kHidden = 40;  // not in whole blocks
constexpr int32_t kVocab = 500;

class Numbers {
 public:
  explicit Numbers(uint64_t seed) : random_(seed) {}
  double uniform() { return random_.uniform(count_++); }
  int32_t below(int32_t limit) { return static_cast<int32_t>(uniform() * limit); }
  std::vector<float> row(size_t size, double scale) {
    std::vector<float> row(size);
    for (float& x : row) x = static_cast<float>(scale * (2 * uniform() - 1));
    return row;
  }

 private:
  RandomStream random_;
  uint64_t count_ = 0;
};

double log_sum_exp(std::span<const float> logits) {
  const double max = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float z : logits) sum += std::exp(static_cast<double>(z) - max);
  return max + std::log(sum);
}

class HeadEvaluatorTest : public testing::Test {
 protected:
  HeadEvaluatorTest() : kernels_(*device::choose_kernels("")), numbers_(3) {
    adapter_.features = std::make_shared<HeadFeatures>(numbers_.row(kHidden, 0.3));
    adapter_.prior = {0.5, 0.5};
    hidden_ = numbers_.row(kHidden, 1);
    logits_ = numbers_.row(kVocab, 6);
  }

  void add_rows(std::vector<int32_t> tokens, size_t num_heads) {
    std::ranges::sort(tokens);
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    adapter_.row_tokens = tokens;
    const size_t padded = static_cast<size_t>(adapter_.features->padded_dim());
    for (size_t h = 0; h < num_heads; ++h) {
      FastHeadRows& head = adapter_.fast_heads.emplace_back();
      head.rows.resize(tokens.size() * padded / kBlock32);
      for (size_t r = 0; r < tokens.size(); ++r) {
        encode_row_q8(numbers_.row(padded, 1), head.rows.data() + r * padded / kBlock32);
      }
      head.biases = numbers_.row(tokens.size(), 3);
    }
  }

  // States near the query, so that some matter, for tokens that have rows and others.
  void add_states(int32_t count) {
    const int32_t padded = adapter_.features->padded_dim();
    std::vector<float> unit(static_cast<size_t>(padded));
    std::vector<float> hidden(kHidden);
    std::shared_ptr<MemoryChunk> chunk;
    for (int32_t s = 0; s < count; ++s) {
      if (s % MemoryChunk::kCapacity == 0) {
        chunk = std::make_shared<MemoryChunk>(padded / kBlock32);
        adapter_.memory.chunks.push_back(chunk);
        adapter_.memory.num_in_last_chunk = 0;
      }
      const std::vector<float> noise = numbers_.row(kHidden, 4 * numbers_.uniform());
      for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = hidden_[i] + noise[i];
      adapter_.features->unit(hidden, unit);
      const int32_t place = adapter_.memory.num_in_last_chunk++;
      encode_row_q8(unit, chunk->rows.get() + static_cast<ptrdiff_t>(place) * (padded / kBlock32));
      chunk->targets[static_cast<size_t>(place)] = numbers_.below(kVocab);
    }
    adapter_.memory_experts = {{20, 0.95f}, {8, 0.5f}};
  }

  std::vector<double> base() const {
    std::vector<double> p(kVocab);
    const double lse = log_sum_exp(logits_);
    for (size_t i = 0; i < p.size(); ++i) p[i] = std::exp(static_cast<double>(logits_[i]) - lse);
    return p;
  }

  double dot(const BlockQ8_0* row, std::span<const float> unit) const {
    std::vector<float> decoded(unit.size());
    decode_row(DType::kQ8_0, row, unit.size(), decoded.data());
    double sum = 0;
    for (size_t i = 0; i < unit.size(); ++i) {
      sum += static_cast<double>(decoded[i]) * static_cast<double>(unit[i]);
    }
    return sum;
  }

  // Every expert over the whole vocabulary by its definition, in double.
  std::vector<std::vector<double>> reference() const {
    const size_t padded = static_cast<size_t>(adapter_.features->padded_dim());
    std::vector<float> unit(padded);
    adapter_.features->unit(hidden_, unit);
    std::vector<std::vector<double>> experts = {base()};
    for (const FastHeadRows& head : adapter_.fast_heads) {
      std::vector<double> p = base();
      for (size_t r = 0; r < adapter_.row_tokens.size(); ++r) {
        p[static_cast<size_t>(adapter_.row_tokens[r])] *=
            std::exp(dot(head.rows.data() + r * padded / kBlock32, unit) +
                     0.5 * static_cast<double>(head.biases[r]));
      }
      double sum = 0;
      for (const double x : p) sum += x;
      for (double& x : p) x /= sum;
      experts.push_back(p);
    }
    for (const MemoryExpert& memory : adapter_.memory_experts) {
      experts.push_back(reference_memory(memory, unit));
    }
    return experts;
  }

  std::vector<double> reference_memory(const MemoryExpert& memory,
                                       std::span<const float> unit) const {
    struct State {
      double similarity;
      int32_t token;
    };
    std::vector<State> states;
    for (size_t c = 0; c < adapter_.memory.chunks.size(); ++c) {
      const bool is_last = c + 1 == adapter_.memory.chunks.size();
      const int32_t count = is_last ? adapter_.memory.num_in_last_chunk : MemoryChunk::kCapacity;
      for (int32_t s = 0; s < count; ++s) {
        const MemoryChunk& chunk = *adapter_.memory.chunks[c];
        states.push_back({dot(chunk.rows.get() + static_cast<size_t>(s) * unit.size() / 32, unit),
                          chunk.targets[static_cast<size_t>(s)]});
      }
    }
    std::ranges::sort(states,
                      [](const State& a, const State& b) { return a.similarity > b.similarity; });
    double lowest = states.front().similarity;
    for (const MemoryExpert& other : adapter_.memory_experts) {
      lowest = std::min(lowest, states.front().similarity -
                                    static_cast<double>(HeadEvaluator::kWindow / other.sharpness));
    }
    std::vector<double> p(kVocab);
    double all = 0;
    double near = 0;
    for (size_t s = 0; s < states.size(); ++s) {
      const double weight = std::exp(static_cast<double>(memory.sharpness) * states[s].similarity);
      all += weight;
      if (s >= HeadEvaluator::kNearest || states[s].similarity < lowest) continue;
      near += weight;
      p[static_cast<size_t>(states[s].token)] += weight;
    }
    const double share = static_cast<double>(memory.share);
    const std::vector<double> base_probability = base();
    for (size_t i = 0; i < p.size(); ++i) {
      p[i] = share * p[i] / all + (1 - share * near / all) * base_probability[i];
    }
    return p;
  }

  bool evaluate(HeadEvaluator& evaluator) const {
    return evaluator.evaluate(adapter_, hidden_, logits_, log_sum_exp(logits_));
  }

  device::KernelChoice kernels_;
  Numbers numbers_;
  HeadAdapter adapter_;
  std::vector<float> hidden_, logits_;
};

TEST_F(HeadEvaluatorTest, LeavesLogitsBitIdenticalWithNothingLearned) {
  HeadEvaluator evaluator(kernels_.table, kHidden);
  adapter_.fast_heads.resize(1);
  EXPECT_FALSE(evaluate(evaluator));
  std::vector<float> adjusted = logits_;
  evaluator.adjust(ExpertWeights(adapter_.prior), adjusted);
  EXPECT_EQ(adjusted, logits_);
  std::vector<double> ratio(evaluator.num_experts());
  evaluator.ratios(17, ratio);
  EXPECT_EQ(ratio, std::vector<double>(2, 1.0));
}

TEST_F(HeadEvaluatorTest, AgreesWithEveryExpertOverTheWholeVocabulary) {
  for (int32_t i = 0; i < 60; ++i) adapter_.row_tokens.push_back(numbers_.below(kVocab));
  add_rows(adapter_.row_tokens, 2);
  add_states(1500);
  HeadEvaluator evaluator(kernels_.table, kHidden);
  ASSERT_TRUE(evaluate(evaluator));
  ASSERT_EQ(evaluator.num_experts(), 5u);
  const std::vector<std::vector<double>> experts = reference();
  const std::vector<double> base_probability = base();
  std::vector<double> sums(5);
  for (int32_t token = 0; token < kVocab; ++token) {
    std::vector<double> ratio(5);
    evaluator.ratios(token, ratio);
    for (size_t k = 0; k < 5; ++k) {
      const double p = ratio[k] * base_probability[static_cast<size_t>(token)];
      sums[k] += p;
      // Activations are rounded to 16 bits.
      ASSERT_NEAR(p, experts[k][static_cast<size_t>(token)], 3e-4 * p + 1e-9) << k << ' ' << token;
    }
  }
  for (const double sum : sums) EXPECT_NEAR(sum, 1.0, 1e-6);
}

TEST_F(HeadEvaluatorTest, AdjustedLogitsAreTheMixture) {
  for (int32_t i = 0; i < 60; ++i) adapter_.row_tokens.push_back(numbers_.below(kVocab));
  add_rows(adapter_.row_tokens, 1);
  add_states(300);
  HeadEvaluator evaluator(kernels_.table, kHidden);
  ASSERT_TRUE(evaluate(evaluator));
  ExpertWeights weights(std::vector<double>{1, 2, 3, 4});
  std::vector<float> adjusted = logits_;
  evaluator.adjust(weights, adjusted);
  const std::vector<std::vector<double>> experts = reference();
  const double lse = log_sum_exp(adjusted);
  size_t num_changed = 0;
  for (size_t i = 0; i < adjusted.size(); ++i) {
    double p = 0;
    for (size_t k = 0; k < experts.size(); ++k) p += weights.weight(k) * experts[k][i];
    EXPECT_NEAR(static_cast<double>(adjusted[i]) - lse, std::log(p), 3e-4) << i;
    num_changed += adjusted[i] != logits_[i] ? 1U : 0U;
  }
  EXPECT_LE(num_changed, evaluator.candidates().size());
  EXPECT_LT(evaluator.candidates().size(), size_t{kVocab});
}

// Also where the rows hold nearly all of the probability.
TEST_F(HeadEvaluatorTest, IncrementalLogSumExpIsThatOfTheWholeVocabulary) {
  for (int32_t i = 0; i < kVocab - 20; ++i) adapter_.row_tokens.push_back(i);
  for (const float peak : {0.0f, 12.0f}) {
    adapter_.fast_heads.clear();
    add_rows(adapter_.row_tokens, 1);
    logits_[5] += peak;
    HeadEvaluator evaluator(kernels_.table, kHidden);
    ASSERT_TRUE(evaluate(evaluator));
    std::vector<double> outside(2), ratio(2);
    evaluator.ratios(kVocab - 1, outside);
    double sum = 0;
    double shifted_sum = 0;
    for (int32_t token = 0; token < kVocab; ++token) {
      evaluator.ratios(token, ratio);
      const double z = std::exp(static_cast<double>(logits_[static_cast<size_t>(token)]));
      sum += z;
      shifted_sum += z * (ratio[1] / outside[1]);  // e^d
    }
    EXPECT_NEAR(-std::log(outside[1]), std::log(shifted_sum / sum), 1e-5) << peak;
  }
}

TEST_F(HeadEvaluatorTest, WhatIsImpossibleStaysSo) {
  add_rows({1, 2, 3}, 1);
  add_states(50);
  logits_[2] = -std::numeric_limits<float>::infinity();
  for (int32_t i = 0; i < 50; ++i) {
    logits_[static_cast<size_t>(adapter_.memory.chunks[0]->targets[static_cast<size_t>(i)])] =
        -std::numeric_limits<float>::infinity();
  }
  HeadEvaluator evaluator(kernels_.table, kHidden);
  ASSERT_TRUE(evaluate(evaluator));
  std::vector<float> adjusted = logits_;
  evaluator.adjust(ExpertWeights(std::vector<double>(4, 1)), adjusted);
  for (size_t i = 0; i < kVocab; ++i) {
    EXPECT_EQ(std::isinf(adjusted[i]), std::isinf(logits_[i])) << i;
    EXPECT_FALSE(std::isnan(adjusted[i])) << i;
  }
}

TEST_F(HeadEvaluatorTest, LeavesWhatIsNotFiniteAlone) {
  add_rows({1, 2, 3}, 1);
  HeadEvaluator evaluator(kernels_.table, kHidden);
  hidden_[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(evaluate(evaluator));
  EXPECT_TRUE(evaluator.candidates().empty());
}

// q is the softmax over the taught states that speak, whether or not their tokens have rows.
TEST_F(HeadEvaluatorTest, CorrectionsSpeakAboveTheMixture) {
  add_rows({1, 2, 3, 7}, 1);
  adapter_.prior = {0.5, 0.5};
  const size_t num_blocks = static_cast<size_t>(adapter_.features->padded_dim()) / kBlock32;
  auto memory = std::make_shared<CorrectionMemory>();
  std::vector<float> unit(num_blocks * kBlock32);
  for (const int32_t token : {7, 9, 7, 300}) {
    std::vector<float> near = hidden_;
    const float noise = token == 300 ? 1.0f : 0.02f * static_cast<float>(memory->num_states());
    for (float& x : near) x += noise * static_cast<float>(2 * numbers_.uniform() - 1);
    adapter_.features->unit(near, unit);
    memory->rows.resize(memory->rows.size() + num_blocks);
    encode_row_q8(unit, memory->rows.data() + memory->rows.size() - num_blocks);
    memory->targets.push_back(token);
    memory->thresholds.push_back(0.98f);
  }
  adapter_.corrections = {memory};
  adapter_.features->unit(hidden_, unit);
  std::vector<double> taught(kVocab);
  double gate = 0;
  double sum = 0;
  for (size_t s = 0; s < 4; ++s) {
    const double similarity = dot(memory->rows.data() + s * num_blocks, unit);
    const double open = static_cast<double>(correction_gate(static_cast<float>(similarity), 0.98f));
    EXPECT_EQ(open > 0, s < 3);
    const double weight = open * std::exp(static_cast<double>(memory->sharpness) * similarity);
    taught[static_cast<size_t>(memory->targets[s])] += weight;
    sum += weight;
    gate = std::max(gate, open);
  }
  HeadEvaluator evaluator(kernels_.table, kHidden);
  ASSERT_TRUE(evaluate(evaluator));
  EXPECT_NEAR(evaluator.correction(9).gate, gate, 1e-4);
  const ExpertWeights weights(adapter_.prior);
  std::vector<float> adjusted = logits_;
  evaluator.adjust(weights, adjusted);
  const std::vector<std::vector<double>> experts = reference();
  const double lse = log_sum_exp(adjusted);
  const double open = weights.trust() * gate;
  for (size_t i = 0; i < adjusted.size(); ++i) {
    const double mixture = weights.weight(0) * experts[0][i] + weights.weight(1) * experts[1][i];
    const double expected = (1 - open) * mixture + open * taught[i] / sum;
    const double p = std::exp(static_cast<double>(adjusted[i]) - lse);
    ASSERT_NEAR(p, expected, 2e-3 * expected + 1e-9) << i;
    ExpertWeights updated(adapter_.prior);
    const double gain = evaluator.update(updated, static_cast<int32_t>(i));
    ASSERT_NEAR(std::exp(gain) * experts[0][i], expected, 2e-3 * expected + 1e-9) << i;
  }
}

TEST_F(HeadEvaluatorTest, CorrectionsToWhatIsImpossibleAreSilent) {
  auto memory = std::make_shared<CorrectionMemory>();
  std::vector<float> unit(static_cast<size_t>(adapter_.features->padded_dim()));
  adapter_.features->unit(hidden_, unit);
  memory->rows.resize(unit.size() / kBlock32);
  encode_row_q8(unit, memory->rows.data());
  memory->targets = {7};
  memory->thresholds = {0.9f};
  adapter_.corrections = {memory};
  adapter_.prior = {1};
  logits_[7] = -std::numeric_limits<float>::infinity();
  HeadEvaluator evaluator(kernels_.table, kHidden);
  ASSERT_TRUE(evaluate(evaluator));
  std::vector<float> adjusted = logits_;
  evaluator.adjust(ExpertWeights(adapter_.prior), adjusted);
  EXPECT_EQ(adjusted, logits_);
}

TEST_F(HeadEvaluatorTest, HiddenSpacesMoveTheTokensWithRows) {
  add_rows({1, 2, 3, 7}, 0);
  adapter_.prior = {0.5, 0.5};
  HiddenSpaceAdapter& space = adapter_.hidden_spaces.emplace_back();
  const size_t width = static_cast<size_t>(adapter_.features->padded_dim()) + 1;
  space.rank = 3;
  space.down = numbers_.row(3 * width, 1);
  space.projected = numbers_.row(3 * 4, 2);
  std::vector<float> unit(width - 1), features(3);
  adapter_.features->unit(hidden_, unit);
  hidden_features(space, unit, features);
  double squares = 0;
  for (const float x : features) squares += static_cast<double>(x * x);
  EXPECT_NEAR(squares, 1, 1e-5);
  std::vector<double> expected = base();
  double sum = 0;
  for (size_t r = 0; r < 4; ++r) {
    double shift = 0;
    for (size_t k = 0; k < 3; ++k) {
      shift += static_cast<double>(features[k]) * static_cast<double>(space.projected[k * 4 + r]);
    }
    expected[static_cast<size_t>(adapter_.row_tokens[r])] *= std::exp(shift);
  }
  for (const double p : expected) sum += p;
  HeadEvaluator evaluator(kernels_.table, kHidden);
  ASSERT_TRUE(evaluate(evaluator));
  const std::vector<double> base_probability = base();
  for (size_t i = 0; i < kVocab; ++i) {
    std::vector<double> ratio(2);
    evaluator.ratios(static_cast<int32_t>(i), ratio);
    ASSERT_NEAR(ratio[1] * base_probability[i], expected[i] / sum, 1e-5 * expected[i] + 1e-12);
  }
}

// A conversation's tokens must not depend on the machine.
TEST_F(HeadEvaluatorTest, GivesTheSameBitsOnEveryInstructionSet) {
  add_rows({1, 5, 9, 33, 200}, 1);
  add_states(600);
  std::vector<float> first;
  for (const std::string& isa : device::available_isas()) {
    const device::KernelChoice choice = *device::choose_kernels(isa);
    HeadEvaluator evaluator(choice.table, kHidden);
    ASSERT_TRUE(evaluate(evaluator));
    std::vector<float> adjusted = logits_;
    evaluator.adjust(ExpertWeights(std::vector<double>(4, 1)), adjusted);
    if (first.empty()) first = adjusted;
    EXPECT_EQ(adjusted, first) << isa;
  }
}

}  // namespace
}  // namespace ruvllm::adapters
