#include <algorithm>

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

constexpr uint64_t kLongestMs = uint64_t{1} << 40;

FinishReason finish_reason_of(events::EndReason reason) {
  switch (reason) {
    case events::EndReason::kLength:
      return FinishReason::kLength;
    case events::EndReason::kCancelled:
      return FinishReason::kCancelled;
    case events::EndReason::kDeadline:
      return FinishReason::kDeadline;
    default:
      return FinishReason::kStop;
  }
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
    case FinishReason::kDeadline:
      return "deadline";
  }
  return "stop";
}

Result<Generation> Engine::submit(GenerationRequest request) {
  RUVLLM_TRY(check_stops(request.stop));
  engine::SequenceRequest sequence;
  const uint32_t prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  sequence.sampling = request.sampling;
  sequence.max_tokens = request.max_tokens;
  RUVLLM_ASSIGN(ChosenAdapters chosen, impl_->choose_adapters(request.adapters, request.user));
  sequence.adapters = std::move(chosen.lora);
  sequence.head = std::move(chosen.use.head);
  sequence.cache_salt = std::move(request.cache_salt);
  sequence.cache_prompt = request.cache_prompt;
  if (!request.ignore_end) {
    const std::span<const TokenId> ends = impl_->text_tokenizer->end_ids();
    sequence.end_ids.assign(ends.begin(), ends.end());
  }
  sequence.priority = request.priority;
  sequence.tenant = std::move(request.tenant);
  if (request.deadline_ms != 0) {
    sequence.deadline_us = monotonic_us() + std::min(request.deadline_ms, kLongestMs) * 1000;
  }
  api::KeptResponse response;
  if (chosen.learned != nullptr) {
    response = {.user = chosen.user,
                .id = {},
                .model = {},
                .generation = chosen.use.generation,
                .prompt = request.prompt,
                .answer = {}};
  }
  sequence.prompt = std::move(request.prompt);
  RUVLLM_ASSIGN(auto channels,
                impl_->loop->submit_choices(std::move(sequence), request.num_choices));
  auto generation = std::make_unique<Generation::Impl>();
  generation->wants_logprobs = request.sampling.num_logprobs >= 0;
  generation->learned = std::move(chosen.learned);
  generation->response = std::move(response);
  for (std::shared_ptr<engine::SequenceChannel>& channel : channels) {
    generation->choices.push_back({.channel = std::move(channel),
                                   .detokenizer = text::Detokenizer(impl_->text_tokenizer),
                                   .stops = api::StopMatcher(request.stop),
                                   .summary = {},
                                   .answer = {}});
    GenerationSummary& summary = generation->choices.back().summary;
    summary.prompt_tokens = prompt_tokens;
    summary.learned_generation = generation->response.generation;
    if (generation->learned != nullptr) summary.response_id = api::new_response_id();
  }
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

void Generation::cancel() {
  for (const Impl::Choice& choice : impl_->choices) choice.cancel();
}

void Generation::cancel_choice(uint32_t choice) { impl_->choices.at(choice).cancel(); }

uint32_t Generation::num_choices() const { return static_cast<uint32_t>(impl_->choices.size()); }

const GenerationSummary& Generation::summary(uint32_t choice) const {
  return impl_->choices.at(choice).summary;
}

void Generation::Impl::Choice::finish(events::EndReason reason) {
  finished = true;
  summary.trailing_text = stops.push(detokenizer.flush());
  summary.trailing_text += stops.flush();
  // A stop string ends the sequence by cancelling it.
  summary.finish_reason = stops.stopped() ? FinishReason::kStop : finish_reason_of(reason);
  const engine::SequenceResult& result = channel->result;
  summary.cached_prompt_tokens = result.cached_prompt_tokens;
  summary.drafted_tokens = result.drafted_tokens;
  summary.accepted_tokens = result.accepted_tokens;
  summary.preemptions = result.preemptions;
  summary.seed = result.seed;
  summary.latency.prefill_us = result.prefill_us;
  summary.latency.decode_us = result.decode_us;
  summary.latency.sampling_us = result.sampling_us;
  summary.latency.lora_us = result.lora_us;
}

Generation::Impl::Choice* Generation::Impl::poll(events::TokenEvent& event) {
  for (size_t i = 0; i < choices.size(); ++i) {
    Choice& choice = choices[(next_choice + i) % choices.size()];
    if (choice.finished || !choice.channel->ring.pop(event)) continue;
    next_choice += i + 1;
    return &choice;
  }
  return nullptr;
}

Generation::Impl::Choice* Generation::Impl::wait_for(events::TokenEvent& event) {
  if (std::ranges::all_of(choices, &Choice::finished)) return nullptr;
  if (choices.size() == 1) {
    choices.front().channel->ring.pop_wait(event);
    return &choices.front();
  }
  engine::ChannelBell& bell = *choices.front().channel->bell;
  for (;;) {
    const uint32_t seen = bell.count.load(std::memory_order_acquire);
    if (Choice* choice = poll(event)) return choice;
    bell.count.wait(seen, std::memory_order_acquire);
  }
}

GenerationEvent Generation::Impl::event_of(Choice& choice, const events::TokenEvent& event) const {
  const uint64_t begin = monotonic_us();
  GenerationEvent out;
  out.choice = static_cast<uint32_t>(&choice - choices.data());
  out.id = event.id;
  out.step = event.step;
  out.text = choice.stops.push(choice.detokenizer.push(event.id));
  ++choice.summary.completion_tokens;
  if (learned != nullptr) choice.answer.push_back(event.id);
  if (choice.stops.stopped()) choice.cancel();
  if (wants_logprobs) {
    out.logprob = event.logprob;
    for (int32_t i = 0; i < event.num_top; ++i) {
      out.top_logprobs.push_back({event.top[i].id, event.top[i].logprob});
    }
  }
  choice.summary.latency.tokenization_us += monotonic_us() - begin;
  return out;
}

void Generation::Impl::keep(Choice& choice) const {
  if (learned == nullptr) return;
  api::KeptResponse kept = response;
  kept.id = choice.summary.response_id;
  kept.answer = std::move(choice.answer);
  learned->keep(std::move(kept));
}

Result<std::optional<GenerationEvent>> Generation::next() {
  events::TokenEvent event;
  while (Impl::Choice* choice = impl_->wait_for(event)) {
    if (event.end == events::EndReason::kNone) {
      if (choice->stops.stopped()) continue;  // tokens computed before the cancel took effect
      return std::optional<GenerationEvent>(impl_->event_of(*choice, event));
    }
    const bool is_damaged = event.end == events::EndReason::kModelDamaged;
    if (!is_damaged && event.end != events::EndReason::kNumericError) {
      choice->finish(event.end);
      impl_->keep(*choice);
      continue;
    }
    cancel();
    for (Impl::Choice& other : impl_->choices) other.finished = true;
    if (is_damaged) return std::unexpected(*choice->channel->result.failure);
    return fail(ErrorCode::kInternal,
                "the model's logits are not finite; the weights may be damaged");
  }
  return std::optional<GenerationEvent>();
}

}  // namespace ruvllm
