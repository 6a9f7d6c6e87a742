// One request inside the step loop, and what its submitter holds of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "adapters/adapter.h"
#include "base/core/error.h"
#include "base/threads/spsc_ring.h"
#include "cache/sequence_pages.h"
#include "engine/pooling.h"
#include "engine/speculation/sequence_drafts.h"
#include "events/token_event.h"
#include "model/config.h"
#include <ruvllm/sampling.h>

namespace ruvllm::engine {

struct SequenceRequest {
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  uint32_t max_tokens = 0;                               // 0: until the context is full
  std::shared_ptr<const adapters::AdapterSet> adapters;  // pinned to the end; none: the model alone
  std::vector<int32_t> end_ids;                          // tokens that end the answer; sorted
  // Instead of generating: the log-probability of every prompt token but the first.
  bool score = false;
  float* score_logits = nullptr;  // [prompt - 1, vocab] or none; owned by the submitter
  // Instead of generating: the prompt's embedding. Not kRank.
  std::optional<model::Pooling> embed;

  bool generates() const { return !score && !embed; }
};

// Written by the step loop before the end event; read by the submitter after it.
struct SequenceResult {
  uint64_t prefill_us = 0;
  uint64_t decode_us = 0;
  uint64_t sampling_us = 0;
  uint64_t lora_us = 0;  // of the steps that it had adapters in
  uint64_t seed = 0;
  uint32_t cached_prompt_tokens = 0;
  uint64_t kv_bytes = 0;         // that its keys and values took at its end
  uint32_t drafted_tokens = 0;   // speculation: rows computed for guesses
  uint32_t accepted_tokens = 0;  // of them, those that were right
  double nll_sum = 0.0;          // score
  std::vector<float> embedding;  // embed: [hidden], or [prompt, hidden] for Pooling::kNone
  std::optional<Error> failure;  // of kModelDamaged
};

// Shared by the submitter (one reading thread) and the step loop.
struct SequenceChannel {
  static constexpr uint32_t kRingCapacity = 256;  // a reader further behind pauses its sequence
  SpscRing<events::TokenEvent> ring{kRingCapacity};
  std::atomic<bool> cancelled{false};
  SequenceResult result;
};

struct Sequence {
  SequenceRequest request;
  std::shared_ptr<SequenceChannel> channel;
  std::vector<int32_t> tokens;  // prompt and generated
  cache::SequencePages pages;
  int32_t num_computed = 0;
  uint32_t num_prompt = 0;
  uint32_t max_total = 0;  // tokens at which it ends
  // Set when it shall end with this step; kNone: it goes on.
  events::EndReason ended = events::EndReason::kNone;
  std::optional<Pooler> pooler;          // if it embeds
  std::optional<SequenceDrafts> drafts;  // if it generates and speculation is on
};

}  // namespace ruvllm::engine
