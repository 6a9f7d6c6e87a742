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

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2.0;
}

double percentile(std::vector<double>& values, double fraction) {
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

GenerationRequest make_request(std::vector<TokenId> prompt, uint32_t max_tokens) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0.0f;
  request.ignore_end = true;
  return request;
}

Status drain(Generation& generation) {
  for (;;) {
    RUVLLM_ASSIGN(const auto event, generation.next());
    if (!event) return {};
  }
}

// Steps of `batch` sequences that decode together: the time between the tokens of the first one,
// once all of them have their prompts behind them.
Status time_decode(Engine& engine, const BenchOptions& options, uint32_t batch, uint64_t& salt,
                   std::vector<double>& tok_s, std::vector<double>& step_ms) {
  const uint32_t depth = std::max(options.depth, 1u);
  std::vector<Generation> generations;
  for (uint32_t i = 0; i < batch; ++i) {
    // Those submitted earlier start earlier: they get as many more tokens as the others need steps.
    const uint32_t tokens = options.generated_tokens + 1 + batch * (depth / 64 + 2);
    RUVLLM_ASSIGN(
        Generation generation,
        engine.submit(make_request(random_prompt(depth, engine.info().vocab_size, salt), tokens)));
    generations.push_back(std::move(generation));
  }
  for (Generation& generation : generations) RUVLLM_TRY(generation.next());
  Generation& last = generations.back();
  uint64_t previous = monotonic_ns();
  const uint64_t begin = previous;
  for (uint32_t i = 0; i < options.generated_tokens; ++i) {
    RUVLLM_TRY(last.next());
    const uint64_t now = monotonic_ns();
    step_ms.push_back(static_cast<double>(now - previous) / 1e6);
    previous = now;
  }
  const double seconds = static_cast<double>(previous - begin) / 1e9;
  tok_s.push_back(batch * options.generated_tokens / seconds);
  for (Generation& generation : generations) generation.cancel();
  for (Generation& generation : generations) RUVLLM_TRY(drain(generation));
  return {};
}

// Before anything as large as the numbers say is allocated. More sequences than run at once would
// wait for each other for ever.
Status check_options(const BenchOptions& options, const EngineInfo& info, uint32_t max_sequences) {
  for (const auto& [name, tokens] :
       {std::pair("prompt_tokens", uint64_t{options.prompt_tokens} + 1),
        std::pair("depth and generated_tokens",
                  uint64_t{std::max(options.depth, 1u)} + options.generated_tokens + 1)}) {
    if (tokens > info.context_length) {
      return fail(ErrorCode::kInvalidArgument,
                  "benchmark: {} need a context of {} tokens, but it holds {}; lower them or raise "
                  "the context length",
                  name, tokens, info.context_length);
    }
  }
  for (const uint32_t batch : options.batch_sizes) {
    if (batch == 0 || batch > max_sequences) {
      return fail(ErrorCode::kInvalidArgument, "benchmark: a batch of {}; expected 1 to {}", batch,
                  max_sequences);
    }
  }
  return {};
}

}  // namespace

Result<BenchReport> Engine::benchmark(const BenchOptions& options) {
  RUVLLM_TRY(check_options(options, impl_->info, impl_->loop->options().max_sequences));
  BenchReport report;
  report.load_ms = impl_->info.load_ms;
  report.isa = impl_->info.isa;
  uint64_t salt = 0;
  const uint32_t vocab_size = impl_->info.vocab_size;
  const uint32_t repetitions = std::max(options.repetitions, 1u);
  std::vector<double> prefill;
  // One more repetition, not counted, touches the weights and wakes the threads.
  for (uint32_t i = 0; options.prompt_tokens > 0 && i <= repetitions; ++i) {
    RUVLLM_ASSIGN(Generation generation,
                  submit(make_request(random_prompt(options.prompt_tokens, vocab_size, salt), 1)));
    const uint64_t begin = monotonic_ns();
    RUVLLM_TRY(drain(generation));
    const double seconds = static_cast<double>(monotonic_ns() - begin) / 1e9;
    if (i > 0) prefill.push_back(options.prompt_tokens / seconds);
  }
  if (!prefill.empty()) report.prefill_tok_s = median(prefill);
  for (const uint32_t batch : options.batch_sizes) {
    if (options.generated_tokens == 0) break;
    std::vector<double> tok_s, step_ms;
    for (uint32_t i = 0; i <= repetitions; ++i) {
      std::vector<double> unused_tok_s, unused_ms;
      RUVLLM_TRY(time_decode(*this, options, batch, salt, i > 0 ? tok_s : unused_tok_s,
                             i > 0 ? step_ms : unused_ms));
    }
    report.decode.push_back(
        {batch, median(tok_s), percentile(step_ms, 0.5), percentile(step_ms, 0.99)});
  }
  report.peak_rss_bytes = process_peak_resident_bytes();
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
