// Subjects learned one after another: what each costs the earlier ones.
//
// R[i][j] is the change of subject j's held-out loss against the base (nats a token, below 0 is
// better) after the i-th subject. Gain: the mean of R[i][i]; forgetting: the mean over all subjects
// but the last of R[last][i] - R[i][i], which is minus the backward transfer of
// https://arxiv.org/abs/1706.08840 for scores -R.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sona/evaluation/studies/study.h"
#include "sona/evaluation/studies/walk.h"
#include "sona/evaluation/tasks/task_learner.h"

namespace ruvllm::sona {

struct ForgettingOptions {
  int32_t learned = 12000;  // tokens of each subject
  int32_t tested = 4000;    // the last of each text
  int32_t orders = 3;
  std::vector<double> lambdas = {0.1, 0.3, 1, 3, 10, 30};
};

struct ForgettingOutcome {
  std::string method;
  double gain = 0;
  double forgetting = 0;
  double final_change = 0;  // the mean of R[last]
  double worst = 0;         // the largest of R[last]
  // [orders][subjects in their order][subjects in their order]
  std::vector<std::vector<std::vector<double>>> matrices;
};

// What learned all subjects at once, by domain; means over orders do not apply.
struct TogetherOutcome {
  std::string method;
  std::vector<double> changes;
};

class ForgettingStudy final : public Study {
 public:
  static Result<std::unique_ptr<ForgettingStudy>> create(const StudySetting& setting,
                                                         const ForgettingOptions& options);

  std::string_view name() const override { return "forgetting"; }
  // One subject of one order, or all at once.
  Result<bool> step() override;
  double done() const override;

  std::vector<ForgettingOutcome> outcomes() const;
  // Joint training, and the slots merged into one head.
  const std::vector<TogetherOutcome>& together() const { return together_; }
  // Domains of each order.
  const std::vector<std::vector<size_t>>& orders() const { return orders_; }

 private:
  struct Method {
    std::string name;
    std::unique_ptr<TaskLearner> learner;
    std::vector<std::vector<std::vector<double>>> matrices;
  };
  explicit ForgettingStudy(const StudySetting& setting, ForgettingOptions options)
      : setting_(setting), options_(std::move(options)) {}
  void choose_orders();
  void make_learners();
  std::span<const int32_t> learned_text(size_t domain) const;
  std::span<const int32_t> tested_text(size_t domain) const;
  Status learn_task();
  Status learn_together();
  void add_merged();

  const StudySetting& setting_;
  ForgettingOptions options_;
  std::vector<Lane> lanes_;  // one
  std::vector<std::vector<size_t>> orders_;
  std::vector<Method> methods_;
  std::vector<TogetherOutcome> together_;
  std::vector<std::pair<std::string, std::shared_ptr<const adapters::HeadAdapter>>> merged_;
  size_t order_ = 0;
  size_t task_ = 0;
};

}  // namespace ruvllm::sona
