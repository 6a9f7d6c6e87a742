#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/learn/learn.h"
#include "cli/commands/memory_report.h"
#include "cli/commands/model.h"
#include "cli/options/request/adapter.h"
#include "cli/options/request/speculation.h"
#include "cli/terminal/text.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {
namespace {

struct BenchFlags {
  std::string model;
  BenchOptions bench;
  std::vector<AdapterSource> adapters;
  SpeculationFlags speculation;
  LearnFlags learn;
};

Json prefix_json(const std::optional<BenchPrefix>& prefix) {
  if (!prefix) return nullptr;
  return Json{{"first_ms", prefix->first_ms},
              {"second_ms", prefix->second_ms},
              {"cached_tokens", prefix->cached_tokens}};
}

Json bench_json(const BenchReport& report, const BenchOptions& options, const EngineInfo& info) {
  Json decode = Json::array();
  for (const BenchDecode& row : report.decode) {
    decode.push_back({{"batch", row.batch},
                      {"tok_s", row.tok_s},
                      {"ms_p50", row.ms_p50},
                      {"ms_p99", row.ms_p99},
                      {"prefill_tok_s", row.prefill_tok_s},
                      {"drafted_tokens", row.drafted_tokens},
                      {"accepted_tokens", row.accepted_tokens}});
    if (options.num_adapters == 0) continue;
    decode.back()["adapters_tok_s"] = row.adapters_tok_s;
    decode.back()["adapters_fraction"] = row.adapters_fraction;
  }
  return Json{{"prefill_tok_s", report.prefill_tok_s},
              {"decode", decode},
              {"shared_prefix", prefix_json(report.prefix)},
              {"load_ms", report.load_ms},
              {"peak_rss_bytes", report.peak_rss_bytes},
              {"bandwidth_gb_s", report.bandwidth_gb_s},
              {"roofline_fraction", report.roofline_fraction},
              {"isa", report.isa},
              {"speculation", speculation_name(info.speculation)},
              {"model", info.model_name},
              {"device", info.device},
              {"threads", info.num_threads},
              {"prompt_tokens", options.prompt_tokens},
              {"generated_tokens", options.generated_tokens},
              {"depth", options.depth},
              {"repetitions", options.repetitions},
              {"adapters", options.num_adapters},
              {"adapter_rank", options.num_adapters > 0 ? options.adapter_rank : 0},
              {"adapter_bytes", report.adapter_bytes},
              {"memory", memory_json(report.memory)}};
}

std::string bench_table(const BenchReport& report, const BenchOptions& options,
                        const EngineInfo& info) {
  using enum Table::Align;
  Table speeds({kLeft, kRight, kRight, kRight});
  speeds.add_row({"", "tok/s", "ms p50", "ms p99"});
  speeds.add_row({fmt::format("prefill {} tokens", options.prompt_tokens),
                  fmt::format("{:.1f}", report.prefill_tok_s)});
  for (const BenchDecode& row : report.decode) {
    speeds.add_row({fmt::format("decode {} tokens, batch {}", options.generated_tokens, row.batch),
                    fmt::format("{:.1f}", row.tok_s), fmt::format("{:.2f}", row.ms_p50),
                    fmt::format("{:.2f}", row.ms_p99)});
    if (options.num_adapters == 0) continue;
    speeds.add_row(
        {fmt::format("  with {} adapters of rank {}", options.num_adapters, options.adapter_rank),
         fmt::format("{:.1f}", row.adapters_tok_s),
         fmt::format("{:.1f} %", row.adapters_fraction * 100.0)});
  }
  Table facts({kLeft, kLeft});
  facts.add_row({"model", fmt::format("{} ({} parameters)", info.model_name,
                                      format_count(info.num_parameters))});
  facts.add_row(
      {"device", fmt::format("{} ({}), {} threads", info.device, report.isa, info.num_threads)});
  facts.add_row(
      {"depth", fmt::format("{} tokens, median of {} runs", options.depth, options.repetitions)});
  for (const BenchDecode& row : report.decode) {
    const std::string drafts = describe_drafts(row.drafted_tokens, row.accepted_tokens);
    if (drafts.empty()) continue;
    facts.add_row({fmt::format("speculation, batch {}", row.batch), drafts});
  }
  if (report.prefix) {
    facts.add_row({"first token", fmt::format("{:.2f} ms, with {} tokens from the cache {:.2f} ms",
                                              report.prefix->first_ms, report.prefix->cached_tokens,
                                              report.prefix->second_ms)});
  }
  facts.add_row({"load", fmt::format("{:.1f} ms", report.load_ms)});
  facts.add_row({"peak memory", format_bytes(report.peak_rss_bytes)});
  facts.add_row({"bandwidth", fmt::format("{:.1f} GB/s, decode uses {:.0f}%", report.bandwidth_gb_s,
                                          report.roofline_fraction * 100.0)});
  return facts.render() + "\n" + speeds.render() + "\n" + memory_table(report.memory);
}

Status bench(BenchFlags& flags, CommandContext& context) {
  const BenchOptions& options = flags.bench;
  RUVLLM_ASSIGN(EngineOptions engine_settings, engine_options(context, flags.model));
  RUVLLM_TRY(split_learned(flags.adapters, flags.learn));
  engine_settings.adapters = flags.adapters;
  // What is compared is the speed of decoding, not how often a model repeats itself.
  RUVLLM_TRY(
      apply_speculation(flags.speculation, context.options, Speculation::kOff, engine_settings));
  // What is measured is the state after the first second, in which the packing ends.
  if (engine_settings.weights == WeightForm::kAuto) engine_settings.weights = WeightForm::kPacked;
  engine_settings.max_sequences = std::ranges::max(options.batch_sizes);
  RUVLLM_ASSIGN(const std::unique_ptr<Engine> engine, Engine::create(engine_settings));
  RUVLLM_ASSIGN(const std::unique_ptr<Sona> sona, open_sona(*engine, flags.learn, context.output));
  flags.bench.user = flags.learn.user;
  RUVLLM_ASSIGN(const BenchReport report, engine->benchmark(options));
  if (context.output.json()) {
    context.output.write_json(bench_json(report, options, engine->info()));
  } else {
    context.output.write(bench_table(report, options, engine->info()));
  }
  return {};
}

}  // namespace

