#include "sona/evaluation/studies/prequential.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "sona/evaluation/arms/cache_arms.h"
#include "sona/evaluation/arms/constant_gradient_arm.h"
#include "sona/evaluation/arms/learner_arm.h"

namespace ruvllm::sona {
namespace {

constexpr size_t kBlock = 64;  // positions whose mean counts as a moment's gain

struct Control {
  const char* name;
  Teaching teaching;
};
constexpr std::array<Control, 4> kControls = {{{"shuffled_order", Teaching::kShuffledOrder},
                                               {"shuffled_labels", Teaching::kShuffledLabels},
                                               {"random_labels", Teaching::kRandomLabels},
                                               {"random_direction", Teaching::kRandomDirection}}};

}  // namespace

Result<std::unique_ptr<PrequentialStudy>> PrequentialStudy::create(
    const StudySetting& setting, const PrequentialOptions& options) {
  std::unique_ptr<PrequentialStudy> study(new PrequentialStudy(setting, options));
  study->row_sums_ = head_row_sums(setting.model);
  const size_t needed =
      setting.reserved() + tokens_for(static_cast<size_t>(options.positions), setting.feed.window);
  for (const Domain& domain : setting.domains) {
    if (domain.tokens.size() < needed) {
      return fail(ErrorCode::kInvalidArgument, "{}: {} tokens; streams of {} need {} or more",
                  domain.name, domain.tokens.size(), options.positions, needed);
    }
    Lane lane;
    RUVLLM_ASSIGN(lane.feed, TextFeed::create(setting.model, setting.device, setting.feed));
    study->lanes_.push_back(std::move(lane));
  }
  study->names_.resize(setting.domains.size());
  study->tallies_.resize(setting.domains.size());
  study->base_loss_sums_.resize(setting.domains.size());
  return study;
}

void PrequentialStudy::add_arms(size_t domain, uint64_t seed) {
  std::vector<std::string>& names = names_[domain];
  auto& arms = lanes_[domain].arms;
  const auto& kernels = setting_.device.kernels();
  names.clear();
  const auto add = [&](std::string name, std::unique_ptr<Arm> arm) {
    names.push_back(std::move(name));
    arms.push_back(std::move(arm));
  };
  // First: add_swapped() looks for it there.
  add(std::string(kOurs),
      std::make_unique<LearnerArm>(
          kernels, setting_.features,
          LearnerArmOptions{.learner = setting_.learner, .share = setting_.share, .seed = seed}));
  add("unigram_cache", std::make_unique<UnigramArm>(setting_.vocab_size()));
  add("neural_cache", std::make_unique<NeuralCacheArm>(kernels, setting_.features));
  add("bias_only", std::make_unique<BiasArm>(setting_.vocab_size()));
  for (const Control& control : kControls) {
    add(control.name, std::make_unique<LearnerArm>(kernels, setting_.features,
                                                   LearnerArmOptions{.learner = setting_.learner,
                                                                     .share = setting_.share,
                                                                     .teaching = control.teaching,
                                                                     .seed = seed}));
  }
  add("constant_gradient", std::make_unique<ConstantGradientArm>(row_sums_, setting_.hidden_dim()));
}

void PrequentialStudy::add_swapped(size_t domain) {
  if (lanes_.size() < 2) return;
  const Lane& other = lanes_[(domain + 1) % lanes_.size()];
  names_[domain].emplace_back("swapped_user");
  lanes_[domain].arms.push_back(
      std::make_unique<SwappedArm>(setting_.device.kernels(), setting_.hidden_dim(), setting_.share,
                                   static_cast<const LearnerArm&>(*other.arms.front())));
}

void PrequentialStudy::count(size_t domain) {
  const Lane& lane = lanes_[domain];
  auto& tallies = tallies_[domain];
  tallies.resize(lane.arms.size());
  base_loss_sums_[domain] += mean_of(lane.base_losses);
  for (size_t arm = 0; arm < lane.arms.size(); ++arm) {
    Tally& tally = tallies[arm];
    const std::vector<double>& gains = lane.log_ratios[arm];
    tally.arm = names_[domain][arm];
    tally.by_stream.push_back(-mean_of(gains));
    tally.sum_by_place.resize(gains.size());
    for (size_t i = 0; i < gains.size(); ++i) {
      tally.sum_by_place[i] -= gains[i];
      tally.num_improved += gains[i] > 0 ? 1 : 0;
    }
    tally.num_tokens += static_cast<int64_t>(gains.size());
  }
}

Result<bool> PrequentialStudy::step() {
  if (next_stream_ == num_streams()) return false;
  const size_t length = tokens_for(static_cast<size_t>(options_.positions), setting_.feed.window);
  // Places are spread evenly over each text, and dealt to the seeds in turn.
  const int32_t seed = next_stream_ / options_.streams;
  const int32_t place = next_stream_ % options_.streams * options_.seeds + seed;
  for (size_t domain = 0; domain < lanes_.size(); ++domain) {
    const std::span<const int32_t> text = setting_.text(domain);
    const size_t last = text.size() - length;
    const size_t begin =
        last * static_cast<size_t>(place) / static_cast<size_t>(std::max(num_streams() - 1, 1));
    lanes_[domain].start(text.subspan(begin, length));
    add_arms(domain, static_cast<uint64_t>(seed));
  }
  for (size_t domain = 0; domain < lanes_.size(); ++domain) add_swapped(domain);
  RUVLLM_TRY(walk(setting_.device, lanes_));
  for (size_t domain = 0; domain < lanes_.size(); ++domain) count(domain);
  ++next_stream_;
  return next_stream_ < num_streams();
}

std::vector<DomainOutcome> PrequentialStudy::outcomes() const {
  std::vector<DomainOutcome> outcomes;
  for (size_t domain = 0; domain < tallies_.size(); ++domain) {
    const double num_streams = std::max(next_stream_, 1);
    DomainOutcome outcome{setting_.domains[domain].name, base_loss_sums_[domain] / num_streams, {}};
    for (const Tally& tally : tallies_[domain]) {
      ArmOutcome arm;
      arm.arm = tally.arm;
      arm.change = bootstrap_interval(tally.by_stream);
      arm.share_improved =
          static_cast<double>(tally.num_improved) / static_cast<double>(tally.num_tokens);
      for (const double sum : tally.sum_by_place) arm.by_place.push_back(sum / num_streams);
      for (const size_t after : ArmOutcome::kAfter) {
        if (after <= arm.by_place.size()) {
          arm.after.push_back(mean_of(std::span(arm.by_place).first(after)));
        }
      }
      arm.tokens_to_half = values_to_half(block_means(arm.by_place, kBlock), kBlock);
      arm.by_stream = tally.by_stream;
      outcome.arms.push_back(std::move(arm));
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace ruvllm::sona
