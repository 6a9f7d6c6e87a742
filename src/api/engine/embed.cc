#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <iterator>
#include <utility>

#include "api/engine/engine_impl.h"
#include "base/core/check.h"

namespace ruvllm {
namespace {

// In the order of Pooling.
constexpr std::array<std::pair<const char*, model::Pooling>, 4> kPoolings = {
    {{"none", model::Pooling::kNone},
     {"mean", model::Pooling::kMean},
     {"cls", model::Pooling::kCls},
     {"last", model::Pooling::kLast}}};

Result<model::Pooling> choose_pooling(const EmbeddingOptions& options,
                                      const model::ModelConfig& config) {
  if (options.pooling) {
    const size_t index = static_cast<size_t>(*options.pooling);
    if (index < kPoolings.size()) return kPoolings[index].second;
    return fail(ErrorCode::kInvalidArgument, "pooling {} is none of those declared", index);
  }
  if (!config.pooling) return config.causal ? model::Pooling::kLast : model::Pooling::kMean;
  if (*config.pooling != model::Pooling::kRank) return *config.pooling;
  return fail(ErrorCode::kUnsupported,
              "the model's pooling type is 'rank' (a reranker), which is not supported; choose "
              "none, mean, cls or last");
}

// Cuts every vector to its first dimensions and gives it length 1.
void finish_vectors(const EmbeddingOptions& options, size_t full_dim, Embedding& embedding) {
  const size_t dim = options.dimensions == 0 ? full_dim : options.dimensions;
  for (size_t i = 0; i < embedding.num_vectors; ++i) {
    float* vector = embedding.values.data() + i * dim;
    std::copy_n(embedding.values.data() + i * full_dim, dim, vector);  // to the front, or in place
    if (!options.normalize) continue;
    double squares = 0.0;
    for (size_t k = 0; k < dim; ++k) squares += static_cast<double>(vector[k]) * vector[k];
    if (squares == 0.0) continue;
    const double inverse = 1.0 / std::sqrt(squares);
    for (size_t k = 0; k < dim; ++k) vector[k] = static_cast<float>(vector[k] * inverse);
  }
  embedding.values.resize(embedding.num_vectors * dim);
}

Status check_lengths(const std::vector<std::vector<TokenId>>& texts, uint32_t context_length) {
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) {
      return fail(ErrorCode::kInvalidArgument, "text {} has no tokens; leave it out", i);
    }
    if (texts[i].size() > context_length) {
      return fail(ErrorCode::kInvalidArgument,
                  "text {} has {} tokens, but the context holds {}; shorten or split it, or raise "
                  "the context length as far as the model goes",
                  i, texts[i].size(), context_length);
    }
  }
  return {};
}

// Requests in the loop, oldest first. All that are left are cancelled.
class Pending {
 public:
  ~Pending() {
    for (const auto& channel : channels_) channel->cancelled.store(true, std::memory_order_relaxed);
  }
  void push(std::shared_ptr<engine::SequenceChannel> channel) {
    channels_.push_back(std::move(channel));
  }
  size_t size() const { return channels_.size(); }

  // Waits for the oldest.
  Result<std::vector<float>> pop() {
    const std::shared_ptr<engine::SequenceChannel> channel = std::move(channels_.front());
    channels_.pop_front();
    events::TokenEvent end;
    channel->ring.pop_wait(end);
    if (end.end == events::EndReason::kModelDamaged) {
      return std::unexpected(*channel->result.failure);
    }
    if (end.end == events::EndReason::kCancelled) {
      return fail(ErrorCode::kCancelled, "the engine ended before the embedding was computed");
    }
    if (end.end == events::EndReason::kNumericError) {
      return fail(ErrorCode::kInternal,
                  "the model's states are not finite; the weights may be damaged");
    }
    return std::move(channel->result.embedding);
  }

 private:
  std::deque<std::shared_ptr<engine::SequenceChannel>> channels_;
};

}  // namespace

const char* pooling_name(Pooling pooling) {
  const size_t index = static_cast<size_t>(pooling);
  RUVLLM_CHECK(index < kPoolings.size());
  return kPoolings[index].first;
}

Result<Pooling> pooling_of_name(std::string_view name) {
  const auto found =
      std::ranges::find(kPoolings, name, [](const auto& entry) { return entry.first; });
  if (found == kPoolings.end()) {
    return fail(ErrorCode::kInvalidArgument,
                "pooling '{}' is not supported; supported are: none, mean, cls, last", name);
  }
  return static_cast<Pooling>(std::distance(kPoolings.begin(), found));
}

Result<std::vector<Embedding>> Engine::embed(std::span<const std::string> texts,
                                             const EmbeddingOptions& options) {
  std::vector<std::vector<TokenId>> ids;
  ids.reserve(texts.size());
  for (const std::string& text : texts) ids.push_back(impl_->tokenizer->encode(text, true, true));
  return embed_tokens(std::move(ids), options);
}

Result<std::vector<Embedding>> Engine::embed_tokens(std::vector<std::vector<TokenId>> texts,
                                                    const EmbeddingOptions& options) {
  const uint32_t full_dim = impl_->info.embedding_length;
  if (options.dimensions > full_dim) {
    return fail(ErrorCode::kInvalidArgument,
                "{} dimensions were asked for, but the model's embeddings have {}",
                options.dimensions, full_dim);
  }
  RUVLLM_ASSIGN(const model::Pooling pooling, choose_pooling(options, impl_->model->config()));
  RUVLLM_TRY(check_lengths(texts, impl_->info.context_length));
  RUVLLM_ASSIGN(const auto adapters, impl_->adapter_set(options.adapters));

  // Enough to fill the next step while one runs; half of the queue stays free for others.
  const engine::StepLoopOptions& loop_options = impl_->loop->options();
  const size_t max_pending =
      std::min(size_t{2} * loop_options.max_sequences, size_t{loop_options.max_queued} / 2);
  std::vector<Embedding> embeddings(texts.size());
  size_t num_done = 0;
  Pending pending;
  const auto finish_oldest = [&]() -> Status {
    Embedding& embedding = embeddings[num_done++];
    RUVLLM_ASSIGN(embedding.values, pending.pop());
    embedding.num_vectors = static_cast<uint32_t>(embedding.values.size() / full_dim);
    finish_vectors(options, full_dim, embedding);
    return {};
  };
  for (size_t i = 0; i < texts.size(); ++i) {
    embeddings[i].num_tokens = static_cast<uint32_t>(texts[i].size());
    if (pending.size() == max_pending) RUVLLM_TRY(finish_oldest());
    engine::SequenceRequest request;
    request.prompt = std::move(texts[i]);
    request.adapters = adapters;
    request.embed = pooling;
    RUVLLM_ASSIGN(auto channel, impl_->loop->submit(std::move(request)));
    pending.push(std::move(channel));
  }
  while (pending.size() > 0) RUVLLM_TRY(finish_oldest());
  return embeddings;
}

}  // namespace ruvllm