void add_bench_command(CommandLine& line) {
  auto flags = std::make_shared<BenchFlags>();
  CommandLine::Command& command =
      line.add("bench", "Measure prefill and decode speed", CommonSet::kAll);
  CommandParser& parser = command.parser;
  BenchOptions& options = flags->bench;
  constexpr int kMostTokens = 1 << 24;
  add_model_argument(parser, flags->model);
  parser
      .add_option("-p,--prompt-tokens", options.prompt_tokens,
                  "Prompt tokens of the prefill; 0: none")
      .range(0, kMostTokens)
      .value_name("N")
      .show_default();
  parser.add_option("-n,--generated-tokens", options.generated_tokens, "Tokens to decode; 0: none")
      .range(0, kMostTokens)
      .value_name("N")
      .show_default();
  parser.add_option("-b,--batch", options.batch_sizes, "Sequences at once, e.g. 1,8")
      .range(1, 4096)
      .value_name("N,...")
      .separator(',')
      .show_default("1");
  parser.add_option("-d,--depth", options.depth, "Tokens in the cache before the clock starts")
      .range(0, kMostTokens)
      .value_name("N")
      .show_default();
  parser
      .add_option("--shared-prefix", options.shared_prefix,
                  "Time to the first token of two prompts that begin with so many tokens; 0: no")
      .range(0, kMostTokens)
      .value_name("N")
      .show_default();
  parser.add_option("-r,--repetitions", options.repetitions, "Runs; the median counts")
      .range(1, 1000)
      .value_name("N")
      .show_default();
  parser
      .add_option("--adapters", options.num_adapters,
                  "Decode without and with this many random adapters, given out in turn")
      .range(0, 4096)
      .value_name("N");
  parser.add_option("--adapter-rank", options.adapter_rank, "Of these adapters, on all products")
      .range(1, 512)
      .value_name("R")
      .show_default();
  add_adapter_flag(parser, flags->adapters);
  add_user_flag(parser, flags->learn);
  add_state_flags(parser, flags->learn.state);
  add_speculation_flags(parser, flags->speculation, "off");
  parser.footer(
      "Examples:\n  ruvllm bench model.gguf -p 512 -n 64 -b 1,8\n"
      "  ruvllm bench model.gguf -p 0 -b 64 --adapters 64 --adapter-rank 16");
  command.run = [flags](CommandContext& context) { return bench(*flags, context); };
}

}  // namespace ruvllm::cli
