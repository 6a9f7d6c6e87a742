#include "api/learning/evaluation/report.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "sona/evaluation/statistics.h"

namespace ruvllm::api {
namespace {

using nlohmann::json;

// Six digits: more would be noise.
double rounded(double value) { return std::round(value * 1e6) / 1e6; }

json rounded(std::span<const double> values) {
  json list = json::array();
  for (const double value : values) list.push_back(rounded(value));
  return list;
}

template <size_t kCount>
json after_json(const std::vector<double>& values, const std::array<size_t, kCount>& places) {
  json object = json::object();
  for (size_t i = 0; i < values.size(); ++i) {
    object[std::to_string(places[i])] = rounded(values[i]);
  }
  return object;
}

json arm_json(const sona::ArmOutcome& arm) {
  constexpr size_t kPlotBlock = 32;
  return {{"arm", arm.arm},
          {"delta_nll", rounded(arm.change.mean)},
          {"ci", {rounded(arm.change.low), rounded(arm.change.high)}},
          {"share_improved", rounded(arm.share_improved)},
          {"after", after_json(arm.after, sona::ArmOutcome::kAfter)},
          {"tokens_to_half", arm.tokens_to_half ? json(*arm.tokens_to_half) : json(nullptr)},
          {"curve", rounded(sona::block_means(arm.by_place, kPlotBlock))},
          {"curve_block", kPlotBlock}};
}

// Of every arm over the streams of all texts.
json all_json(const std::vector<sona::DomainOutcome>& domains) {
  json list = json::array();
  if (domains.empty()) return list;
  for (size_t arm = 0; arm < domains.front().arms.size(); ++arm) {
    std::vector<double> streams;
    double improved = 0;
    for (const sona::DomainOutcome& domain : domains) {
      const sona::ArmOutcome& outcome = domain.arms[arm];
      streams.insert(streams.end(), outcome.by_stream.begin(), outcome.by_stream.end());
      improved += outcome.share_improved / static_cast<double>(domains.size());
    }
    const sona::Interval change = sona::bootstrap_interval(streams);
    list.push_back({{"arm", domains.front().arms[arm].arm},
                    {"delta_nll", rounded(change.mean)},
                    {"ci", {rounded(change.low), rounded(change.high)}},
                    {"share_improved", rounded(improved)},
                    {"streams", streams.size()}});
  }
  return list;
}

}  // namespace

json streams_json(const sona::PrequentialStudy& study) {
  const std::vector<sona::DomainOutcome> outcomes = study.outcomes();
  json domains = json::array();
  for (const sona::DomainOutcome& outcome : outcomes) {
    json arms = json::array();
    for (const sona::ArmOutcome& arm : outcome.arms) arms.push_back(arm_json(arm));
    domains.push_back({{"domain", outcome.domain},
                       {"base_nll", rounded(outcome.base_loss)},
                       {"streams", study.num_streams()},
                       {"arms", arms}});
  }
  return {{"domains", domains}, {"all", all_json(outcomes)}};
}

json long_runs_json(const sona::LongRunStudy& study) {
  json domains = json::array();
  for (const sona::LongRunOutcome& outcome : study.outcomes()) {
    json arms = json::array();
    for (const sona::LongArmOutcome& arm : outcome.arms) {
      arms.push_back({{"arm", arm.arm},
                      {"delta_nll", rounded(arm.change)},
                      {"share_improved", rounded(arm.share_improved)},
                      {"after", after_json(arm.after, sona::LongRunOutcome::kAfter)},
                      {"curve", rounded(arm.blocks)},
                      {"curve_block", sona::LongRunOutcome::kBlock}});
    }
    domains.push_back({{"domain", outcome.domain},
                       {"tokens", outcome.num_positions},
                       {"base_nll", rounded(outcome.base_loss)},
                       {"final_weights", rounded(outcome.final_weights)},
                       {"arms", arms}});
  }
  return domains;
}

json transfer_json(const sona::TransferStudy& study) {
  json list = json::array();
  double worst = -INFINITY;
  for (const sona::TransferOutcome& outcome : study.outcomes()) {
    list.push_back({{"taught", outcome.taught},
                    {"spoken", outcome.spoken},
                    {"delta_nll", rounded(outcome.hedged)},
                    {"delta_nll_by_expert", rounded(outcome.raw)}});
    if (outcome.taught != outcome.spoken) worst = std::max(worst, outcome.hedged);
  }
  return {{"pairs", list}, {"worst_rise", std::isfinite(worst) ? json(rounded(worst)) : json()}};
}

json forgetting_json(const sona::ForgettingStudy& study, const sona::StudySetting& setting) {
  json orders = json::array();
  for (const std::vector<size_t>& order : study.orders()) {
    json names = json::array();
    for (const size_t domain : order) names.push_back(setting.domains[domain].name);
    orders.push_back(names);
  }
  json methods = json::array();
  for (const sona::ForgettingOutcome& outcome : study.outcomes()) {
    json matrices = json::array();
    for (const auto& matrix : outcome.matrices) {
      json rows = json::array();
      for (const std::vector<double>& row : matrix) rows.push_back(rounded(row));
      matrices.push_back(rows);
    }
    methods.push_back({{"method", outcome.method},
                       {"gain", rounded(outcome.gain)},
                       {"forgetting", rounded(outcome.forgetting)},
                       {"bwt", rounded(-outcome.forgetting)},
                       {"final", rounded(outcome.final_change)},
                       {"worst", rounded(outcome.worst)},
                       {"matrices", matrices}});
  }
  json together = json::array();
  for (const sona::TogetherOutcome& outcome : study.together()) {
    json by_domain = json::object();
    for (size_t domain = 0; domain < outcome.changes.size(); ++domain) {
      by_domain[setting.domains[domain].name] = rounded(outcome.changes[domain]);
    }
    together.push_back({{"method", outcome.method}, {"delta_nll", by_domain}});
  }
  return {{"orders", orders}, {"methods", methods}, {"together", together}};
}

json gradients_json(const sona::GradientStudy& study) {
  const auto spread = [](const sona::Spread& values) {
    return json{{"mean", rounded(values.mean)}, {"p10", rounded(values.tenth)}};
  };
  json list = json::array();
  for (const sona::GradientOutcome& outcome : study.outcomes()) {
    list.push_back({{"domain", outcome.domain},
                    {"tokens", outcome.num_positions},
                    {"mass", spread(outcome.mass)},
                    {"cosine_rows", spread(outcome.rows)},
                    {"cosine_hidden", spread(outcome.hidden)}});
  }
  return list;
}

json safety_json(const sona::SafetyStudy& study) {
  json list = json::array();
  for (const sona::SafetyOutcome& outcome : study.outcomes()) {
    list.push_back({{"stream", outcome.stream},
                    {"tokens", outcome.num_positions},
                    {"delta_nll", rounded(outcome.change)},
                    {"worst_lead", rounded(outcome.worst_lead)},
                    {"bound", rounded(outcome.bound)},
                    {"harm", rounded(outcome.harm)},
                    {"certificate", rounded(outcome.certificate)},
                    {"restarts", outcome.num_restarts}});
  }
  return list;
}

}  // namespace ruvllm::api
