// One request inside the step loop, and what its submitter holds of it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/adapter.h"
#include "adapters/head/expert_weights.h"
#include "adapters/head/head_adapter.h"
#include "base/core/error.h"
#include "base/threads/spsc_ring.h"
#include "cache/sequence_pages.h"
#include "engine/heads/sequence_head.h"
#include "engine/pooling.h"
#include "engine/speculation/sequence_drafts.h"
#include "events/token_event.h"
#include "events/trace.h"
#include "events/trajectory.h"
#include "model/config.h"
#include <ruvllm/sampling.h>

namespace ruvllm::engine {

struct SequenceRequest {
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  uint32_t max_tokens = 0;                               // 0: until the context is full
  std::shared_ptr<const adapters::AdapterSet> adapters;  // pinned to the end; none: the model alone
  // What a user taught, beside the model's own distribution; pinned to the end. None: the model's
  // logits, bit for bit. Keys and values do not depend on it.
  std::shared_ptr<const adapters::HeadAdapter> head;
  // How much each expert of the head is trusted is settled on so many of the prompt's last tokens
  // before the first is drawn, and then on every token.
  int32_t hedge_tokens = 64;
  std::vector<int32_t> end_ids;  // tokens that end the answer; sorted
  int32_t priority = 0;          // -100 to 100; higher ones are served first
  uint64_t deadline_us = 0;      // monotonic clock: ends with kDeadline when it passes; 0: none
  std::string tenant;            // those that wait share the places fairly by it
  // Keys and values are shared with requests of the same salt alone, or with none at all.
  std::string cache_salt;
  bool cache_prompt = true;
  // Instead of generating: the log-probability of every prompt token but the first, of the mixture
  // if there is a head.
  bool score = false;
  // [prompt - 1, vocab] or none; owned by the submitter. The model's own.
  float* score_logits = nullptr;
  // Instead of generating: the prompt's embedding. Not kRank.
  std::optional<model::Pooling> embed;

  // What is recorded: the tokens that are drawn, one that ends the answer among them, or of a
  // score those of the prompt from first_traced on. Of several choices the first alone.
  std::shared_ptr<events::Trace> trace;
  int32_t first_traced = 0;
  // Of a request that generates: filled in at its end and pushed to the ring, whose only producer
  // is this step loop; unless the request never began, or its model was damaged or its logits were
  // not finite. Of several choices the first alone. Both or neither.
  std::shared_ptr<events::Trajectory> trajectory;
  std::shared_ptr<events::TrajectoryRing> trajectories;

  bool generates() const { return !score && !embed; }
};

// Written by the step loop before the end event; read by the submitter after it.
struct SequenceResult {
  uint64_t prefill_us = 0;
  uint64_t decode_us = 0;
  uint64_t sampling_us = 0;
  uint64_t lora_us = 0;  // of the steps that it had adapters in, and of its head
  uint64_t seed = 0;
  uint32_t cached_prompt_tokens = 0;
  uint32_t preemptions = 0;      // times that it lost its pages and was computed again
  uint64_t kv_bytes = 0;         // that its keys and values took at its end
  uint32_t drafted_tokens = 0;   // speculation: rows computed for guesses
  uint32_t accepted_tokens = 0;  // of them, those that were right
  double nll_sum = 0.0;          // score
  // Of a request with a head: what each of its experts was trusted with in the end.
  std::array<double, adapters::kMaxHeadExperts> expert_weights = {};
  std::vector<float> embedding;  // embed: [hidden], or [prompt, hidden] for Pooling::kNone
  std::optional<Error> failure;  // of kModelDamaged
};

// Moves when one of several channels that a reader waits for has news.
struct ChannelBell {
  std::atomic<uint32_t> count{0};

  void ring() {
    count.fetch_add(1, std::memory_order_release);
    count.notify_one();
  }
};

// Shared by the submitter (one reading thread) and the step loop.
struct SequenceChannel {
  static constexpr uint32_t kRingCapacity = 256;  // a reader further behind pauses its sequence
  SpscRing<events::TokenEvent> ring{kRingCapacity};
  std::atomic<bool> cancelled{false};
  SequenceResult result;
  std::shared_ptr<ChannelBell> bell;  // of several choices; none: the ring is waited for itself

  // Step loop.
  void push(const events::TokenEvent& event) {
    ring.push(event);
    if (bell != nullptr) bell->ring();
  }
};

struct Sequence {
  SequenceRequest request;
  std::shared_ptr<SequenceChannel> channel;
  std::vector<int32_t> tokens;  // prompt and generated
  cache::SequencePages pages;
  int32_t num_computed = 0;
  uint32_t num_prompt = 0;
  uint32_t max_total = 0;     // tokens at which it ends
  int32_t num_committed = 0;  // tokens that scores or embeddings have in them

  // Of the choices of one request, which compute the prompt once; 0: it is the only one.
  uint64_t choices_id = 0;

  // For the scheduler.
  uint64_t tenant_id = 0;
  uint64_t arrival = 0;  // number in the order of arrival
  uint64_t arrival_us = 0;
  bool preempted = false;    // had a place before
  int32_t line_idx = -1;     // while it waits (engine/scheduling/waiting_lines.h)
  int32_t adapter_idx = -1;  // the same number, the same adapters
  uint64_t last_step = 0;    // that had rows of it, or that it was admitted in

  // Set when it shall end with this step; kNone: it goes on.
  events::EndReason ended = events::EndReason::kNone;
  std::optional<Pooler> pooler;          // if it embeds
  std::optional<SequenceDrafts> drafts;  // if it generates and speculation is on
  std::optional<SequenceHead> head;      // if it has an adapter there that changes something

  // Until then its choices cannot begin: all but the prompt's last token, which each computes.
  int32_t num_shared() const { return static_cast<int32_t>(num_prompt) - 1; }
  bool is_computing_shared() const { return choices_id != 0 && num_computed < num_shared(); }

  // Rows before `end` are computed next, and among them those that settle the head's weights.
  bool hedges_before(int32_t end) const { return head && head->hedges_before(end); }
  // Of its tokens the most that may come from a cache: the last one's logits are wanted, and those
  // of the rows that settle the head's weights.
  size_t num_cacheable() const {
    return head && head->is_hedging() ? static_cast<size_t>(head->next_hedged())
                                      : tokens.size() - 1;
  }

  // One slot stays free for the end event, which must never be lost.
  bool is_blocked() const { return channel->ring.free_slots() < 2; }
};

}  // namespace ruvllm::engine
