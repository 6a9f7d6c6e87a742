// What learning at the head costs, on one thread, at hidden 896 and vocabulary 151,936.
//
//   sona/apply/rank:R       a hidden-space adapter alone: u, then h + C u
//   sona/mixture            evaluate and adjust of one token's logits, all experts: 1,024 rows in a
//                           fast head and a hidden space, 4,096 states, 256 corrections
//   sona/learn/tokens:N     a request of N tokens without a hidden space: p50 and p99 of learn(),
//                           of publish() beside it
//   sona/correct/tokens:N   an answer of N tokens by learn_correction()
//
// Times are of the processor, in microseconds; of_token is the part of a token of 12 ms.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "adapters/head/evaluator.h"
#include "base/numeric/random_stream.h"
#include "base/system/clock.h"
#include "sona/instant/instant_learner.h"
#include "support/harness.h"

namespace ruvllm::bench {
namespace {

using sona::InstantLearner;
using sona::TokenEvidence;

constexpr double kTokenSeconds = 0.012;

struct Shape {
  int32_t hidden;
  int32_t vocab;
  int32_t num_rows;
  int32_t num_states;
  int32_t num_corrections;
};

class RandomRows final : public adapters::HeadRows {
 public:
  explicit RandomRows(int32_t vocab) : vocab_(vocab) {}
  int32_t num_tokens() const override { return vocab_; }
  void read(int32_t token, std::span<float> row) const override {
    const RandomStream random(static_cast<uint64_t>(token));
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = static_cast<float>(0.1 * random.uniform(i) - 0.05);
    }
  }

