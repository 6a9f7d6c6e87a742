#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "api/engine/bandwidth.h"
#include "api/engine/engine_impl.h"
#include "base/numeric/random_stream.h"
#include "base/system/clock.h"
#include "base/system/memory_info.h"

namespace ruvllm {
namespace {

constexpr uint32_t kWarmUpPrompt = 256;  // tokens at most
constexpr uint32_t kWarmUpSteps = 8;     // at most

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2.0;
}

double percentile(std::vector<double>& values, double fraction) {
  if (values.empty()) return 0.0;
  std::ranges::sort(values);
  const double rank = fraction * static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(rank + 0.5)];
}

// Random prompts that share no prefix, so that no run finds another's keys in the cache.
std::vector<TokenId> random_prompt(uint32_t count, uint32_t vocab_size, uint64_t& salt) {
  const RandomStream random(++salt);
  std::vector<TokenId> prompt(count);
  for (uint32_t i = 0; i < count; ++i) {
    prompt[i] = static_cast<TokenId>(random.bits(i) % vocab_size);
  }
  return prompt;
}

using Adapters = std::shared_ptr<const adapters::AdapterSet>;

// What is measured: the loop, with adapters that its sequences get in turn; none: the model alone.
struct Target {
  engine::StepLoop& loop;
  std::vector<Adapters> adapters;
  std::shared_ptr<const adapters::HeadAdapter> head = {};

  Adapters of_sequence(size_t index) const {
    return adapters.empty() ? nullptr : adapters[index % adapters.size()];
  }
};

// An adapter of all products with random factors, small enough that nothing overflows.
Result<Adapters> random_adapter(const adapters::BaseShape& base, uint32_t rank, uint64_t seed) {
  const auto values = [&](int32_t dim) {
    const RandomStream random(++seed);
    std::vector<float> made(size_t{rank} * static_cast<size_t>(dim));
    for (size_t i = 0; i < made.size(); ++i) {
      made[i] = (static_cast<float>(random.bits(i) % 2048) - 1024.0f) * 0x1p-16f;
    }
    return made;
  };
  const size_t num_targets =
      base.has_experts ? static_cast<size_t>(ops::LoraTarget::kGate) : ops::kNumLoraTargets;
  std::vector<adapters::Adapter::Matrices> matrices;
  for (int32_t layer = 0; layer < base.num_layers; ++layer) {
    for (size_t t = 0; t < num_targets; ++t) {
      const auto target = static_cast<ops::LoraTarget>(t);
      matrices.push_back({layer, target, static_cast<int32_t>(rank), 1.0f,
                          values(base.in_dim(target)), values(base.out_dim(target))});
    }
  }
  RUVLLM_ASSIGN(auto adapter, adapters::Adapter::create("benchmark", base, std::move(matrices)));
  return adapters::AdapterSet::create({{std::move(adapter), 1.0f}});
}

Result<std::shared_ptr<engine::SequenceChannel>> submit(const Target& target,
                                                        std::vector<TokenId> prompt,
                                                        uint32_t max_tokens, size_t index) {
  engine::SequenceRequest request;
  request.adapters = target.of_sequence(index);
  request.head = target.head;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0.0f;
  return target.loop.submit(std::move(request));
}

// The time at which the next token's step was done; by the engine's clock, so that a late reader
// changes nothing.
Result<uint64_t> next_token_ns(engine::SequenceChannel& channel) {
  events::TokenEvent event;
  channel.ring.pop_wait(event);
  if (event.end == events::EndReason::kModelDamaged) {
    return std::unexpected(*channel.result.failure);
  }
  if (event.end != events::EndReason::kNone) {
    return fail(ErrorCode::kInternal, "a benchmark sequence ended early");
  }
  return event.committed_ns;
}

void drain(engine::SequenceChannel& channel) {
  events::TokenEvent event;
  do {
    channel.ring.pop_wait(event);
  } while (event.end == events::EndReason::kNone);
}

Result<double> time_prefill(const Target& target, std::vector<TokenId> prompt) {
  const double count = static_cast<double>(prompt.size());
  const uint64_t begin = monotonic_ns();
  RUVLLM_ASSIGN(const auto channel, submit(target, std::move(prompt), 1, 0));
  RUVLLM_ASSIGN(const uint64_t end, next_token_ns(*channel));
  drain(*channel);
  return count / (static_cast<double>(end - begin) / 1e9);
}

constexpr uint32_t kOwnTokens = 16;  // of a prompt, behind a shared prefix

struct FirstToken {
  double ms = 0.0;
  uint32_t cached_tokens = 0;
};

