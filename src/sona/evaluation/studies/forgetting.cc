#include "sona/evaluation/studies/forgetting.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/numeric/random_stream.h"
#include "sona/evaluation/arms/arm.h"
#include "sona/evaluation/statistics.h"

namespace ruvllm::sona {
namespace {

// A learner that a lane does not own, as it learns or as it is tested.
class TaskArm final : public Arm {
 public:
  TaskArm(TaskLearner& learner, bool is_test) : learner_(learner), is_test_(is_test) {}
  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override {
    if (is_test_) learner_.test(chunk, log_ratios);
  }
  void learn(const FeedChunk& chunk) override {
    if (!is_test_) learner_.learn(chunk);
  }

 private:
  TaskLearner& learner_;
  bool is_test_;
};

class FastHeadArm final : public Arm {
 public:
  FastHeadArm(const StudySetting& setting, std::shared_ptr<const adapters::HeadAdapter> adapter)
      : evaluator_(setting.device.kernels(), setting.hidden_dim()), adapter_(std::move(adapter)) {}
  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override {
    fast_head_log_ratios(evaluator_, *adapter_, chunk, log_ratios);
  }

 private:
  adapters::HeadEvaluator evaluator_;
  std::shared_ptr<const adapters::HeadAdapter> adapter_;
};

}  // namespace

Result<std::unique_ptr<ForgettingStudy>> ForgettingStudy::create(const StudySetting& setting,
                                                                 const ForgettingOptions& options) {
  const size_t most = adapters::kMaxHeadExperts - 1;
  if (setting.domains.size() > most) {
    return fail(ErrorCode::kInvalidArgument, "{} texts; forgetting is measured over at most {}",
                setting.domains.size(), most);
  }
  for (size_t domain = 0; domain < setting.domains.size(); ++domain) {
    const size_t needed = static_cast<size_t>(options.learned + options.tested);
    if (setting.text(domain).size() >= needed) continue;
    return fail(ErrorCode::kInvalidArgument, "{}: {} tokens; learning {} and testing {} needs {}",
                setting.domains[domain].name, setting.domains[domain].tokens.size(),
                options.learned, options.tested, needed + setting.reserved());
  }
  std::unique_ptr<ForgettingStudy> study(new ForgettingStudy(setting, options));
  Lane& lane = study->lanes_.emplace_back();
  RUVLLM_ASSIGN(lane.feed, TextFeed::create(setting.model, setting.device, setting.feed));
  study->choose_orders();
  study->make_learners();
  return study;
}

// The order of the texts, and shuffles of it.
void ForgettingStudy::choose_orders() {
  const RandomStream random(3);
  uint64_t draw = 0;
  std::vector<size_t> order(setting_.domains.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (int32_t i = 0; i < options_.orders; ++i) {
    orders_.push_back(order);
    for (size_t k = order.size(); k > 1; --k)
      std::swap(order[k - 1], order[random.bits(draw++) % k]);
  }
}

void ForgettingStudy::make_learners() {
  const bool is_first = methods_.empty();
  size_t next = 0;
  const auto add = [&](std::string name, std::unique_ptr<TaskLearner> learner) {
    if (is_first) methods_.emplace_back().name = std::move(name);
    methods_[next++].learner = std::move(learner);
  };
  const auto add_shared = [&](std::string name, const SharedLearnerOptions& options) {
    add(std::move(name), std::make_unique<SharedLearner>(setting_, options));
  };
  add("slots", std::make_unique<SlotLearner>(setting_));  // first: add_merged() looks for it there
  add_shared("naive", {});
  for (const double lambda : options_.lambdas) {
    add_shared(fmt::format("ewc_{:g}", lambda), {.ewc_lambda = lambda});
  }
  add_shared("replay", {.rehearsal = Rehearsal::kReplay});
  add_shared("self_replay", {.rehearsal = Rehearsal::kSelf});
  add_shared("ewc_3_replay", {.ewc_lambda = 3, .rehearsal = Rehearsal::kReplay});
  add_shared("served", {.is_served = true});
}

std::span<const int32_t> ForgettingStudy::learned_text(size_t domain) const {
  return setting_.text(domain).first(static_cast<size_t>(options_.learned));
}

std::span<const int32_t> ForgettingStudy::tested_text(size_t domain) const {
  return setting_.text(domain).last(static_cast<size_t>(options_.tested));
}

Status ForgettingStudy::learn_task() {
  const std::vector<size_t>& order = orders_[order_];
  Lane& lane = lanes_.front();
  lane.start(learned_text(order[task_]));
  for (Method& method : methods_) {
    method.learner->begin_task(order[task_]);
    lane.arms.push_back(std::make_unique<TaskArm>(*method.learner, false));
  }
  RUVLLM_TRY(walk(setting_.device, lanes_));
  for (Method& method : methods_) {
    method.learner->end_task();
    method.matrices.resize(order_ + 1);
    method.matrices.back().emplace_back();
  }
  for (size_t earlier = 0; earlier <= task_; ++earlier) {
    lane.start(tested_text(order[earlier]));
    for (Method& method : methods_) {
      method.learner->begin_test();
      lane.arms.push_back(std::make_unique<TaskArm>(*method.learner, true));
    }
    RUVLLM_TRY(walk(setting_.device, lanes_));
    for (size_t i = 0; i < methods_.size(); ++i) {
      methods_[i].matrices.back().back().push_back(-mean_of(lane.log_ratios[i]));
    }
  }
  return {};
}

void ForgettingStudy::add_merged() {
  const auto& slots = static_cast<const SlotLearner&>(*methods_.front().learner);
  merged_.emplace_back("merged_fisher", slots.merged(SlotLearner::Merge::kFisher));
  merged_.emplace_back("merged_average", slots.merged(SlotLearner::Merge::kAverage));
}

// Windows of all texts in turn.
Status ForgettingStudy::learn_together() {
  const size_t window = static_cast<size_t>(setting_.feed.window);
  std::vector<int32_t> tokens;
  for (size_t begin = 0; begin < static_cast<size_t>(options_.learned); begin += window) {
    for (size_t domain = 0; domain < setting_.domains.size(); ++domain) {
      const std::span<const int32_t> text = learned_text(domain);
      const std::span<const int32_t> piece =
          text.subspan(begin, std::min(window, text.size() - begin));
      // A shorter piece would shift the windows of what follows.
      if (piece.size() == window) tokens.insert(tokens.end(), piece.begin(), piece.end());
    }
  }
  Lane& lane = lanes_.front();
  SharedLearner joint(setting_, {});
  lane.start(tokens);
  lane.arms.push_back(std::make_unique<TaskArm>(joint, false));
  RUVLLM_TRY(walk(setting_.device, lanes_));
  together_.push_back({"joint", {}});
  for (const auto& [name, adapter] : merged_) together_.push_back({name, {}});
  for (size_t domain = 0; domain < setting_.domains.size(); ++domain) {
    lane.start(tested_text(domain));
    lane.arms.push_back(std::make_unique<TaskArm>(joint, true));
    for (const auto& [name, adapter] : merged_) {
      lane.arms.push_back(std::make_unique<FastHeadArm>(setting_, adapter));
    }
    RUVLLM_TRY(walk(setting_.device, lanes_));
    for (size_t i = 0; i < together_.size(); ++i) {
      together_[i].changes.push_back(-mean_of(lane.log_ratios[i]));
    }
  }
  return {};
}

Result<bool> ForgettingStudy::step() {
  if (order_ == orders_.size()) {
    RUVLLM_TRY(learn_together());
    return false;
  }
  RUVLLM_TRY(learn_task());
  if (++task_ == setting_.domains.size()) {
    if (order_ == 0) add_merged();
    task_ = 0;
    ++order_;
    make_learners();
  }
  return true;
}

double ForgettingStudy::done() const {
  const double tasks = static_cast<double>(setting_.domains.size());
  const double steps = static_cast<double>(orders_.size()) * tasks + 1;
  return (static_cast<double>(order_) * tasks + static_cast<double>(task_)) / steps;
}

std::vector<ForgettingOutcome> ForgettingStudy::outcomes() const {
  std::vector<ForgettingOutcome> outcomes;
  for (const Method& method : methods_) {
    ForgettingOutcome outcome{.method = method.name, .worst = -1e30, .matrices = method.matrices};
    const double num_orders = static_cast<double>(std::max<size_t>(method.matrices.size(), 1));
    for (const auto& matrix : method.matrices) {
      const std::vector<double>& last = matrix.back();
      const double count = static_cast<double>(matrix.size());
      for (size_t i = 0; i < matrix.size(); ++i) {
        outcome.gain += matrix[i][i] / count / num_orders;
        outcome.final_change += last[i] / count / num_orders;
        outcome.worst = std::max(outcome.worst, last[i]);
        if (i + 1 == matrix.size()) continue;
        outcome.forgetting += (last[i] - matrix[i][i]) / (count - 1) / num_orders;
      }
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace ruvllm::sona