 private:
  int32_t vocab_;
};

// A user's learner after so many tokens, and positions like those.
class User {
 public:
  User(const Setup& setup, bool has_hidden_space)
      : shape_(setup.tiny ? Shape{64, 500, 64, 600, 16} : Shape{896, 151'936, 1024, 4096, 256}),
        logits_(static_cast<size_t>(shape_.vocab)),
        learner_(setup.device->kernels(),
                 std::make_shared<adapters::HeadFeatures>(
                     std::vector<float>(static_cast<size_t>(shape_.hidden), 0.01f)),
                 {.max_rows = shape_.num_rows,
                  .hidden_spaces = {{.rank = 8}},
                  .head_rows =
                      has_hidden_space ? std::make_shared<RandomRows>(shape_.vocab) : nullptr}) {
    for (float& z : logits_) z = static_cast<float>(4 * random_.uniform(count_++));
    double sum = 0;
    for (const float z : logits_) sum += std::exp(static_cast<double>(z));
    log_sum_exp_ = std::log(sum);
    for (int32_t i = 0; i < 2 * shape_.num_rows; ++i)
      tokens_.push_back(i * (shape_.vocab / 2) / shape_.num_rows);
    for (const int32_t token : tokens_) {
      candidate_logits_.push_back(logits_[static_cast<size_t>(token)]);
    }
    for (int32_t i = 0; i < shape_.num_states; i += 32) learner_.learn(positions(32));
    learner_.seal_memory();
    for (int32_t i = 0; i < shape_.num_corrections; i += 8) {
      learner_.learn_correction(positions(8));
    }
  }

  // `count` new ones, valid until the next call. Half of the targets recur.
  std::vector<TokenEvidence> positions(int32_t count) {
    hidden_.assign(static_cast<size_t>(count), std::vector<float>(dim()));
    std::vector<TokenEvidence> positions;
    for (std::vector<float>& hidden : hidden_) {
      for (float& x : hidden) x = static_cast<float>(random_.uniform(count_++) - 0.5);
      const size_t place = random_.bits(count_++) % (tokens_.size() / 2);
      positions.push_back({.hidden = hidden,
                           .target = tokens_[place],
                           .log_sum_exp = log_sum_exp_,
                           .candidate_tokens = tokens_,
                           .candidate_logits = candidate_logits_});
    }
    return positions;
  }

  size_t dim() const { return static_cast<size_t>(shape_.hidden); }
  const std::vector<float>& logits() const { return logits_; }
  double log_sum_exp() const { return log_sum_exp_; }
  InstantLearner& learner() { return learner_; }

 private:
  Shape shape_;
  RandomStream random_{5};
  uint64_t count_ = 0;
  std::vector<float> logits_;
  double log_sum_exp_ = 0;
  std::vector<int32_t> tokens_;
  std::vector<float> candidate_logits_;
  std::vector<std::vector<float>> hidden_;
  InstantLearner learner_;
};

User& user(const Setup& setup, bool has_hidden_space) {
  static User plain(setup, false);
  static User full(setup, true);
  return has_hidden_space ? full : plain;
}

template <typename Body>
double cpu_seconds(Body&& body) {
  const uint64_t begin = thread_cpu_ns();
  body();
  return static_cast<double>(thread_cpu_ns() - begin) / 1e9;
}

void apply_alone(benchmark::State& state, const Setup& setup, int32_t rank) {
  const int32_t hidden_dim = setup.tiny ? 64 : 896;
  sona::HiddenSpaceLearner learner({.rank = rank}, hidden_dim, hidden_dim,
                                   std::make_shared<RandomRows>(10));
  const adapters::HiddenSpaceAdapter adapter = learner.snapshot({});
  std::vector<float> unit(static_cast<size_t>(hidden_dim), 0.03f), hidden = unit;
  std::vector<float> features(static_cast<size_t>(rank));
  constexpr int kRepeats = 200;
  for (auto _ : state) {
    const double seconds = cpu_seconds([&] {
      for (int i = 0; i < kRepeats; ++i) {
        adapters::hidden_features(adapter, unit, features);
        adapters::apply_hidden_space(adapter, features, hidden);
        benchmark::DoNotOptimize(hidden.data());
      }
    });
    state.SetIterationTime(seconds / kRepeats);
  }
}

void mixture(benchmark::State& state, const Setup& setup) {
  User& taught = user(setup, true);
  const std::shared_ptr<const adapters::HeadAdapter> adapter = taught.learner().publish();
  adapters::HeadEvaluator evaluator(setup.device->kernels(), static_cast<int32_t>(taught.dim()));
  evaluator.reserve(*adapter);
  adapters::ExpertWeights weights(adapter->prior);
  std::vector<float> logits = taught.logits();
  double sum = 0;
  for (auto _ : state) {
    const TokenEvidence token = taught.positions(1).front();
    const double seconds = cpu_seconds([&] {
      evaluator.evaluate(*adapter, token.hidden, taught.logits(), taught.log_sum_exp());
      evaluator.adjust(weights, logits);
      evaluator.update(weights, token.target);
    });
    sum += seconds;
    state.SetIterationTime(seconds);
  }
  state.counters["of_token"] = sum / static_cast<double>(state.iterations()) / kTokenSeconds;
}

void learn(benchmark::State& state, const Setup& setup, int32_t num_tokens, bool is_correction) {
  User& taught = user(setup, false);
  InstantLearner& learner = taught.learner();
  std::vector<double> learned, published;
  for (auto _ : state) {
    const std::vector<TokenEvidence> tokens = taught.positions(num_tokens);
    learned.push_back(cpu_seconds(
        [&] { is_correction ? learner.learn_correction(tokens) : learner.learn(tokens); }));
    published.push_back(cpu_seconds([&] { benchmark::DoNotOptimize(learner.publish()); }));
    state.SetIterationTime(learned.back());
    if (learner.wants_sealing()) learner.seal_memory();
  }
  const auto quantile = [](std::vector<double>& seconds, double q) {
    std::ranges::sort(seconds);
    return 1e6 * seconds[static_cast<size_t>(q * static_cast<double>(seconds.size() - 1))];
  };
  state.counters["p50_us"] = quantile(learned, 0.5);
  state.counters["p99_us"] = quantile(learned, 0.99);
  state.counters["publish_p99_us"] = quantile(published, 0.99);
}

// A fixed number of times: what is taught meanwhile is not timed.
template <typename Body>
void add_case(const Setup& setup, const std::string& name, int64_t num_times, Body body) {
  add_benchmark(name, std::move(body))->Iterations(setup.tiny ? 1 : num_times);
}

void add(const Setup& setup) {
  for (const int32_t rank : {1, 2, 4, 8, 64}) {
    add_case(setup, fmt::format("sona/apply/rank:{}", rank), 20,
             [&setup, rank](benchmark::State& state) { apply_alone(state, setup, rank); });
  }
  add_case(setup, "sona/mixture", 200,
           [&setup](benchmark::State& state) { mixture(state, setup); });
  for (const int32_t count : {1, 4, 8, 16, 32}) {
    add_case(setup, fmt::format("sona/learn/tokens:{}", count), 100,
             [&setup, count](benchmark::State& state) { learn(state, setup, count, false); });
  }
  add_case(setup, "sona/correct/tokens:8", 50,
           [&setup](benchmark::State& state) { learn(state, setup, 8, true); });
}

}  // namespace
}  // namespace ruvllm::bench

int main(int argc, char** argv) {
  return ruvllm::bench::run_benchmarks(argc, argv, ruvllm::bench::add);
}
