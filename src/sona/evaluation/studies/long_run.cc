#include "sona/evaluation/studies/long_run.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "sona/evaluation/arms/cache_arms.h"
#include "sona/evaluation/arms/learner_arm.h"

namespace ruvllm::sona {
namespace {

constexpr std::array<const char*, 4> kArms = {"ours", "unigram_cache", "neural_cache", "bias_only"};
constexpr int kChunksOfStep = 16;

LongArmOutcome outcome_of(const char* arm, const std::vector<double>& gains) {
  std::vector<double> changes;
  int64_t num_improved = 0;
  for (const double gain : gains) {
    changes.push_back(-gain);
    num_improved += gain > 0 ? 1 : 0;
  }
  LongArmOutcome outcome;
  outcome.arm = arm;
  outcome.change = mean_of(changes);
  outcome.share_improved =
      static_cast<double>(num_improved) / static_cast<double>(std::max<size_t>(gains.size(), 1));
  for (const size_t after : LongRunOutcome::kAfter) {
    // The last windows of 40,000 tokens predict a few less.
    if (after > changes.size() + changes.size() / 100) break;
    outcome.after.push_back(mean_of(std::span(changes).first(std::min(after, changes.size()))));
  }
  outcome.blocks = block_means(changes, LongRunOutcome::kBlock);
  return outcome;
}

// What others learned, in a conversation that does not teach.
class FrozenArm final : public Arm {
 public:
  FrozenArm(const StudySetting& setting, std::shared_ptr<const adapters::HeadAdapter> adapter)
      : adapter_(std::move(adapter)),
        served_(setting.device.kernels(), setting.hidden_dim(), setting.share),
        raw_(adapter_->num_experts()) {}

  void predict(const FeedChunk& chunk, std::span<double> log_ratios) override {
    std::array<ServedHead::Ratios, FeedChunk::kMaxPositions> raw;
    served_.predict(*adapter_, chunk, log_ratios, raw);
    for (size_t i = 0; i < log_ratios.size(); ++i) {
      for (size_t expert = 0; expert < raw_.size(); ++expert) raw_[expert] -= raw[i][expert];
    }
  }
  const std::vector<double>& raw() const { return raw_; }  // sums of changes

