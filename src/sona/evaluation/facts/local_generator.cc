#include "sona/evaluation/facts/local_generator.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/numeric/random_stream.h"
#include "ops/views.h"

namespace ruvllm::sona {
namespace {

constexpr int32_t kChunkRows = 64;  // of one step, which all may have logits

int32_t likeliest(std::span<const float> logits) {
  return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
}

double log_sum_exp(std::span<const float> logits) {
  const double max = logits[static_cast<size_t>(likeliest(logits))];
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - max);
  return max + std::log(sum);
}

// By inverting the distribution function of softmax(logits / temperature) at `share`.
int32_t draw(std::span<const float> logits, double temperature, double share) {
  const double max = logits[static_cast<size_t>(likeliest(logits))];
  const auto weight = [&](float logit) {
    return std::exp((static_cast<double>(logit) - max) / temperature);
  };
  double total = 0.0;
  for (const float logit : logits) total += weight(logit);
  double left = share * total;
  for (size_t i = 0; i < logits.size(); ++i) {
    left -= weight(logits[i]);
    if (left < 0.0) return static_cast<int32_t>(i);
  }
  return likeliest(logits);
}

}  // namespace

Result<std::unique_ptr<LocalGenerator>> LocalGenerator::create(const model::Model& model,
                                                               device::CpuDevice& device,
                                                               int32_t max_context) {
  const model::ModelConfig& config = model.config();
  if (!config.generates_text()) {
    return fail(ErrorCode::kUnsupported, "{}: {} models do not generate text", model.file().path(),
                config.architecture);
  }
  if (max_context < 2 || max_context > config.context_length) {
    return fail(ErrorCode::kInvalidArgument, "a context of {} tokens; the model has 2 to {}",
                max_context, config.context_length);
  }
  std::unique_ptr<LocalGenerator> generator(new LocalGenerator(model, device, max_context));
  RUVLLM_TRY(generator->allocate());
  return generator;
}

Status LocalGenerator::allocate() {
  const model::ModelConfig& config = model_.config();
  RUVLLM_ASSIGN(workspace_, model::Workspace::create(device_, config, model_.weights(),
                                                     {.max_rows = kChunkRows,
                                                      .max_logit_rows = kChunkRows,
                                                      .num_threads = device_.team().num_threads(),
                                                      .context_length = max_context_}));
  const uint32_t num_pages = cache::pages_for_tokens(static_cast<uint64_t>(max_context_));
  RUVLLM_ASSIGN(cache_, cache::KvCache::create(
                            {.shape = {config.num_layers, config.num_kv_heads, config.head_dim},
                             .num_pages = num_pages}));
  block_table_.resize(num_pages);
  std::iota(block_table_.begin(), block_table_.end(), 0u);
  positions_.resize(kChunkRows);
  row_spans_.assign(kChunkRows, 0);
  return {};
}

Status LocalGenerator::check(std::span<const int32_t> tokens) const {
  if (tokens.empty()) return fail(ErrorCode::kInvalidArgument, "a text without tokens");
  for (const int32_t token : tokens) {
    if (token >= 0 && token < model_.config().vocab_size) continue;
    return fail(ErrorCode::kInvalidArgument, "token {} is not in the vocabulary of {}", token,
                model_.config().vocab_size);
  }
  return {};
}

void LocalGenerator::step(std::span<const int32_t> tokens, int32_t first_position,
                          bool all_logits) {
  const auto num_rows = static_cast<int32_t>(tokens.size());
  std::iota(positions_.begin(), positions_.begin() + num_rows, first_position);
  ops::SpanView span = {0, num_rows, first_position, block_table_.data()};
  if (set_ != nullptr) span.lora = &set_->view();
  const ops::BatchView batch = {num_rows, tokens.data(), positions_.data(),
                                1,        &span,         row_spans_.data()};
  logit_rows_.resize(all_logits ? tokens.size() : 1);
  std::iota(logit_rows_.begin(), logit_rows_.end(), all_logits ? 0 : num_rows - 1);
  model_.step(device_, *workspace_, batch, cache_->view(), logit_rows_, model::RowsAfter::kDone);
}

std::span<const float> LocalGenerator::logits(size_t row) const {
  const auto vocab = static_cast<size_t>(model_.config().vocab_size);
  return {workspace_->logits + row * vocab, vocab};
}

Result<std::vector<int32_t>> LocalGenerator::generate(std::span<const int32_t> prompt,
                                                      const GenerationOptions& options) {
  RUVLLM_TRY(check(prompt));
  if (options.max_tokens < 0 ||
      prompt.size() + static_cast<size_t>(options.max_tokens) > static_cast<size_t>(max_context_)) {
    return fail(ErrorCode::kInvalidArgument, "{} tokens and {} more do not fit a context of {}",
                prompt.size(), options.max_tokens, max_context_);
  }
  int32_t position = 0;
  while (!prompt.empty()) {
    const auto chunk = prompt.first(std::min<size_t>(prompt.size(), kChunkRows));
    step(chunk, position, false);
    position += static_cast<int32_t>(chunk.size());
    prompt = prompt.subspan(chunk.size());
  }
  const RandomStream random(options.seed);
  std::vector<int32_t> text;
  while (static_cast<int32_t>(text.size()) < options.max_tokens) {
    const int32_t token = options.temperature > 0.0
                              ? draw(logits(0), options.temperature, random.uniform(text.size()))
                              : likeliest(logits(0));
    if (std::ranges::find(options.end_ids, token) != options.end_ids.end()) break;
    text.push_back(token);
    step(std::span(&text.back(), 1), position++, false);
  }
  RUVLLM_TRY(model_.file().check_intact());
  return text;
}

Result<double> LocalGenerator::mean_nll(std::span<const int32_t> text) {
  RUVLLM_TRY(check(text));
  double nll = 0.0;
  size_t scored = 0;
  for (size_t begin = 0; begin < text.size(); begin += static_cast<size_t>(max_context_)) {
    const auto window =
        text.subspan(begin, std::min(text.size() - begin, static_cast<size_t>(max_context_)));
    for (size_t at = 0; at + 1 < window.size(); at += kChunkRows) {
      const size_t rows = std::min<size_t>(kChunkRows, window.size() - 1 - at);
      step(window.subspan(at, rows), static_cast<int32_t>(at), true);
      for (size_t row = 0; row < rows; ++row) {
        const std::span<const float> z = logits(row);
        nll += log_sum_exp(z) - static_cast<double>(z[static_cast<size_t>(window[at + row + 1])]);
      }
      scored += rows;
    }
  }
  RUVLLM_TRY(model_.file().check_intact());
  return scored > 0 ? nll / static_cast<double>(scored) : 0.0;
}

}  // namespace ruvllm::sona
