#include "cli/generation/answer.h"

#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/options/request/speculation.h"
#include "cli/terminal/interrupt.h"

namespace ruvllm::cli {
namespace {

Json latency_json(const LatencyBreakdown& latency) {
  return Json{{"tokenization_us", latency.tokenization_us},
              {"prefill_us", latency.prefill_us},
              {"decode_us", latency.decode_us},
              {"sampling_us", latency.sampling_us},
              {"lora_us", latency.lora_us},
              {"total_ms", latency.total_ms()},
              {"bottleneck", latency.bottleneck()}};
}

Json logprobs_json(const std::vector<GenerationEvent>& events, const Tokenizer& tokenizer) {
  Json list = Json::array();
  for (const GenerationEvent& event : events) {
    Json top = Json::array();
    for (const TokenLogprob& candidate : event.top_logprobs) {
      top.push_back({{"id", candidate.id},
                     {"token", tokenizer.token_text(candidate.id)},
                     {"logprob", candidate.logprob}});
    }
    list.push_back({{"id", event.id},
                    {"token", tokenizer.token_text(event.id)},
                    {"logprob", event.logprob},
                    {"top", top}});
  }
  return list;
}

Json choices_json(const std::vector<Choice>& choices) {
  Json list = Json::array();
  for (const Choice& choice : choices) {
    list.push_back({{"text", choice.text},
                    {"token_ids", choice.ids},
                    {"finish_reason", finish_reason_name(choice.finish_reason)}});
  }
  return list;
}

double per_second(uint64_t count, uint64_t microseconds) {
  return microseconds > 0 ? static_cast<double>(count) * 1e6 / static_cast<double>(microseconds)
                          : 0.0;
}

}  // namespace

Result<Answer> generate_answer(Engine& engine, GenerationRequest request, uint64_t tokenization_us,
                               const TextSink& sink) {
  const bool keep_events = request.sampling.num_logprobs >= 0;
  RUVLLM_ASSIGN(Generation generation, engine.submit(std::move(request)));
  InterruptScope interrupt([&generation] { generation.cancel(); });
  Answer answer;
  if (generation.num_choices() > 1) answer.choices.resize(generation.num_choices());
  bool has_reader = true;
  while (true) {
    RUVLLM_ASSIGN(std::optional<GenerationEvent> event, generation.next());
    if (!event) break;
    if (!answer.choices.empty()) {
      Choice& choice = answer.choices[event->choice];
      choice.ids.push_back(event->id);
      choice.text += event->text;
    }
    if (event->choice > 0) continue;
    answer.ids.push_back(event->id);
    answer.text += event->text;
    if (has_reader && !event->text.empty() && !sink(event->text)) {
      has_reader = false;
      generation.cancel();
    }
    if (keep_events) answer.events.push_back(std::move(*event));
  }
  for (uint32_t i = 0; i < answer.choices.size(); ++i) {
    answer.choices[i].text += generation.summary(i).trailing_text;
    answer.choices[i].finish_reason = generation.summary(i).finish_reason;
  }
  answer.summary = generation.summary();
  answer.text += answer.summary.trailing_text;
  if (has_reader && !answer.summary.trailing_text.empty()) sink(answer.summary.trailing_text);
  answer.summary.latency.tokenization_us += tokenization_us;
  answer.interrupted =
      interrupt.pending() && answer.summary.finish_reason == FinishReason::kCancelled;
  return answer;
}

Json answer_json(const Answer& answer, const Tokenizer& tokenizer) {
  const GenerationSummary& summary = answer.summary;
  Json out{{"text", answer.text},
           {"token_ids", answer.ids},
           {"finish_reason", finish_reason_name(summary.finish_reason)},
           {"usage",
            {{"prompt_tokens", summary.prompt_tokens},
             {"completion_tokens", summary.completion_tokens},
             {"cached_prompt_tokens", summary.cached_prompt_tokens},
             {"drafted_tokens", summary.drafted_tokens},
             {"accepted_tokens", summary.accepted_tokens}}},
           {"latency", latency_json(summary.latency)},
           {"seed", summary.seed}};
  if (!summary.response_id.empty()) {
    out["response_id"] = summary.response_id;
    out["learned_generation"] = summary.learned_generation;
  }
  if (!answer.choices.empty()) out["choices"] = choices_json(answer.choices);
  if (!answer.events.empty()) out["logprobs"] = logprobs_json(answer.events, tokenizer);
  return out;
}

std::string describe_speed(const GenerationSummary& summary) {
  const uint64_t new_prompt_tokens = summary.prompt_tokens - summary.cached_prompt_tokens;
  // The first token comes out of the prefill.
  const uint64_t decoded = summary.completion_tokens > 0 ? summary.completion_tokens - 1 : 0;
  const std::string drafts = describe_drafts(summary.drafted_tokens, summary.accepted_tokens);
  return fmt::format("{} tokens, {:.1f} tok/s; prompt {} tokens, {:.1f} tok/s{}{}",
                     summary.completion_tokens, per_second(decoded, summary.latency.decode_us),
                     summary.prompt_tokens,
                     per_second(new_prompt_tokens, summary.latency.prefill_us),
                     drafts.empty() ? "" : "; ", drafts);
}

}  // namespace ruvllm::cli
