// One long stream of every text, and what was learned there in new conversations about others.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/head/head_adapter.h"
#include "sona/evaluation/statistics.h"
#include "sona/evaluation/studies/study.h"
#include "sona/evaluation/studies/walk.h"

namespace ruvllm::sona {

// nats a token, adapted minus base.
struct LongArmOutcome {
  std::string arm;
  double change = 0;
  double share_improved = 0;
  std::vector<double> after;   // mean over the first LongRunOutcome::kAfter, as far as it went
  std::vector<double> blocks;  // means of kBlock positions
};

struct LongRunOutcome {
  static constexpr std::array<size_t, 6> kAfter = {128, 512, 2048, 8192, 20000, 40000};
  static constexpr size_t kBlock = 512;

  std::string domain;
  int64_t num_positions = 0;
  double base_loss = 0;
  std::vector<LongArmOutcome> arms;
  std::vector<double> final_weights;  // of the experts of ours
};

class LongRunStudy final : public Study {
 public:
  // At most `positions` of every text; the last `kept_back` tokens are left for others.
  static Result<std::unique_ptr<LongRunStudy>> create(const StudySetting& setting, size_t positions,
                                                      size_t kept_back);

  std::string_view name() const override { return "long streams"; }
  Result<bool> step() override;
  double done() const override;

  std::vector<LongRunOutcome> outcomes() const;
  // What was learned of each text.
  std::vector<std::shared_ptr<const adapters::HeadAdapter>> adapters() const;

 private:
  explicit LongRunStudy(const StudySetting& setting) : setting_(setting) {}

  const StudySetting& setting_;
  std::vector<Lane> lanes_;
  size_t num_positions_ = 0;  // of the longest
};

// Learned of one text, used in new conversations of another; changes in nats a token.
struct TransferOutcome {
  std::string taught, spoken;
  double hedged = 0;
  std::vector<double> raw;  // of each expert alone
};

class TransferStudy final : public Study {
 public:
  static constexpr size_t kConversationTokens = 200;

  // Conversations are the last kConversationTokens * conversations tokens of each text.
  static Result<std::unique_ptr<TransferStudy>> create(
      const StudySetting& setting, std::vector<std::shared_ptr<const adapters::HeadAdapter>> taught,
      size_t conversations);

  std::string_view name() const override { return "new conversations"; }
  // One conversation of every text.
  Result<bool> step() override;
  double done() const override {
    return static_cast<double>(next_) / static_cast<double>(conversations_);
  }
  std::vector<TransferOutcome> outcomes() const;

 private:
  struct Sums {
    double hedged = 0;
    std::vector<double> raw;
  };
  explicit TransferStudy(const StudySetting& setting) : setting_(setting) {}

  const StudySetting& setting_;
  std::vector<std::shared_ptr<const adapters::HeadAdapter>> taught_;
  std::vector<Lane> lanes_;
  std::vector<std::vector<Sums>> sums_;  // [spoken][taught]
  std::vector<int64_t> num_positions_;   // [spoken]
  size_t conversations_ = 0;
  size_t next_ = 0;
};

}  // namespace ruvllm::sona
