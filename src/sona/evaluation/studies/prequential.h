// Predict, then learn, over many short streams of every text: what is served beside simpler
// learners and beside controls that must gain nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sona/evaluation/statistics.h"
#include "sona/evaluation/studies/study.h"
#include "sona/evaluation/studies/walk.h"

namespace ruvllm::sona {

struct PrequentialOptions {
  int32_t streams = 10;      // of every text and seed
  int32_t seeds = 3;         // each with places and random numbers of its own
  int32_t positions = 2048;  // of a stream
};

// Losses are in nats a token, adapted minus base: below 0 is better.
struct ArmOutcome {
  static constexpr std::array<size_t, 3> kAfter = {128, 512, 2048};

  std::string arm;
  Interval change;            // over streams
  double share_improved = 0;  // of tokens
  std::vector<double> after;  // mean over the first kAfter tokens, as far as streams go
  std::optional<int64_t> tokens_to_half;
  std::vector<double> by_place;  // [positions]: means over streams
  std::vector<double> by_stream;
};

struct DomainOutcome {
  std::string domain;
  double base_loss = 0;
  std::vector<ArmOutcome> arms;
};

class PrequentialStudy final : public Study {
 public:
  static constexpr std::string_view kOurs = "ours";

  static Result<std::unique_ptr<PrequentialStudy>> create(const StudySetting& setting,
                                                          const PrequentialOptions& options);

  std::string_view name() const override { return "streams"; }
  // One stream of every text.
  Result<bool> step() override;
  double done() const override {
    return static_cast<double>(next_stream_) / static_cast<double>(num_streams());
  }
  int32_t num_streams() const { return options_.streams * options_.seeds; }  // of a text

  std::vector<DomainOutcome> outcomes() const;

 private:
  struct Tally {
    std::string arm;
    std::vector<double> by_stream;
    std::vector<double> sum_by_place;
    int64_t num_improved = 0;
    int64_t num_tokens = 0;
  };
  PrequentialStudy(const StudySetting& setting, const PrequentialOptions& options)
      : setting_(setting), options_(options) {}
  void add_arms(size_t domain, uint64_t seed);
  void add_swapped(size_t domain);
  void count(size_t domain);

  const StudySetting& setting_;
  PrequentialOptions options_;
  std::vector<float> row_sums_;
  std::vector<Lane> lanes_;
  std::vector<std::vector<std::string>> names_;  // [domains][arms]
  std::vector<std::vector<Tally>> tallies_;      // [domains][arms]
  std::vector<double> base_loss_sums_;           // [domains]
  int32_t next_stream_ = 0;
};

}  // namespace ruvllm::sona
