// Streams that are meant to do harm, and what holds it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sona/evaluation/studies/study.h"
#include "sona/evaluation/studies/walk.h"

namespace ruvllm::sona {

struct SafetyOutcome {
  std::string stream;
  int64_t num_positions = 0;
  double change = 0;  // nats a token, of the mixture against the base
  // The most that the mixture's summed loss was ever above the base's, nats, and what it never
  // exceeds: ln(1 / prior of the base).
  double worst_lead = 0;
  double bound = 0;
  // Of the fast head alone since its last restart: what it has cost on what it was taught, and the
  // most that it can have cost; nats.
  double harm = 0;
  double certificate = 0;
  int64_t num_restarts = 0;
};

class SafetyStudy final : public Study {
 public:
  static Result<std::unique_ptr<SafetyStudy>> create(const StudySetting& setting, size_t positions);

  std::string_view name() const override { return "safety"; }
  // One stream.
  Result<bool> step() override;
  double done() const override;
  const std::vector<SafetyOutcome>& outcomes() const { return outcomes_; }

 private:
  explicit SafetyStudy(const StudySetting& setting) : setting_(setting) {}

  const StudySetting& setting_;
  std::vector<Lane> lanes_;  // one
  size_t positions_ = 0;
  std::vector<SafetyOutcome> outcomes_;
};

}  // namespace ruvllm::sona
