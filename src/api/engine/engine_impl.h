// What stands behind the public Engine, and the handles it gives out.
#pragma once

#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "adapters/registry.h"
#include "api/learning/learned_users.h"
#include "api/text/chat_encoder.h"
#include "api/text/stop_matcher.h"
#include "base/memory/buffer.h"
#include "base/numeric/siphash.h"
#include "device/cpu_device.h"
#include "engine/step_loop.h"
#include "model/model.h"
#include "text/tokenizer/detokenizer.h"
#include <ruvllm/engine.h>

namespace ruvllm {

// Bytes that packed copies of matrices may have.
uint64_t packed_room(const EngineOptions& options);
model::ModelOptions model_options(const EngineOptions& options);

// What a request is answered with beside the model.
struct ChosenAdapters {
  std::shared_ptr<const adapters::AdapterSet> lora;  // may be none
  std::string user;                                  // "": nobody's learned state
  std::shared_ptr<api::LearnedUsers> learned;        // if there is a user
  api::LearnedUse use;
};

struct Engine::Impl {
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();  // saves the cache if it has a file

  EngineInfo info;
  // In the order of construction: the loop uses model and device.
  std::unique_ptr<device::CpuDevice> device;
  std::unique_ptr<const model::Model> model;
  std::unique_ptr<const model::Model> draft_model;  // or none
  std::shared_ptr<const text::Tokenizer> text_tokenizer;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<api::ChatEncoder> chat;
  adapters::AdapterRegistry registry;
  std::shared_ptr<const adapters::AdapterSet> default_adapters;  // of EngineOptions; may be none
  std::unique_ptr<engine::StepLoop> loop;
  // Who learns for this engine; none: nobody. Through learned_users() and set_learned_users().
  std::shared_ptr<api::LearnedUsers> learned;
  mutable std::mutex learned_mutex;
  uint64_t tokenizer_bytes = 0;  // on the heap, with the chat template
  std::string cache_file;        // of the prefixes; "": none
  Hash128 cache_fingerprint;
  uint64_t max_cache_file_bytes = 0;

  EngineInfo describe(double load_ms) const;
  // Reads the draft model that the options ask for; after the model.
  Status load_draft_model(const EngineOptions& options);
  engine::SpeculationOptions speculation(const EngineOptions& options) const;
  // After the loop and info; before the first request.
  Status restore_cache(const EngineOptions& options);
  Status save_cache() const;
  Status load_default_adapters(const std::vector<AdapterSource>& sources);
  uint64_t default_adapter_bytes() const;
  // None: the default ones. An empty list: no adapters, nullptr.
  Result<std::shared_ptr<const adapters::AdapterSet>> adapter_set(
      const std::optional<std::vector<AdapterUse>>& uses) const;

  std::shared_ptr<api::LearnedUsers> learned_users() const;
  void set_learned_users(std::shared_ptr<api::LearnedUsers> users);
  // What a request pins: of `uses`, one may name a user who has taught something instead of an
  // adapter, which is as if `user` were that name.
  Result<ChosenAdapters> choose_adapters(const std::optional<std::vector<AdapterUse>>& uses,
                                         const std::string& user) const;
};

struct Generation::Impl {
  struct Choice {
    std::shared_ptr<engine::SequenceChannel> channel;
    text::Detokenizer detokenizer;
    api::StopMatcher stops;
    GenerationSummary summary;
    std::vector<TokenId> answer;  // if it is kept for feedback
    bool finished = false;

    void cancel() const { channel->cancelled.store(true, std::memory_order_relaxed); }
    void finish(events::EndReason reason);
  };
  std::vector<Choice> choices;
  bool wants_logprobs = false;
  // Of a user's request, where answers go when they have ended.
  std::shared_ptr<api::LearnedUsers> learned;
  api::KeptResponse response;  // without id and answer
  size_t next_choice = 0;      // to look at first, so that none is read before all others

  // The next event of a choice, which is returned; none: all have ended.
  Choice* wait_for(events::TokenEvent& event);
  Choice* poll(events::TokenEvent& event);
  GenerationEvent event_of(Choice& choice, const events::TokenEvent& event) const;
  // Hands the answer on to those who learn.
  void keep(Choice& choice) const;
};

struct Scorer::Impl {
  explicit Impl(engine::StepLoop& step_loop) : loop(step_loop) {}
  ~Impl();

  engine::StepLoop& loop;
  std::vector<TokenId> tokens;
  ScoreOptions options;
  ChosenAdapters adapters;
  ScoreProgress progress;
  uint64_t start_us = 0;
  size_t vocab_size = 0;
  Buffer logits;  // one window's floats, if they are wanted
  std::FILE* logits_file = nullptr;
};

}  // namespace ruvllm