Result<FirstToken> time_first_token(const Target& target, std::vector<TokenId> prompt) {
  const uint64_t begin = monotonic_ns();
  RUVLLM_ASSIGN(const auto channel, submit(target, std::move(prompt), 1, 0));
  RUVLLM_ASSIGN(const uint64_t end, next_token_ns(*channel));
  drain(*channel);
  return FirstToken{static_cast<double>(end - begin) / 1e6, channel->result.cached_prompt_tokens};
}

// `prompt(count)`: random tokens.
template <typename Prompt>
Result<BenchPrefix> measure_prefix(const Target& target, const BenchOptions& options,
                                   const Prompt& prompt) {
  BenchPrefix result;
  std::vector<double> first, second;
  for (uint32_t i = 0; i < std::max(options.repetitions, 1u); ++i) {
    std::vector<TokenId> shared = prompt(options.shared_prefix);
    for (std::vector<double>* times : {&first, &second}) {
      std::vector<TokenId> whole = shared;
      const std::vector<TokenId> own = prompt(kOwnTokens);
      whole.insert(whole.end(), own.begin(), own.end());
      RUVLLM_ASSIGN(const FirstToken token, time_first_token(target, std::move(whole)));
      times->push_back(token.ms);
      result.cached_tokens = token.cached_tokens;
    }
  }
  result.first_ms = median(first);
  result.second_ms = median(second);
  return result;
}

struct DecodeTimes {
  std::vector<double> prefill_tok_s;  // of each repetition
  std::vector<double> tok_s;          // of each repetition
  std::vector<double> step_ms;        // of each step
  uint64_t drafted = 0, accepted = 0;
};

// `batch` sequences that decode together; the clock runs from the first token of the last of them,
// when all have their prompts behind them. Until then it is their prefill, which for several
// includes the decoding of those that are ahead.
Status time_decode(const Target& target, const std::vector<std::vector<TokenId>>& prompts,
                   uint32_t num_steps, DecodeTimes& times) {
  std::vector<std::shared_ptr<engine::SequenceChannel>> channels;
  const uint64_t submitted = monotonic_ns();
  for (const std::vector<TokenId>& prompt : prompts) {
    // Until cancelled: those that start first need more tokens than the last.
    RUVLLM_ASSIGN(auto channel, submit(target, prompt, 0, channels.size()));
    channels.push_back(std::move(channel));
  }
  uint64_t all_started = submitted;
  for (auto& channel : channels) {
    RUVLLM_ASSIGN(const uint64_t started, next_token_ns(*channel));
    all_started = std::max(all_started, started);
  }
  const double prompt_tokens = static_cast<double>(prompts.size() * prompts[0].size());
  times.prefill_tok_s.push_back(prompt_tokens /
                                (static_cast<double>(all_started - submitted) / 1e9));
  // The channels fill up while one of them is read for its times, hence all are read in turn.
  const size_t last = channels.size() - 1;
  uint64_t previous = 0, begin = 0;
  for (uint32_t step = 0; step <= num_steps; ++step) {
    for (size_t i = 0; i <= last; ++i) {
      RUVLLM_ASSIGN(const uint64_t now, next_token_ns(*channels[i]));
      if (i != last) continue;
      if (step == 0) begin = now;
      // Tokens of one step share their time.
      if (step > 0 && now != previous) {
        times.step_ms.push_back(static_cast<double>(now - previous) / 1e6);
      }
      previous = now;
    }
  }
  // All tokens may come of one step.
  const double seconds = static_cast<double>(std::max<uint64_t>(previous - begin, 1)) / 1e9;
  times.tok_s.push_back(static_cast<double>(prompts.size()) * num_steps / seconds);
  for (auto& channel : channels) channel->cancelled.store(true);
  for (auto& channel : channels) {
    drain(*channel);
    times.drafted += channel->result.drafted_tokens;
    times.accepted += channel->result.accepted_tokens;
  }
  return {};
}

// Before anything as large as the numbers say is allocated. More sequences than run at once would
// wait for each other for ever.
Status check_options(const BenchOptions& options, const engine::StepLoopOptions& limits) {
  for (const auto& [name, tokens] :
       {std::pair("prompt_tokens", uint64_t{options.prompt_tokens} + 1),
        std::pair("shared_prefix", options.shared_prefix == 0
                                       ? uint64_t{0}
                                       : uint64_t{options.shared_prefix} + kOwnTokens + 1),
        std::pair("depth and generated_tokens",
                  uint64_t{std::max(options.depth, 1u)} + options.generated_tokens + 1)}) {
    if (tokens > limits.context_length) {
      return fail(ErrorCode::kInvalidArgument,
                  "benchmark: {} need a context of {} tokens, but it holds {}; lower them or raise "
                  "the context length",
                  name, tokens, limits.context_length);
    }
  }
  for (const uint32_t batch : options.batch_sizes) {
    if (options.num_adapters > 0 &&
        (options.adapter_rank == 0 || options.adapter_rank > ops::kMaxLoraRank)) {
      return fail(ErrorCode::kInvalidArgument, "benchmark: adapters of rank {}; expected 1 to {}",
                  options.adapter_rank, ops::kMaxLoraRank);
    }
    if (batch == 0 || batch > limits.max_sequences) {
      return fail(ErrorCode::kInvalidArgument, "benchmark: a batch of {}; expected 1 to {}", batch,
                  limits.max_sequences);
    }
  }
  return {};
}

}  // namespace

