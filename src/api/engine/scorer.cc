#include <cerrno>
#include <cstdio>
#include <cstring>

#include "api/engine/engine_impl.h"
#include "base/system/clock.h"

namespace ruvllm {

Result<Scorer> Engine::score(std::vector<TokenId> tokens, const ScoreOptions& options) {
  const uint32_t limit = impl_->info.context_length;
  if (options.context_length < 2 || options.context_length > limit) {
    return fail(ErrorCode::kInvalidArgument, "windows of {} tokens; expected 2 to {}",
                options.context_length, limit);
  }
  if (tokens.size() < 2) {
    return fail(ErrorCode::kInvalidArgument, "the text has {} tokens; scoring needs at least 2",
                tokens.size());
  }
  auto impl = std::make_unique<Scorer::Impl>(*impl_->loop);
  impl->tokens = std::move(tokens);
  impl->options = options;
  RUVLLM_ASSIGN(impl->adapters, impl_->choose_adapters(options.adapters, options.user));
  impl->vocab_size = impl_->info.vocab_size;
  impl->progress.tokens_total = impl->tokens.size();
  if (!options.logits_path.empty()) {
    impl->logits_file = std::fopen(options.logits_path.c_str(), "wb");
    if (impl->logits_file == nullptr) {
      return fail(ErrorCode::kUnavailable, "{}: cannot write: {}", options.logits_path,
                  std::strerror(errno));
    }
    const uint64_t window = std::min<uint64_t>(options.context_length, impl->tokens.size());
    RUVLLM_ASSIGN(impl->logits, Buffer::allocate((window - 1) * impl->vocab_size * sizeof(float),
                                                 HugePages::kNo, "logits of a window"));
  }
  impl->start_us = monotonic_us();
  return Scorer(std::move(impl));
}

Scorer::Impl::~Impl() {
  if (logits_file != nullptr) std::fclose(logits_file);
}

Scorer::Scorer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Scorer::Scorer(Scorer&&) noexcept = default;
Scorer& Scorer::operator=(Scorer&&) noexcept = default;
Scorer::~Scorer() = default;

const ScoreProgress& Scorer::progress() const { return impl_->progress; }

Result<bool> Scorer::step() {
  Impl& impl = *impl_;
  ScoreProgress& progress = impl.progress;
  const size_t first = progress.tokens_done;
  const size_t count = std::min<size_t>(impl.options.context_length, impl.tokens.size() - first);
  if (count < 2) {  // a single last token predicts nothing
    progress.tokens_done = impl.tokens.size();
    return false;
  }
  engine::SequenceRequest request;
  const auto begin = impl.tokens.begin() + static_cast<ptrdiff_t>(first);
  request.prompt.assign(begin, begin + static_cast<ptrdiff_t>(count));
  request.score = true;
  request.adapters = impl.adapters.lora;
  request.head = impl.adapters.use.head;
  float* const logits = reinterpret_cast<float*>(impl.logits.data());
  request.score_logits = logits;
  RUVLLM_ASSIGN(const auto channel, impl.loop.submit(std::move(request)));
  events::TokenEvent end;
  channel->ring.pop_wait(end);
  if (end.end == events::EndReason::kModelDamaged) {
    return std::unexpected(*channel->result.failure);
  }
  if (end.end != events::EndReason::kLength) {
    return fail(ErrorCode::kInternal, "the model's logits are not finite in tokens {} to {}", first,
                first + count);
  }
  if (impl.logits_file != nullptr) {
    const size_t values = (count - 1) * impl.vocab_size;
    if (std::fwrite(logits, sizeof(float), values, impl.logits_file) != values) {
      return fail(ErrorCode::kUnavailable, "{}: cannot write: {}", impl.options.logits_path,
                  std::strerror(errno));
    }
  }
  progress.nll_sum += channel->result.nll_sum;
  progress.num_scored += count - 1;
  progress.kv_bytes = std::max(progress.kv_bytes, channel->result.kv_bytes);
  progress.tokens_done += count;
  progress.seconds = static_cast<double>(monotonic_us() - impl.start_us) / 1e6;
  return progress.tokens_done < impl.tokens.size();
}

}  // namespace ruvllm
