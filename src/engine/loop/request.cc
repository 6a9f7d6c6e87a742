#include "engine/loop/request.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

#include <sys/random.h>

#include "base/system/clock.h"
#include "engine/sampler.h"

namespace ruvllm::engine {
namespace {

constexpr int32_t kMaxPriority = 100;

Status check_length(const SequenceRequest& request, const StepLoopOptions& options) {
  // A generated token needs a place of its own in the context.
  const size_t size = request.prompt.size() + (request.generates() ? 1 : 0);
  if (size > options.context_length) {
    return fail(
        ErrorCode::kInvalidArgument,
        "the prompt has {} tokens, but the context holds {}; shorten it or raise the context "
        "length",
        request.prompt.size(), options.context_length);
  }
  if (size > options.longest_sequence()) {
    return fail(ErrorCode::kInvalidArgument,
                "the prompt has {} tokens, but the key-value cache holds {}; shorten it or give "
                "the cache more memory",
                request.prompt.size(), options.longest_sequence());
  }
  return {};
}

Status check_choices(const SequenceRequest& request, uint32_t num_choices,
                     const StepLoopOptions& options) {
  const uint32_t most = request.generates() ? std::min(kMaxChoices, options.max_queued) : 1;
  if (num_choices >= 1 && num_choices <= most) return {};
  return fail(ErrorCode::kInvalidArgument,
              "{} choices of an answer were asked for; expected 1 to {}", num_choices, most);
}

Status check_learning(const SequenceRequest& request, const model::ModelConfig& config) {
  if (request.head != nullptr) RUVLLM_TRY(check_head(*request.head, config));
  if (request.hedge_tokens < 0 || request.first_traced < 0) {
    return fail(ErrorCode::kInvalidArgument,
                "hedge_tokens is {} and first_traced {}; neither may be negative",
                request.hedge_tokens, request.first_traced);
  }
  if ((request.trajectory == nullptr) != (request.trajectories == nullptr)) {
    return fail(ErrorCode::kInvalidArgument,
                "a trajectory needs a ring that it goes to, and a ring a trajectory");
  }
  if (request.trace == nullptr) return {};
  const events::TraceShape& shape = request.trace->shape();
  const size_t num_rows = request.head != nullptr ? request.head->row_tokens.size() : 0;
  if (shape.hidden_dim != config.hidden_dim || static_cast<size_t>(shape.max_rows) < num_rows) {
    return fail(ErrorCode::kInvalidArgument,
                "the trace was made for {} dimensions and {} rows of a head adapter; the model has "
                "{} dimensions, the adapter {} rows",
                shape.hidden_dim, shape.max_rows, config.hidden_dim, num_rows);
  }
  return {};
}

}  // namespace

uint64_t fresh_seed() {
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) seed = monotonic_ns();
  return seed;
}

Status check_request(const SequenceRequest& request, uint32_t num_choices,
                     const model::ModelConfig& config, const StepLoopOptions& options) {
  const int32_t vocab_size = config.vocab_size;
  if (!request.embed && !config.generates_text()) {
    return fail(ErrorCode::kUnsupported,
                "{} models compute embeddings and generate no text; use `ruvllm embed`",
                config.architecture);
  }
  const size_t minimum = request.score ? 2 : 1;
  if (request.prompt.size() < minimum) {
    return fail(ErrorCode::kInvalidArgument, "the prompt has {} tokens; at least {} are needed",
                request.prompt.size(), minimum);
  }
  RUVLLM_TRY(check_length(request, options));
  RUVLLM_TRY(check_choices(request, num_choices, options));
  if (request.priority < -kMaxPriority || request.priority > kMaxPriority) {
    return fail(ErrorCode::kInvalidArgument, "priority is {}; expected -{} to {}", request.priority,
                kMaxPriority, kMaxPriority);
  }
  RUVLLM_TRY(check_learning(request, config));
  for (const int32_t id : request.prompt) {
    if (id < 0 || id >= vocab_size) {
      return fail(ErrorCode::kInvalidArgument, "token {} is not in the vocabulary of {}", id,
                  vocab_size);
    }
  }
  return check_sampling(request.sampling, vocab_size);
}

void forget_records(SequenceRequest& request) {
  request.trace.reset();
  request.trajectory.reset();
  request.trajectories.reset();
}

void prepare_sequence(Sequence& sequence, const model::ModelConfig& config,
                      const kernels::KernelTable& kernels, const StepLoopOptions& options,
                      const Speculator* speculator) {
  const SequenceRequest& request = sequence.request;
  sequence.num_prompt = static_cast<uint32_t>(request.prompt.size());
  sequence.tenant_id = std::hash<std::string>()(request.tenant);
  sequence.max_total = options.longest_sequence();
  if (request.max_tokens != 0) {
    sequence.max_total = std::min<uint32_t>(
        sequence.max_total,
        sequence.num_prompt + std::min(request.max_tokens, options.context_length));
  }
  if (!request.generates()) sequence.max_total = sequence.num_prompt;
  sequence.tokens.reserve(sequence.max_total);
  sequence.tokens = request.prompt;
  sequence.pages.plan(sequence.max_total);
  if (request.generates() && speculator != nullptr) speculator->prepare(sequence);
  if (request.head != nullptr && !request.embed && changes_logits(*request.head)) {
    // A score counts the whole prompt, from the experts' prior on.
    const int32_t last = static_cast<int32_t>(sequence.num_prompt) - 1;
    const int32_t num_hedged = request.generates() ? std::min(request.hedge_tokens, last) : 0;
    sequence.head.emplace(request.head, kernels, config.hidden_dim, last - num_hedged, last);
  }
}

}  // namespace ruvllm::engine
