#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "api/learning/evaluation/report.h"
#include "api/models/checkpoint/open_model.h"
#include "base/core/error.h"
#include "base/system/clock.h"
#include "device/cpu_device.h"
#include "engine/loop/cache_plan.h"
#include "model/model.h"
#include "sona/evaluation/studies/study.h"
#include <ruvllm/learning/evaluation.h>

namespace ruvllm {

using nlohmann::json;

// Studies are made when their turn comes: they need memory, and the results of others.
struct LearningEvaluation::Impl {
  bool wants(std::string_view part) const {
    return options.parts.empty() || std::ranges::find(options.parts, part) != options.parts.end();
  }
  void plan();
  Result<std::unique_ptr<sona::Study>> begin_study();
  void end_study();

  LearningEvaluationOptions options;
  std::unique_ptr<device::CpuDevice> device;
  std::unique_ptr<const model::Model> model;
  std::optional<sona::StudySetting> setting;
  std::vector<std::string> planned;  // studies, in their order
  size_t next = 0;
  std::unique_ptr<sona::Study> study;  // planned[next], once begun
  uint64_t begun_us = 0;
  std::vector<std::shared_ptr<const adapters::HeadAdapter>> taught;
  json report = json::object();
};

void LearningEvaluation::Impl::plan() {
  if (wants("streams")) planned.emplace_back("streams");
  if (wants("long")) {
    planned.emplace_back("long");
    planned.emplace_back("conversations");
  }
  for (const char* part : {"forgetting", "gradients", "safety"}) {
    if (wants(part)) planned.emplace_back(part);
  }
}

Result<std::unique_ptr<sona::Study>> LearningEvaluation::Impl::begin_study() {
  begun_us = monotonic_us();
  const std::string& name = planned[next];
  const size_t kept_back = options.conversations * sona::TransferStudy::kConversationTokens;
  if (name == "streams") {
    return sona::PrequentialStudy::create(
        *setting, {.streams = static_cast<int32_t>(options.streams),
                   .seeds = static_cast<int32_t>(options.seeds),
                   .positions = static_cast<int32_t>(options.stream_tokens)});
  }
  if (name == "long") {
    return sona::LongRunStudy::create(*setting, options.long_tokens, kept_back);
  }
  if (name == "conversations") {
    return sona::TransferStudy::create(*setting, taught, options.conversations);
  }
  if (name == "forgetting") {
    return sona::ForgettingStudy::create(*setting,
                                         {.learned = static_cast<int32_t>(options.task_tokens),
                                          .tested = static_cast<int32_t>(options.task_test_tokens),
                                          .orders = static_cast<int32_t>(options.orders)});
  }
  const size_t positions = options.stream_tokens;
  if (name == "gradients") {
    constexpr size_t kMostPositions = 512;
    return sona::GradientStudy::create(*setting,
                                       static_cast<int32_t>(std::min(positions, kMostPositions)));
  }
  return sona::SafetyStudy::create(*setting, positions);
}

void LearningEvaluation::Impl::end_study() {
  const std::string& name = planned[next];
  if (name == "streams") {
    report[name] = api::streams_json(static_cast<const sona::PrequentialStudy&>(*study));
  } else if (name == "long") {
    const auto& run = static_cast<const sona::LongRunStudy&>(*study);
    report[name] = api::long_runs_json(run);
    taught = run.adapters();
  } else if (name == "conversations") {
    report[name] = api::transfer_json(static_cast<const sona::TransferStudy&>(*study));
  } else if (name == "forgetting") {
    report[name] =
        api::forgetting_json(static_cast<const sona::ForgettingStudy&>(*study), *setting);
  } else if (name == "gradients") {
    report[name] = api::gradients_json(static_cast<const sona::GradientStudy&>(*study));
  } else {
    report[name] = api::safety_json(static_cast<const sona::SafetyStudy&>(*study));
  }
  report["seconds"][name] = static_cast<double>(monotonic_us() - begun_us) * 1e-6;
  study.reset();
  ++next;
}

std::vector<std::string> learning_evaluation_parts() {
  return {"streams", "long", "forgetting", "gradients", "safety"};
}

Result<LearningEvaluation> LearningEvaluation::create(const LearningEvaluationOptions& options,
                                                      std::vector<EvaluationText> texts) {
  for (const std::string& part : options.parts) {
    const std::vector<std::string> known = learning_evaluation_parts();
    if (std::ranges::find(known, part) == known.end()) {
      return fail(ErrorCode::kInvalidArgument, "there is no part '{}'; the parts are {}", part,
                  fmt::join(known, ", "));
    }
  }
  if (texts.empty()) return fail(ErrorCode::kInvalidArgument, "no text to learn from");
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  RUVLLM_ASSIGN(impl->device, device::CpuDevice::create(options.num_threads, options.cpu_isa));
  RUVLLM_ASSIGN(api::OpenedModel opened,
                api::open_model(options.model_path, api::OpenScope::kWeights));
  RUVLLM_ASSIGN(impl->model, model::Model::load(std::move(opened.file), *impl->device));
  const int32_t vocab_size = impl->model->config().vocab_size;
  std::vector<sona::Domain> domains;
  for (EvaluationText& text : texts) {
    for (const TokenId token : text.tokens) {
      if (token < 0 || token >= vocab_size) {
        return fail(ErrorCode::kInvalidArgument, "{}: token {} is not in the vocabulary of {}",
                    text.name, token, vocab_size);
      }
    }
    if (text.tokens.size() < 2 * size_t{options.window}) {
      return fail(ErrorCode::kInvalidArgument, "{}: {} tokens; give at least two windows of {}",
                  text.name, text.tokens.size(), options.window);
    }
    domains.push_back({std::move(text.name), std::move(text.tokens)});
  }
  const sona::FeedOptions feed{.window = static_cast<int32_t>(options.window),
                               .page_shape = engine::page_shape(impl->model->config())};
  RUVLLM_ASSIGN(auto features, sona::measure_features(*impl->model, *impl->device, feed, domains));
  impl->setting.emplace(sona::StudySetting{.model = *impl->model,
                                           .device = *impl->device,
                                           .feed = feed,
                                           .domains = std::move(domains),
                                           .features = std::move(features),
                                           .learner = {}});
  impl->plan();
  return LearningEvaluation(std::move(impl));
}

LearningEvaluation::LearningEvaluation(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LearningEvaluation::LearningEvaluation(LearningEvaluation&&) noexcept = default;
LearningEvaluation& LearningEvaluation::operator=(LearningEvaluation&&) noexcept = default;
LearningEvaluation::~LearningEvaluation() = default;

Result<bool> LearningEvaluation::step() {
  Impl& impl = *impl_;
  if (impl.next == impl.planned.size()) return false;
  if (impl.study == nullptr) {
    RUVLLM_ASSIGN(impl.study, impl.begin_study());
  }
  RUVLLM_ASSIGN(const bool has_more, impl.study->step());
  if (!has_more) impl.end_study();
  return impl.next < impl.planned.size();
}

double LearningEvaluation::done() const {
  return impl_->study == nullptr ? 0 : impl_->study->done();
}

std::string_view LearningEvaluation::current() const {
  return impl_->study == nullptr ? std::string_view() : impl_->study->name();
}

std::string LearningEvaluation::report_json() const { return impl_->report.dump(); }

}  // namespace ruvllm