 private:
  std::shared_ptr<const adapters::HeadAdapter> adapter_;
  ServedHead served_;
  std::vector<double> raw_;
};

}  // namespace

Result<std::unique_ptr<LongRunStudy>> LongRunStudy::create(const StudySetting& setting,
                                                           size_t positions, size_t kept_back) {
  std::unique_ptr<LongRunStudy> study(new LongRunStudy(setting));
  const auto& kernels = setting.device.kernels();
  for (size_t domain = 0; domain < setting.domains.size(); ++domain) {
    const std::span<const int32_t> text = setting.text(domain);
    const size_t available = text.size() - std::min(kept_back, text.size());
    const size_t length = std::min(tokens_for(positions, setting.feed.window), available);
    study->num_positions_ = std::max(study->num_positions_, length);
    Lane lane;
    RUVLLM_ASSIGN(lane.feed, TextFeed::create(setting.model, setting.device, setting.feed));
    lane.start(text.first(length));
    lane.arms.push_back(std::make_unique<LearnerArm>(
        kernels, setting.features,
        LearnerArmOptions{.learner = setting.learner, .share = setting.share}));
    lane.arms.push_back(std::make_unique<UnigramArm>(setting.vocab_size()));
    lane.arms.push_back(std::make_unique<NeuralCacheArm>(kernels, setting.features));
    lane.arms.push_back(std::make_unique<BiasArm>(setting.vocab_size()));
    study->lanes_.push_back(std::move(lane));
  }
  return study;
}

Result<bool> LongRunStudy::step() {
  for (int i = 0; i < kChunksOfStep; ++i) {
    RUVLLM_ASSIGN(const bool has_more, walk_chunk(setting_.device, lanes_));
    if (!has_more) return false;
  }
  return true;
}

double LongRunStudy::done() const {
  size_t most = 0;
  for (const Lane& lane : lanes_) most = std::max(most, lane.base_losses.size());
  return static_cast<double>(most) / static_cast<double>(std::max<size_t>(num_positions_, 1));
}

std::vector<LongRunOutcome> LongRunStudy::outcomes() const {
  std::vector<LongRunOutcome> outcomes;
  for (size_t domain = 0; domain < lanes_.size(); ++domain) {
    const Lane& lane = lanes_[domain];
    LongRunOutcome outcome;
    outcome.domain = setting_.domains[domain].name;
    outcome.num_positions = static_cast<int64_t>(lane.base_losses.size());
    outcome.base_loss = mean_of(lane.base_losses);
    for (size_t arm = 0; arm < lane.log_ratios.size(); ++arm) {
      outcome.arms.push_back(outcome_of(kArms[arm], lane.log_ratios[arm]));
    }
    const auto& weights = static_cast<LearnerArm&>(*lane.arms.front()).served().weights();
    for (size_t expert = 0; weights && expert < weights->num_experts(); ++expert) {
      outcome.final_weights.push_back(weights->weight(expert));
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

std::vector<std::shared_ptr<const adapters::HeadAdapter>> LongRunStudy::adapters() const {
  std::vector<std::shared_ptr<const adapters::HeadAdapter>> adapters;
  for (const Lane& lane : lanes_) {
    adapters.push_back(static_cast<const LearnerArm&>(*lane.arms.front()).shared_adapter());
  }
  return adapters;
}

Result<std::unique_ptr<TransferStudy>> TransferStudy::create(
    const StudySetting& setting, std::vector<std::shared_ptr<const adapters::HeadAdapter>> taught,
    size_t conversations) {
  std::unique_ptr<TransferStudy> study(new TransferStudy(setting));
  study->conversations_ = std::max<size_t>(conversations, 1);
  study->taught_ = std::move(taught);
  for (size_t domain = 0; domain < setting.domains.size(); ++domain) {
    Lane lane;
    RUVLLM_ASSIGN(lane.feed, TextFeed::create(setting.model, setting.device, setting.feed));
    study->lanes_.push_back(std::move(lane));
  }
  const Sums none{0, {}};
  study->sums_.assign(study->lanes_.size(), std::vector<Sums>(study->taught_.size(), none));
  study->num_positions_.assign(study->lanes_.size(), 0);
  return study;
}

Result<bool> TransferStudy::step() {
  for (size_t spoken = 0; spoken < lanes_.size(); ++spoken) {
    const std::span<const int32_t> text = setting_.text(spoken);
    const size_t all = std::min(conversations_ * kConversationTokens, text.size());
    const size_t begin = std::min(text.size() - all + next_ * kConversationTokens, text.size());
    lanes_[spoken].start(text.subspan(begin, std::min(kConversationTokens, text.size() - begin)));
    for (const auto& adapter : taught_) {
      lanes_[spoken].arms.push_back(std::make_unique<FrozenArm>(setting_, adapter));
    }
  }
  RUVLLM_TRY(walk(setting_.device, lanes_));
  for (size_t spoken = 0; spoken < lanes_.size(); ++spoken) {
    const Lane& lane = lanes_[spoken];
    num_positions_[spoken] += static_cast<int64_t>(lane.base_losses.size());
    for (size_t taught = 0; taught < lane.log_ratios.size(); ++taught) {
      Sums& sums = sums_[spoken][taught];
      for (const double gain : lane.log_ratios[taught]) sums.hedged -= gain;
      const std::vector<double>& raw = static_cast<const FrozenArm&>(*lane.arms[taught]).raw();
      sums.raw.resize(raw.size());
      for (size_t expert = 0; expert < raw.size(); ++expert) sums.raw[expert] += raw[expert];
    }
  }
  return ++next_ < conversations_;
}

std::vector<TransferOutcome> TransferStudy::outcomes() const {
  std::vector<TransferOutcome> outcomes;
  for (size_t taught = 0; taught < taught_.size(); ++taught) {
    for (size_t spoken = 0; spoken < lanes_.size(); ++spoken) {
      const Sums& sums = sums_[spoken][taught];
      const double count = static_cast<double>(std::max<int64_t>(num_positions_[spoken], 1));
      TransferOutcome outcome{setting_.domains[taught].name, setting_.domains[spoken].name,
                              sums.hedged / count, sums.raw};
      for (double& change : outcome.raw) change /= count;
      outcomes.push_back(std::move(outcome));
    }
  }
  return outcomes;
}

}  // namespace ruvllm::sona
