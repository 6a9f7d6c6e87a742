// What all studies share, and how they are run: step by step, so that progress can be shown.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/head/features.h"
#include "base/core/error.h"
#include "device/cpu_device.h"
#include "model/model.h"
#include "sona/evaluation/feed/text_feed.h"
#include "sona/instant/instant_learner.h"

namespace ruvllm::sona {

struct Domain {
  std::string name;
  std::vector<int32_t> tokens;
};

// Owns nothing of the first three; all outlive the studies.
struct StudySetting {
  const model::Model& model;
  device::CpuDevice& device;
  FeedOptions feed;
  std::vector<Domain> domains;
  std::shared_ptr<const adapters::HeadFeatures> features;
  // What is proved: the learner as it is served.
  InstantOptions learner;
  double share = 0.02;

  int32_t hidden_dim() const { return model.config().hidden_dim; }
  int32_t vocab_size() const { return model.config().vocab_size; }
  // The first window of each text, from which the mean state is known: nothing is measured there.
  size_t reserved() const { return static_cast<size_t>(feed.window); }
  std::span<const int32_t> text(size_t domain) const {
    return std::span(domains[domain].tokens).subspan(reserved());
  }
};

class Study {
 public:
  virtual ~Study() = default;
  virtual std::string_view name() const = 0;
  // false when done.
  virtual Result<bool> step() = 0;
  // Of its work, 0 to 1.
  virtual double done() const = 0;
};

// The mean of the final states of every text's first window.
Result<std::shared_ptr<const adapters::HeadFeatures>> measure_features(
    const model::Model& model, device::CpuDevice& device, const FeedOptions& feed,
    std::span<const Domain> domains);

}  // namespace ruvllm::sona
