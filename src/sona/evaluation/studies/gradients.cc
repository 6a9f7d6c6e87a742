#include "sona/evaluation/studies/gradients.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "sona/evaluation/statistics.h"
#include "tensor/codec.h"
#include "tensor/view.h"

namespace ruvllm::sona {
namespace {

Spread spread_of(std::vector<double> values) {
  const double mean = mean_of(values);
  std::ranges::sort(values);
  return {mean, values.empty() ? 0 : values[values.size() / 10]};
}

// Residuals p - e_y of a chunk's positions, exact and on the most probable tokens and the target.
struct Residuals {
  explicit Residuals(const FeedChunk& chunk);
  std::vector<double> exact, kept;  // [positions, vocab]
  std::vector<double> mass;         // [positions]
};

Residuals::Residuals(const FeedChunk& chunk) {
  const size_t vocab = static_cast<size_t>(chunk.vocab_size);
  for (int32_t position = 0; position < chunk.num_positions; ++position) {
    const size_t begin = exact.size();
    const size_t target = static_cast<size_t>(chunk.targets[static_cast<size_t>(position)]);
    for (int32_t token = 0; token < chunk.vocab_size; ++token) {
      exact.push_back(std::exp(chunk.log_probability(position, token)));
    }
    kept.resize(begin + vocab);
    double held = 0;
    const auto keep = [&](size_t token) {
      held += exact[begin + token];
      kept[begin + token] = exact[begin + token];
    };
    for (const int32_t token : chunk.top_of(position)) keep(static_cast<size_t>(token));
    if (kept[begin + target] == 0) keep(target);
    exact[begin + target] -= 1;
    kept[begin + target] -= 1;
    mass.push_back(held);
  }
}

double cosine(std::span<const double> a, std::span<const double> b) {
  double product = 0;
  double first = 0;
  double second = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += a[i] * b[i];
    first += a[i] * a[i];
    second += b[i] * b[i];
  }
  return product / std::sqrt(std::max(first * second, 1e-300));
}

// W^T r for each position, [positions, hidden]; rows of W are decoded once.
void gradients_at_hidden(const MatrixView& head, const Residuals& residuals,
                         std::vector<double>& exact, std::vector<double>& kept) {
  const size_t vocab = head.num_rows;
  const size_t width = head.num_cols;
  const size_t count = residuals.mass.size();
  exact.assign(count * width, 0.0);
  kept.assign(count * width, 0.0);
  std::vector<float> row(width);
  for (size_t token = 0; token < vocab; ++token) {
    decode_row(head.dtype, head.row(token), width, row.data());
    for (size_t position = 0; position < count; ++position) {
      const double all = residuals.exact[position * vocab + token];
      const double part = residuals.kept[position * vocab + token];
      double* sums = exact.data() + position * width;
      for (size_t i = 0; i < width; ++i) sums[i] += all * static_cast<double>(row[i]);
      if (part == 0) continue;
      sums = kept.data() + position * width;
      for (size_t i = 0; i < width; ++i) sums[i] += part * static_cast<double>(row[i]);
    }
  }
}

}  // namespace

Result<std::unique_ptr<GradientStudy>> GradientStudy::create(const StudySetting& setting,
                                                             int32_t positions) {
  std::unique_ptr<GradientStudy> study(new GradientStudy(setting));
  study->positions_ = positions;
  RUVLLM_ASSIGN(study->feed_, TextFeed::create(setting.model, setting.device, setting.feed));
  return study;
}

Result<bool> GradientStudy::step() {
  const size_t domain = outcomes_.size();
  const MatrixView& head = setting_.model.weights().output.weight;
  const size_t vocab = head.num_rows;
  const size_t width = head.num_cols;
  const std::span<const int32_t> text = setting_.text(domain);
  const size_t length = tokens_for(static_cast<size_t>(positions_), setting_.feed.window);
  feed_->begin(text.first(std::min(length, text.size())));
  std::vector<double> mass, rows, hidden, exact, kept;
  FeedChunk chunk;
  while (true) {
    RUVLLM_ASSIGN(const bool has_chunk, feed_->next(chunk));
    if (!has_chunk) break;
    const Residuals residuals(chunk);
    gradients_at_hidden(head, residuals, exact, kept);
    for (size_t i = 0; i < residuals.mass.size(); ++i) {
      mass.push_back(residuals.mass[i]);
      rows.push_back(cosine(std::span(residuals.exact).subspan(i * vocab, vocab),
                            std::span(residuals.kept).subspan(i * vocab, vocab)));
      hidden.push_back(cosine(std::span(exact).subspan(i * width, width),
                              std::span(kept).subspan(i * width, width)));
    }
  }
  outcomes_.push_back({.domain = setting_.domains[domain].name,
                       .num_positions = static_cast<int64_t>(mass.size()),
                       .mass = spread_of(std::move(mass)),
                       .rows = spread_of(std::move(rows)),
                       .hidden = spread_of(std::move(hidden))});
  return outcomes_.size() < setting_.domains.size();
}

}  // namespace ruvllm::sona
