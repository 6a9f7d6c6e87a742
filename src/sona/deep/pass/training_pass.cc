#include "sona/deep/pass/training_pass.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sona/deep/pass/trainable.h"

namespace ruvllm::sona {
namespace {

// Logits that are there at once, at most: 32 MiB, or those of kMinHeadRows rows.
constexpr int64_t kMaxHeadFloats = int64_t{8} << 20;
constexpr int64_t kMinHeadRows = 16;

}  // namespace

TrainingPass::TrainingPass(const model::Model& model, device::CpuDevice& device,
                           const TrainingPassOptions& options)
    : model_(model), device_(device), options_(options), max_rows_(options.max_tokens - 1) {
  const int64_t rows = std::max(kMaxHeadFloats / config().vocab_size, kMinHeadRows);
  head_rows_ = static_cast<int32_t>(std::min<int64_t>(rows, max_rows_));
}

Result<std::unique_ptr<TrainingPass>> TrainingPass::create(const model::Model& model,
                                                           device::CpuDevice& device,
                                                           const TrainingPassOptions& options) {
  RUVLLM_TRY(check_trainable(model));
  const int32_t context = model.config().context_length;
  if (options.max_tokens < 2 || options.max_tokens > context) {
    return fail(ErrorCode::kInvalidArgument,
                "training on texts of {} tokens: they must have 2 to {}, the model's context",
                options.max_tokens, context);
  }
  if (options.max_rank < 1 || options.max_rank > kMaxTrainedRank) {
    return fail(ErrorCode::kInvalidArgument, "LoRA rank {}: it must be 1 to {}", options.max_rank,
                kMaxTrainedRank);
  }
  std::unique_ptr<TrainingPass> pass(new TrainingPass(model, device, options));
  RUVLLM_TRY(pass->allocate());
  return pass;
}

Status TrainingPass::allocate() {
  const uint32_t threads = device_.team().num_threads();
  RUVLLM_ASSIGN(workspace_, model::Workspace::create(device_, config(), model_.weights(),
                                                     {.max_rows = max_rows_,
                                                      .max_logit_rows = head_rows_,
                                                      .num_threads = threads,
                                                      .context_length = options_.max_tokens}));
  if (options_.attention == AttentionForm::kServed) {
    const uint32_t num_pages = cache::pages_for_tokens(static_cast<uint64_t>(max_rows_));
    RUVLLM_ASSIGN(cache_,
                  cache::KvCache::create({.shape = {1, config().num_kv_heads, config().head_dim},
                                          .num_pages = num_pages}));
    block_table_.resize(num_pages);
    std::iota(block_table_.begin(), block_table_.end(), 0u);
  }
  const auto rows = static_cast<size_t>(max_rows_);
  positions_.resize(rows);
  std::iota(positions_.begin(), positions_.end(), 0);
  row_spans_.assign(rows, 0);
  target_rows_.reserve(rows);
  plan_saves();
  transposed_.plan(arena_, device_.kernels(), max_rows_, threads);
  attention_.plan(arena_, device_.kernels(), attention_shape(0), max_rows_, threads);
  const int32_t max_dim =
      std::max({config().hidden_dim, config().q_dim(), config().kv_dim(), config().ffn_dim});
  lora_.plan(arena_, device_.kernels(), {max_rows_, options_.max_rank, max_dim, threads});
  RUVLLM_TRY(arena_.commit(HugePages::kNo, "training pass"));
  bind_saves();
  transposed_.bind(arena_);
  attention_.bind(arena_);
  lora_.bind(arena_);
  fill_rope();
  return {};
}

// In the order of bind_saves().
void TrainingPass::plan_saves() {
  const model::ModelConfig& c = config();
  const auto add = [&](int64_t num_rows, int64_t dim) {
    slots_.push_back(arena_.add<float>(static_cast<size_t>(num_rows) * static_cast<size_t>(dim)));
  };
  const bool has_norms = c.qk_norm != model::QkNorm::kNone;
  for (int32_t layer = 0; layer < c.num_layers; ++layer) {
    add(max_rows_, c.hidden_dim);
    add(has_norms ? max_rows_ : 0, c.q_dim());
    add(has_norms ? max_rows_ : 0, c.kv_dim());
    for (const int32_t dim :
         {c.q_dim(), c.kv_dim(), c.kv_dim(), c.q_dim(), c.hidden_dim, c.ffn_dim, c.ffn_dim}) {
      add(max_rows_, dim);
    }
  }
  for (const int32_t dim : {c.hidden_dim, c.hidden_dim, c.hidden_dim, c.ffn_dim}) {
    add(max_rows_, dim);
  }
  const int64_t num_angles = static_cast<int64_t>(c.ropes.size()) * (c.rope_dim / 2);
  for (int i = 0; i < 3; ++i) add(max_rows_, num_angles);
  add(max_rows_, c.hidden_dim);
  add(head_rows_, c.vocab_size);
  add(head_rows_, c.hidden_dim);
  for (const int32_t dim : {c.hidden_dim, c.hidden_dim, c.ffn_dim, c.ffn_dim, c.q_dim(), c.kv_dim(),
                            c.kv_dim(), c.q_dim()}) {
    add(max_rows_, dim);
  }
  add(device_.team().num_threads(), c.head_dim);
}

void TrainingPass::bind_saves() {
  size_t next = 0;
  const auto take = [&] { return arena_.at(slots_[next++]); };
  const bool has_norms = config().qk_norm != model::QkNorm::kNone;
  for (int32_t layer = 0; layer < config().num_layers; ++layer) {
    LayerSaves& s = saves_.emplace_back();
    for (float** each :
         {&s.input, &s.raw_q, &s.raw_k, &s.q, &s.k, &s.v, &s.mixed, &s.middle, &s.gate, &s.up}) {
      *each = take();
    }
    if (!has_norms) s.raw_q = s.raw_k = nullptr;
  }
  PassBuffers& b = buffers_;
  for (float** each : {&b.output, &b.block, &b.normed, &b.gated, &b.cos, &b.sin, &b.negative_sin,
                       &b.teacher_states, &b.teacher_logits, &b.d_states, &b.d_stream, &b.d_normed,
                       &b.d_gate, &b.d_up, &b.d_q, &b.d_k, &b.d_v, &b.d_mixed, &b.head_scratch}) {
    *each = take();
  }
}

void TrainingPass::fill_rope() {
  const int64_t angles = config().rope_dim / 2;
  int64_t row = 0;
  for (const ops::RopeAngles& rope : model_.ropes(options_.max_tokens)) {
    for (int32_t position = 0; position < max_rows_; ++position, ++row) {
      float* sin = buffers_.sin + row * angles;
      rope.fill(position, buffers_.cos + row * angles, sin);
      for (int64_t i = 0; i < angles; ++i) buffers_.negative_sin[row * angles + i] = -sin[i];
    }
  }
}

uint64_t TrainingPass::bytes() const {
  return arena_.bytes() + workspace_->bytes() + (cache_ ? cache_->bytes_reserved() : 0);
}

ops::AttentionShape TrainingPass::attention_shape(int32_t layer_idx) const {
  return {.num_heads = config().num_heads,
          .num_kv_heads = config().num_kv_heads,
          .head_dim = config().head_dim,
          .scale = config().attention_scale,
          .window = config().layer(layer_idx).window};
}

Status TrainingPass::check(const TrainingExample& example) const {
  const size_t count = example.tokens.size();
  if (count < 2 || count > static_cast<size_t>(options_.max_tokens)) {
    return fail(ErrorCode::kInvalidArgument,
                "a training example has {} tokens; it must have 2 to {}", count,
                options_.max_tokens);
  }
  if (example.token_weights.size() != count ||
      (example.has_kl() && example.kl_weights.size() != count)) {
    return fail(ErrorCode::kInvalidArgument,
                "a training example has {} tokens but {} weights and {} KL weights", count,
                example.token_weights.size(), example.kl_weights.size());
  }
  if (example.token_weights[0] != 0.0f || example.kl_weight(0) != 0.0f) {
    return fail(ErrorCode::kInvalidArgument,
                "a training example weighs its first token, which follows nothing; its weight "
                "must be 0");
  }
  for (size_t i = 0; i < count; ++i) {
    const int32_t token = example.tokens[i];
    if (token < 0 || token >= config().vocab_size) {
      return fail(ErrorCode::kInvalidArgument,
                  "token {} of a training example is {}; the vocabulary has {}", i, token,
                  config().vocab_size);
    }
    const float kl = example.kl_weight(i);
    if (!std::isfinite(example.token_weights[i]) || !std::isfinite(kl) || kl < 0.0f) {
      return fail(ErrorCode::kInvalidArgument,
                  "token {} of a training example has the weight {} and the KL weight {}; they "
                  "must be finite, and that of KL not negative",
                  i, example.token_weights[i], kl);
    }
  }
  return {};
}

// Row i predicts token i + 1.
void TrainingPass::find_targets(const TrainingExample& example) {
  num_rows_ = static_cast<int32_t>(example.tokens.size()) - 1;
  target_rows_.clear();
  for (int32_t row = 0; row < num_rows_; ++row) {
    const size_t token = static_cast<size_t>(row) + 1;
    if (example.token_weights[token] != 0.0f || example.kl_weight(token) != 0.0f) {
      target_rows_.push_back(row);
    }
  }
  row_nll_.assign(target_rows_.size(), 0.0);
  row_kl_.assign(target_rows_.size(), 0.0);
}

Result<ExampleLoss> TrainingPass::run(const TrainingExample& example,
                                      const LoraParameters* parameters, float factor,
                                      float* gradients) {
  RUVLLM_TRY(check(example));
  if (parameters != nullptr && parameters->shape().rank > options_.max_rank) {
    return fail(ErrorCode::kInvalidArgument, "LoRA rank {} in a training pass made for {}",
                parameters->shape().rank, options_.max_rank);
  }
  find_targets(example);
  if (example.has_kl()) {
    forward(example, nullptr);
    save_teacher_states();
  }
  forward(example, parameters);
  head(example, factor, gradients != nullptr);
  ExampleLoss loss;
  loss.num_tokens = num_rows_;
  for (size_t i = 0; i < target_rows_.size(); ++i) {
    const size_t token = static_cast<size_t>(target_rows_[i]) + 1;
    const double weight = example.token_weights[token], kl = example.kl_weight(token);
    loss.nll_sum += weight * row_nll_[i];
    loss.kl_sum += kl * row_kl_[i];
    loss.weight += std::abs(weight) + kl;
  }
  if (!std::isfinite(loss.nll_sum) || !std::isfinite(loss.kl_sum)) {
    return fail(ErrorCode::kInvalidArgument,
                "the loss of a training example is not finite; use a lower learning rate");
  }
  if (gradients != nullptr) backward(*parameters, gradients);
  return loss;
}

Result<ExampleLoss> TrainingPass::add_sampled_gradients(const TrainingExample& example,
                                                        const LoraParameters& parameters,
                                                        uint64_t seed, float* gradients) {
  TrainingExample weighed = example;
  weighed.kl_weights.clear();
  for (size_t i = 0; i < std::min(example.tokens.size(), example.token_weights.size()); ++i) {
    const float kl = i < example.kl_weights.size() ? example.kl_weights[i] : 0.0f;
    weighed.token_weights[i] = std::sqrt(std::abs(example.token_weights[i]) + kl);
  }
  drawn_targets_.emplace(seed);
  Result<ExampleLoss> loss = run(weighed, &parameters, 1.0f, gradients);
  drawn_targets_.reset();
  return loss;
}

Result<ExampleLoss> TrainingPass::loss(const TrainingExample& example,
                                       const LoraParameters* parameters) {
  return run(example, parameters, 0.0f, nullptr);
}

Result<ExampleLoss> TrainingPass::add_gradients(const TrainingExample& example,
                                                const LoraParameters& parameters, float factor,
                                                float* gradients) {
  return run(example, &parameters, factor, gradients);
}

}  // namespace ruvllm::sona
