#include "sona/evaluation/studies/safety.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/numeric/random_stream.h"
#include "sona/evaluation/arms/learner_arm.h"
#include "sona/evaluation/statistics.h"

namespace ruvllm::sona {
namespace {

struct Stream {
  const char* name;
  Teaching teaching;
  enum class Text : uint8_t { kFirst, kRandom, kAlternating } text;
};
constexpr std::array<Stream, 4> kStreams = {{
    // The text is noise, and is learned.
    {"random_tokens", Teaching::kTrue, Stream::Text::kRandom},
    // Two subjects, a window each in turn.
    {"alternating", Teaching::kTrue, Stream::Text::kAlternating},
    // Every target is taught as another token, always the same, and then never the same.
    {"flipped_targets", Teaching::kShuffledLabels, Stream::Text::kFirst},
    {"random_targets", Teaching::kRandomLabels, Stream::Text::kFirst},
}};

std::vector<int32_t> text_of(const StudySetting& setting, Stream::Text text, size_t length) {
  std::vector<int32_t> tokens;
  if (text == Stream::Text::kRandom) {
    const RandomStream random(17);
    for (uint64_t i = 0; i < length; ++i) {
      tokens.push_back(
          static_cast<int32_t>(random.bits(i) % static_cast<uint64_t>(setting.vocab_size())));
    }
    return tokens;
  }
  const std::span<const int32_t> first = setting.text(0);
  if (text == Stream::Text::kFirst) {
    tokens.assign(first.begin(),
                  first.begin() + static_cast<ptrdiff_t>(std::min(length, first.size())));
    return tokens;
  }
  const std::span<const int32_t> other = setting.text(setting.domains.size() - 1);
  const size_t window = static_cast<size_t>(setting.feed.window);
  for (size_t begin = 0; tokens.size() < length; begin += window) {
    if (begin + window > std::min(first.size(), other.size())) break;
    for (const auto& part : {first.subspan(begin, window), other.subspan(begin, window)}) {
      tokens.insert(tokens.end(), part.begin(), part.end());
    }
  }
  return tokens;
}

}  // namespace

Result<std::unique_ptr<SafetyStudy>> SafetyStudy::create(const StudySetting& setting,
                                                         size_t positions) {
  std::unique_ptr<SafetyStudy> study(new SafetyStudy(setting));
  study->positions_ = positions;
  Lane& lane = study->lanes_.emplace_back();
  RUVLLM_ASSIGN(lane.feed, TextFeed::create(setting.model, setting.device, setting.feed));
  return study;
}

Result<bool> SafetyStudy::step() {
  const Stream& stream = kStreams[outcomes_.size()];
  const std::vector<int32_t> tokens =
      text_of(setting_, stream.text, tokens_for(positions_, setting_.feed.window));
  Lane& lane = lanes_.front();
  lane.start(tokens);
  lane.arms.push_back(std::make_unique<LearnerArm>(
      setting_.device.kernels(), setting_.features,
      LearnerArmOptions{
          .learner = setting_.learner, .share = setting_.share, .teaching = stream.teaching}));
  RUVLLM_TRY(walk(setting_.device, lanes_));
  auto& arm = static_cast<LearnerArm&>(*lane.arms.front());
  SafetyOutcome outcome;
  outcome.stream = stream.name;
  outcome.num_positions = static_cast<int64_t>(lane.base_losses.size());
  double lead = 0;
  for (const double gain : lane.log_ratios.front()) {
    lead -= gain;
    outcome.worst_lead = std::max(outcome.worst_lead, lead);
  }
  outcome.change = -mean_of(lane.log_ratios.front());
  outcome.bound = -std::log(arm.adapter().prior.front());
  outcome.harm = arm.learner().fast_head(0).harm().measured;
  outcome.certificate = arm.learner().fast_head(0).harm().certificate;
  outcome.num_restarts = arm.num_restarts();
  outcomes_.push_back(outcome);
  return outcomes_.size() < kStreams.size();
}

double SafetyStudy::done() const {
  return static_cast<double>(outcomes_.size()) / static_cast<double>(kStreams.size());
}

}  // namespace ruvllm::sona
