#include "engine/loop/request.h"

#include <algorithm>
#include <cstdint>

#include <sys/random.h>

#include "base/system/clock.h"
#include "engine/sampler.h"

namespace ruvllm::engine {
namespace {

uint64_t fresh_seed() {
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) seed = monotonic_ns();
  return seed;
}

}  // namespace

Status check_request(const SequenceRequest& request, const model::ModelConfig& config,
                     const StepLoopOptions& options) {
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
  // A generated token needs a place of its own in the context.
  const size_t limit = options.context_length - (request.generates() ? 1 : 0);
  if (request.prompt.size() > limit) {
    return fail(
        ErrorCode::kInvalidArgument,
        "the prompt has {} tokens, but the context holds {}; shorten it or raise the context "
        "length",
        request.prompt.size(), options.context_length);
  }
  for (const int32_t id : request.prompt) {
    if (id < 0 || id >= vocab_size) {
      return fail(ErrorCode::kInvalidArgument, "token {} is not in the vocabulary of {}", id,
                  vocab_size);
    }
  }
  return check_sampling(request.sampling, vocab_size);
}

void prepare_sequence(Sequence& sequence, const StepLoopOptions& options,
                      const Speculator* speculator) {
  const SequenceRequest& request = sequence.request;
  sequence.num_prompt = static_cast<uint32_t>(request.prompt.size());
  sequence.max_total = options.context_length;
  if (request.max_tokens != 0) {
    sequence.max_total = std::min<uint32_t>(
        sequence.max_total,
        sequence.num_prompt + std::min(request.max_tokens, options.context_length));
  }
  if (!request.generates()) sequence.max_total = sequence.num_prompt;
  sequence.tokens.reserve(sequence.max_total);
  sequence.tokens = request.prompt;
  sequence.pages.plan(sequence.max_total);
  sequence.channel->result.seed = request.sampling.seed ? *request.sampling.seed : fresh_seed();
  if (request.generates() && speculator != nullptr) speculator->prepare(sequence);
}

}  // namespace ruvllm::engine