Result<BenchReport> Engine::benchmark(const BenchOptions& options) {
  RUVLLM_TRY(check_options(options, impl_->loop->options()));
  BenchReport report;
  report.load_ms = impl_->info.load_ms;
  report.isa = impl_->info.isa;
  RUVLLM_ASSIGN(const ChosenAdapters chosen, impl_->choose_adapters({}, options.user));
  Target target{.loop = *impl_->loop, .adapters = {}, .head = chosen.use.head};
  if (impl_->default_adapters != nullptr) target.adapters.push_back(impl_->default_adapters);
  Target adapted{.loop = *impl_->loop, .adapters = {}, .head = chosen.use.head};
  for (uint32_t i = 0; i < options.num_adapters; ++i) {
    RUVLLM_ASSIGN(auto adapter, random_adapter(impl_->model->config().lora_base(),
                                               options.adapter_rank, uint64_t{i} << 32));
    report.adapter_bytes = adapter->adapters()[0].adapter->bytes();
    adapted.adapters.push_back(std::move(adapter));
  }
  uint64_t salt = 0;
  const auto prompt = [&](uint32_t count) {
    return random_prompt(count, impl_->info.vocab_size, salt);
  };
  // One more repetition, not counted and short, touches the weights and wakes the threads.
  const auto limited = [](uint32_t repetition, uint32_t tokens, uint32_t warm_up) {
    return repetition == 0 ? std::min(tokens, warm_up) : tokens;
  };
  const uint32_t repetitions = std::max(options.repetitions, 1u);
  std::vector<double> prefill;
  for (uint32_t i = 0; options.prompt_tokens > 0 && i <= repetitions; ++i) {
    const uint32_t tokens = limited(i, options.prompt_tokens, kWarmUpPrompt);
    RUVLLM_ASSIGN(const double tok_s, time_prefill(target, prompt(tokens)));
    if (i > 0) prefill.push_back(tok_s);
  }
  if (!prefill.empty()) report.prefill_tok_s = median(prefill);
  if (options.shared_prefix > 0) {
    RUVLLM_ASSIGN(report.prefix, measure_prefix(target, options, prompt));
  }
  for (const uint32_t batch : options.batch_sizes) {
    if (options.generated_tokens == 0) break;
    DecodeTimes warm_up, times, adapted_times;
    for (uint32_t i = 0; i <= repetitions; ++i) {
      const uint32_t depth = limited(i, std::max(options.depth, 1u), kWarmUpPrompt);
      const uint32_t num_steps = limited(i, options.generated_tokens, kWarmUpSteps);
      const auto run = [&](const Target& which, DecodeTimes& into) {
        std::vector<std::vector<TokenId>> prompts;
        for (uint32_t b = 0; b < batch; ++b) prompts.push_back(prompt(depth));
        return time_decode(which, prompts, num_steps, i > 0 ? into : warm_up);
      };
      RUVLLM_TRY(run(target, times));
      if (!adapted.adapters.empty()) RUVLLM_TRY(run(adapted, adapted_times));
    }
    BenchDecode& decode = report.decode.emplace_back(BenchDecode{
        batch, median(times.tok_s), percentile(times.step_ms, 0.5), percentile(times.step_ms, 0.99),
        median(times.prefill_tok_s), times.drafted, times.accepted});
    if (adapted.adapters.empty()) continue;
    decode.adapters_tok_s = median(adapted_times.tok_s);
    std::vector<double> ratios;
    for (size_t i = 0; i < times.tok_s.size(); ++i) {
      ratios.push_back(adapted_times.tok_s[i] / times.tok_s[i]);
    }
    decode.adapters_fraction = median(ratios);
  }
  report.peak_rss_bytes = process_peak_resident_bytes();
  report.memory = memory();
  ThreadTeam team(impl_->info.num_threads);  // the engine's own belongs to its step loop
  RUVLLM_ASSIGN(report.bandwidth_gb_s, api::measure_read_bandwidth(team));
  for (const BenchDecode& decode : report.decode) {
    if (decode.batch != 1) continue;
    const double bytes = static_cast<double>(impl_->model->bytes_per_token());
    report.roofline_fraction = bytes * decode.tok_s / 1e9 / report.bandwidth_gb_s;
  }
  return report;
}

}  // namespace ruvllm
