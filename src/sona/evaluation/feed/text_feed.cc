#include "sona/evaluation/feed/text_feed.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "cache/kv_cache.h"
#include "ops/views.h"

namespace ruvllm::sona {
namespace {

// As the engine's sampler has it: the largest logit and the log of the sum beside it.
double log_sum_exp_of(std::span<const float> logits) {
  const float most = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += static_cast<double>(std::exp(logit - most));
  return static_cast<double>(most) + std::log(sum);
}

}  // namespace

void summarize_logits(FeedChunk& chunk) {
  const size_t count = static_cast<size_t>(chunk.num_positions);
  chunk.num_top = std::min(FeedChunk::kMostProbable, chunk.vocab_size);
  const ptrdiff_t num_top = chunk.num_top;
  chunk.log_sum_exp.resize(count);
  chunk.top.resize(count * static_cast<size_t>(num_top));
  std::vector<int32_t> order(static_cast<size_t>(chunk.vocab_size));
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const std::span<const float> logits = chunk.logits_of(position);
    chunk.log_sum_exp[static_cast<size_t>(position)] = log_sum_exp_of(logits);
    std::iota(order.begin(), order.end(), 0);
    const auto more_probable = [&logits](int32_t a, int32_t b) {
      const float first = logits[static_cast<size_t>(a)];
      const float second = logits[static_cast<size_t>(b)];
      return first != second ? first > second : a < b;
    };
    if (num_top < static_cast<ptrdiff_t>(order.size())) {
      std::nth_element(order.begin(), order.begin() + num_top, order.end(), more_probable);
    }
    std::sort(order.begin(), order.begin() + num_top);
    std::copy_n(order.begin(), num_top, chunk.top.begin() + position * num_top);
  }
}

Result<std::unique_ptr<TextFeed>> TextFeed::create(const model::Model& model,
                                                   device::CpuDevice& device,
                                                   const FeedOptions& options) {
  const model::ModelConfig& config = model.config();
  if (!config.generates_text()) {
    return fail(ErrorCode::kUnsupported, "{} models predict no next token: there is none to learn",
                config.architecture);
  }
  if (options.window < 2 || options.window > config.context_length) {
    return fail(ErrorCode::kInvalidArgument, "windows of {} tokens; expected 2 to {}",
                options.window, config.context_length);
  }
  std::unique_ptr<TextFeed> feed(new TextFeed(model, device, options));
  const model::WorkspaceLimits limits{.max_rows = options.window,
                                      .max_logit_rows = FeedChunk::kMaxPositions,
                                      .num_threads = device.team().num_threads(),
                                      .context_length = options.window};
  RUVLLM_ASSIGN(feed->workspace_,
                model::Workspace::create(device, config, model.weights(), limits));
  const uint32_t num_pages = cache::pages_for_tokens(static_cast<uint64_t>(options.window));
  RUVLLM_ASSIGN(cache::KvCache cache,
                cache::KvCache::create({.shape = options.page_shape, .num_pages = num_pages}));
  feed->cache_ = std::make_unique<cache::KvCache>(std::move(cache));
  feed->block_table_.resize(num_pages);
  for (uint32_t& page : feed->block_table_) {
    if (!feed->cache_->take(cache::Tier::kBinary16, page)) {
      return fail(ErrorCode::kInternal, "the cache has fewer pages than a window");
    }
  }
  feed->positions_.resize(static_cast<size_t>(options.window));
  std::iota(feed->positions_.begin(), feed->positions_.end(), 0);
  feed->row_spans_.resize(static_cast<size_t>(options.window));
  return feed;
}

void TextFeed::begin(std::span<const int32_t> tokens) {
  tokens_ = tokens;
  window_begin_ = window_size_ = next_row_ = 0;
}

void TextFeed::run_window() {
  const int32_t num_rows = static_cast<int32_t>(window_size_);
  const ops::SpanView span{0, num_rows, 0, block_table_.data()};
  const ops::BatchView batch{
      num_rows, tokens_.data() + window_begin_, positions_.data(), 1, &span, row_spans_.data()};
  model_.step(device_, *workspace_, batch, cache_->view(), {});
}

Result<bool> TextFeed::next(FeedChunk& chunk) {
  if (next_row_ + 1 >= window_size_) {
    window_begin_ += window_size_;
    window_size_ = std::min(static_cast<size_t>(options_.window), tokens_.size() - window_begin_);
    next_row_ = 0;
    if (window_size_ < 2) return false;  // a single last token predicts nothing
    run_window();
    RUVLLM_TRY(model_.file().check_intact());
  }
  const size_t count =
      std::min(static_cast<size_t>(FeedChunk::kMaxPositions), window_size_ - 1 - next_row_);
  std::array<int32_t, FeedChunk::kMaxPositions> row_numbers;
  std::iota(row_numbers.begin(), row_numbers.end(), static_cast<int32_t>(next_row_));
  const std::span<const int32_t> rows(row_numbers.data(), count);
  chunk.num_positions = static_cast<int32_t>(count);
  chunk.hidden_dim = model_.config().hidden_dim;
  chunk.vocab_size = model_.config().vocab_size;
  model_.logits(device_, *workspace_, rows);
  const float* logits = workspace_->logits;
  chunk.logits.assign(logits, logits + count * static_cast<size_t>(chunk.vocab_size));
  model_.final_states(device_, *workspace_, rows);
  const size_t hidden_dim = static_cast<size_t>(chunk.hidden_dim);
  const float* states = workspace_->residual + next_row_ * hidden_dim;
  chunk.hidden.assign(states, states + count * hidden_dim);
  const auto first_target = tokens_.begin() + static_cast<ptrdiff_t>(window_begin_ + next_row_ + 1);
  chunk.targets.assign(first_target, first_target + static_cast<ptrdiff_t>(count));
  next_row_ += count;
  summarize_logits(chunk);
  for (const double sum : chunk.log_sum_exp) {
    if (!std::isfinite(sum)) {
      return fail(ErrorCode::kInternal, "the model's logits are not finite near token {}",
                  window_begin_ + next_row_);
    }
  }
  return true;
}

}  // namespace ruvllm::sona
