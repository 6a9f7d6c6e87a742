#include "cli/commands/learn/eval_tables.h"

#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/terminal/text.h"

namespace ruvllm::cli {
namespace {

using nlohmann::json;

constexpr Table::Align kLeft = Table::Align::kLeft;
constexpr Table::Align kRight = Table::Align::kRight;

std::string number(const json& value) {
  return value.is_number() ? fmt::format("{:+.3f}", value.get<double>()) : "-";
}

std::string streams_table(const json& streams) {
  Table table({kLeft, kLeft, kRight, kLeft, kRight, kRight});
  table.add_row({"text", "learner", "nat/token", "95 %", "improved", "half after"});
  const auto add = [&table](const std::string& text, const json& arm) {
    const json half = arm.value("tokens_to_half", json(nullptr));
    table.add_row({text, arm["arm"].get<std::string>(), number(arm["delta_nll"]),
                   fmt::format("{} to {}", number(arm["ci"][0]), number(arm["ci"][1])),
                   fmt::format("{:.0f} %", 100 * arm["share_improved"].get<double>()),
                   half.is_null() ? "-" : fmt::format("{}", half.get<int64_t>())});
  };
  for (const json& domain : streams["domains"]) {
    for (const json& arm : domain["arms"]) add(domain["domain"].get<std::string>(), arm);
  }
  for (const json& arm : streams["all"]) add("all", arm);
  return table.render();
}

std::string long_table(const json& runs) {
  Table table({kLeft, kRight, kRight, kLeft, kRight});
  table.add_row({"text", "tokens", "base", "learner", "nat/token"});
  for (const json& run : runs) {
    for (const json& arm : run["arms"]) {
      table.add_row({run["domain"].get<std::string>(),
                     fmt::format("{}", run["tokens"].get<int64_t>()),
                     fmt::format("{:.3f}", run["base_nll"].get<double>()),
                     arm["arm"].get<std::string>(), number(arm["delta_nll"])});
    }
  }
  return table.render();
}

std::string conversations_table(const json& conversations) {
  Table table({kLeft, kLeft, kRight});
  table.add_row({"taught", "spoken of", "nat/token"});
  for (const json& pair : conversations["pairs"]) {
    table.add_row({pair["taught"].get<std::string>(), pair["spoken"].get<std::string>(),
                   fmt::format("{:+.4f}", pair["delta_nll"].get<double>())});
  }
  return table.render();
}

std::string forgetting_table(const json& forgetting) {
  Table table({kLeft, kRight, kRight, kRight, kRight});
  table.add_row({"method", "when learned", "forgotten", "at the end", "worst"});
  for (const json& method : forgetting["methods"]) {
    table.add_row({method["method"].get<std::string>(), number(method["gain"]),
                   number(method["forgetting"]), number(method["final"]), number(method["worst"])});
  }
  return table.render();
}

std::string gradients_table(const json& gradients) {
  Table table({kLeft, kRight, kRight, kRight});
  table.add_row({"text", "mass of 32", "cosine, rows", "cosine, states"});
  for (const json& text : gradients) {
    table.add_row({text["domain"].get<std::string>(), number(text["mass"]["mean"]),
                   number(text["cosine_rows"]["mean"]), number(text["cosine_hidden"]["mean"])});
  }
  return table.render();
}

std::string safety_table(const json& safety) {
  Table table({kLeft, kRight, kRight, kRight, kRight});
  table.add_row({"stream", "nat/token", "worst lead, nat", "bound", "restarts"});
  for (const json& stream : safety) {
    table.add_row({stream["stream"].get<std::string>(), number(stream["delta_nll"]),
                   number(stream["worst_lead"]), number(stream["bound"]),
                   fmt::format("{}", stream["restarts"].get<int64_t>())});
  }
  return table.render();
}

struct Section {
  const char* part;
  const char* title;
  std::string (*table)(const json&);
};
constexpr Section kSections[] = {
    {"streams", "Streams: predict, then learn", streams_table},
    {"long", "Long streams", long_table},
    {"conversations", "New conversations about other texts", conversations_table},
    {"forgetting", "Subjects one after another", forgetting_table},
    {"gradients", "The 32 most probable tokens' part of the gradient", gradients_table},
    {"safety", "Streams that are meant to do harm", safety_table}};

}  // namespace

std::string evaluation_tables(const json& report, const Style& style) {
  std::string out;
  for (const Section& section : kSections) {
    if (!report.contains(section.part)) continue;
    out += style.bold(section.title) + "\n" + section.table(report[section.part]) + "\n";
  }
  return out;
}

}  // namespace ruvllm::cli
