#include "api/engine/engine_impl.h"
#include "base/system/clock.h"
#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

constexpr size_t kMaxStops = 16;
constexpr size_t kMaxStopBytes = 256;

Status check_stops(const std::vector<std::string>& stops) {
  if (stops.size() > kMaxStops) {
    return fail(ErrorCode::kInvalidArgument, "{} stop strings; at most {} are allowed",
                stops.size(), kMaxStops);
  }
  for (const std::string& stop : stops) {
    if (stop.empty() || stop.size() > kMaxStopBytes) {
      return fail(ErrorCode::kInvalidArgument, "a stop string has {} bytes; expected 1 to {}",
                  stop.size(), kMaxStopBytes);
    }
  }
  return {};
}

}  // namespace

const char* finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "stop";
}

Result<Generation> Engine::submit(GenerationRequest request) {
  RUVLLM_TRY(check_stops(request.stop));
  engine::SequenceRequest sequence;
  const uint32_t prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  sequence.prompt = std::move(request.prompt);
  sequence.sampling = request.sampling;
  sequence.max_tokens = request.max_tokens;
  RUVLLM_ASSIGN(sequence.adapters, impl_->adapter_set(request.adapters));
  sequence.cache_salt = std::move(request.cache_salt);
  sequence.cache_prompt = request.cache_prompt;
  if (!request.ignore_end) {
    const std::span<const TokenId> ends = impl_->text_tokenizer->end_ids();
    sequence.end_ids.assign(ends.begin(), ends.end());
  }
  RUVLLM_ASSIGN(auto channel, impl_->loop->submit(std::move(sequence)));
  auto generation = std::unique_ptr<Generation::Impl>(
      new Generation::Impl{.channel = std::move(channel),
                           .detokenizer = text::Detokenizer(impl_->text_tokenizer),
                           .stops = api::StopMatcher(std::move(request.stop)),
                           .summary = {},
                           .wants_logprobs = request.sampling.num_logprobs >= 0});
  generation->summary.prompt_tokens = prompt_tokens;
  return Generation(std::move(generation));
}

Generation::Generation(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Generation::Generation(Generation&&) noexcept = default;

Generation& Generation::operator=(Generation&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Generation::~Generation() {
  if (impl_ != nullptr) cancel();
}

void Generation::cancel() { impl_->channel->cancelled.store(true, std::memory_order_relaxed); }

const GenerationSummary& Generation::summary() const { return impl_->summary; }

void Generation::Impl::finish(FinishReason reason) {
  finished = true;
  const engine::SequenceResult& result = channel->result;
  summary.finish_reason = reason;
  summary.cached_prompt_tokens = result.cached_prompt_tokens;
  summary.drafted_tokens = result.drafted_tokens;
  summary.accepted_tokens = result.accepted_tokens;
  summary.seed = result.seed;
  summary.latency.prefill_us = result.prefill_us;
  summary.latency.decode_us = result.decode_us;
  summary.latency.sampling_us = result.sampling_us;
  summary.latency.lora_us = result.lora_us;
}

Result<std::optional<GenerationEvent>> Generation::next() {
  Impl& impl = *impl_;
  while (!impl.finished) {
    events::TokenEvent event;
    impl.channel->ring.pop_wait(event);
    if (event.end == events::EndReason::kNumericError) {
      impl.finished = true;
      return fail(ErrorCode::kInternal,
                  "the model's logits are not finite; the weights may be damaged");
    }
    if (event.end == events::EndReason::kModelDamaged) {
      impl.finished = true;
      return std::unexpected(*impl.channel->result.failure);
    }
    if (event.end != events::EndReason::kNone) {
      impl.summary.trailing_text = impl.stops.push(impl.detokenizer.flush());
      impl.summary.trailing_text += impl.stops.flush();
      const bool length = event.end == events::EndReason::kLength;
      const bool cancelled = event.end == events::EndReason::kCancelled && !impl.stops.stopped();
      impl.finish(cancelled ? FinishReason::kCancelled
                            : (length && !impl.stops.stopped() ? FinishReason::kLength
                                                               : FinishReason::kStop));
      return std::optional<GenerationEvent>();
    }
    if (impl.stops.stopped()) continue;  // tokens computed before the cancel took effect
    const uint64_t begin = monotonic_us();
    GenerationEvent out;
    out.id = event.id;
    out.text = impl.stops.push(impl.detokenizer.push(event.id));
    ++impl.summary.completion_tokens;
    if (impl.stops.stopped()) cancel();
    if (impl.wants_logprobs) {
      out.logprob = event.logprob;
      for (int32_t i = 0; i < event.num_top; ++i) {
        out.top_logprobs.push_back({event.top[i].id, event.top[i].logprob});
      }
    }
    impl.summary.latency.tokenization_us += monotonic_us() - begin;
    return std::optional<GenerationEvent>(std::move(out));
  }
  return std::optional<GenerationEvent>();
}

}  // namespace ruvllm
