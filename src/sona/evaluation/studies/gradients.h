// How much of the exact gradient the 32 most probable tokens hold, on a model's own states.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sona/evaluation/studies/study.h"
#include "sona/evaluation/studies/walk.h"

namespace ruvllm::sona {

// Over positions: the mean and the value that a tenth lies below.
struct Spread {
  double mean = 0;
  double tenth = 0;
};

struct GradientOutcome {
  std::string domain;
  int64_t num_positions = 0;
  Spread mass;    // of the base's probability that the 32 and the target hold
  Spread rows;    // cosine of p - e_y and its part on them: the fast head's gradient
  Spread hidden;  // cosine of W^T (p - e_y) and W^T of the part: the gradient at hidden states
};

class GradientStudy final : public Study {
 public:
  static Result<std::unique_ptr<GradientStudy>> create(const StudySetting& setting,
                                                       int32_t positions);

  std::string_view name() const override { return "gradients"; }
  // One text.
  Result<bool> step() override;
  double done() const override {
    return static_cast<double>(outcomes_.size()) / static_cast<double>(setting_.domains.size());
  }
  const std::vector<GradientOutcome>& outcomes() const { return outcomes_; }

 private:
  explicit GradientStudy(const StudySetting& setting) : setting_(setting) {}

  const StudySetting& setting_;
  std::unique_ptr<TextFeed> feed_;
  int32_t positions_ = 0;
  std::vector<GradientOutcome> outcomes_;
};

}  // namespace ruvllm::sona
