// The loss of a training example in float64 from the definition, for finite differences in tests:
// decoded weights, no rounding anywhere, the same LoRA parameters.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "model/model.h"
#include "sona/deep/pass/example.h"
#include "sona/deep/pass/lora_parameters.h"
#include "tensor/codec.h"

namespace ruvllm::sona {

class ReferenceModel {
 public:
  using Row = std::vector<double>;
  using Rows = std::vector<Row>;

  explicit ReferenceModel(const model::Model& model) : model_(model), config_(model.config()) {}

  double loss(const TrainingExample& example, const LoraParameters& parameters) {
    const Rows own = logits(example.tokens, &parameters);
    const Rows base = example.has_kl() ? logits(example.tokens, nullptr) : Rows();
    double total = 0.0;
    for (size_t token = 1; token < example.tokens.size(); ++token) {
      const Row p = log_softmax(own[token - 1]);
      total -= static_cast<double>(example.token_weights[token]) *
               p[static_cast<size_t>(example.tokens[token])];
      if (example.kl_weight(token) == 0.0f) continue;
      const Row q = log_softmax(base[token - 1]);
      double divergence = 0.0;
      for (size_t j = 0; j < p.size(); ++j) divergence += std::exp(q[j]) * (q[j] - p[j]);
      total += static_cast<double>(example.kl_weight(token)) * divergence;
    }
    return total;
  }

 private:
  static Row log_softmax(const Row& z) {
    const double max = *std::max_element(z.begin(), z.end());
    double sum = 0.0;
    for (const double value : z) sum += std::exp(value - max);
    Row out;
    for (const double value : z) out.push_back(value - max - std::log(sum));
    return out;
  }

  const Rows& decoded(const MatrixView& view) {
    Rows& rows = decoded_[view.data];
    if (!rows.empty()) return rows;
    std::vector<float> row(view.num_cols);
    for (size_t r = 0; r < view.num_rows; ++r) {
      decode_row(view.dtype, view.row(r), view.num_cols, row.data());
      rows.emplace_back(row.begin(), row.end());
    }
    return rows;
  }

  Row norm(const Row& x, const std::vector<float>& weight) const {
    double squares = 0.0;
    for (const double value : x) squares += value * value;
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) +
                                           static_cast<double>(config_.norm_epsilon));
    Row out;
    for (size_t i = 0; i < x.size(); ++i) {
      out.push_back(x[i] * inverse * static_cast<double>(weight[i]));
    }
    return out;
  }

  Row product(const ops::LinearPlan& plan, const Row& x, int32_t layer, ops::LoraTarget target,
              const LoraParameters* parameters) {
    const Rows& w = decoded(plan.weight);
    Row y(w.size());
    for (size_t r = 0; r < y.size(); ++r) {
      if (plan.bias != nullptr) y[r] = static_cast<double>(plan.bias[r]);
      for (size_t i = 0; i < x.size(); ++i) y[r] += w[r][i] * x[i];
    }
    if (parameters == nullptr) return y;
    const LoraFactors f = parameters->factors(layer, target);
    const auto rank = static_cast<size_t>(f.rank);
    for (size_t j = 0; j < rank; ++j) {
      double inner = 0.0;
      for (size_t i = 0; i < x.size(); ++i)
        inner += static_cast<double>(f.a[j * x.size() + i]) * x[i];
      for (size_t r = 0; r < y.size(); ++r) {
        y[r] += static_cast<double>(f.scale) * static_cast<double>(f.b[r * rank + j]) * inner;
      }
    }
    return y;
  }

  void finish_heads(Row& heads, const std::vector<float>& weight, int32_t layer,
                    int32_t position) const {
    const auto dim = static_cast<size_t>(config_.head_dim);
    const auto half = static_cast<size_t>(config_.rope_dim / 2);
    const int32_t rope_idx = config_.layer(layer).rope_idx;
    std::vector<float> cos(half), sin(half);
    if (rope_idx != model::kNoRope) {
      model_.ropes(config_.context_length)[static_cast<size_t>(rope_idx)].fill(position, cos.data(),
                                                                               sin.data());
    }
    for (size_t first = 0; first < heads.size(); first += dim) {
      const auto begin = heads.begin() + static_cast<ptrdiff_t>(first);
      Row head(begin, begin + static_cast<ptrdiff_t>(dim));
      if (!weight.empty()) head = norm(head, weight);
      for (size_t i = 0; rope_idx != model::kNoRope && i < half; ++i) {
        const bool neox = config_.rope_style == model::RopeStyle::kNeox;
        double& x = head[neox ? i : 2 * i];
        double& y = head[neox ? i + half : 2 * i + 1];
        const double c = cos[i], s = sin[i], old = x;
        x = old * c - y * s;
        y = old * s + y * c;
      }
      std::copy(head.begin(), head.end(), begin);
    }
  }

  Row attend(const Row& q, const Rows& k, const Rows& v, int32_t layer) const {
    const auto dim = static_cast<size_t>(config_.head_dim);
    const auto group = static_cast<size_t>(config_.num_heads / config_.num_kv_heads);
    const size_t window = static_cast<size_t>(config_.layer(layer).window);
    const size_t begin = window > 0 && k.size() > window ? k.size() - window : 0;
    Row out(q.size());
    for (size_t head = 0; head * dim < q.size(); ++head) {
      const size_t kv = head / group * dim;
      Row scores;
      for (size_t j = begin; j < k.size(); ++j) {
        double score = 0.0;
        for (size_t i = 0; i < dim; ++i) score += q[head * dim + i] * k[j][kv + i];
        scores.push_back(score * static_cast<double>(config_.attention_scale));
      }
      const Row log_p = log_softmax(scores);
      for (size_t j = begin; j < k.size(); ++j) {
        for (size_t i = 0; i < dim; ++i) {
          out[head * dim + i] += std::exp(log_p[j - begin]) * v[j][kv + i];
        }
      }
    }
    return out;
  }

  static void add(const Row& x, Row& stream) {
    for (size_t i = 0; i < x.size(); ++i) stream[i] += x[i];
  }

  Rows logits(const std::vector<int32_t>& tokens, const LoraParameters* parameters) {
    using enum ops::LoraTarget;
    Rows stream;
    for (const int32_t token : tokens) {
      stream.push_back(decoded(model_.weights().token_embedding)[static_cast<size_t>(token)]);
    }
    for (int32_t layer = 0; layer < config_.num_layers; ++layer) {
      const model::LayerWeights& w = model_.weights().layers[static_cast<size_t>(layer)];
      Rows k, v;
      for (size_t t = 0; t < tokens.size(); ++t) {
        const Row x = norm(stream[t], w.attn_norm);
        Row q = product(w.q, x, layer, kQ, parameters);
        k.push_back(product(w.k, x, layer, kK, parameters));
        v.push_back(product(w.v, x, layer, kV, parameters));
        finish_heads(q, w.q_norm, layer, static_cast<int32_t>(t));
        finish_heads(k.back(), w.k_norm, layer, static_cast<int32_t>(t));
        const Row mixed = attend(q, k, v, layer);
        add(product(w.attn_output, mixed, layer, kAttnOutput, parameters), stream[t]);
        const Row y = norm(stream[t], w.ffn_norm);
        Row gate = product(w.gate, y, layer, kGate, parameters);
        const Row up = product(w.up, y, layer, kUp, parameters);
        for (size_t i = 0; i < gate.size(); ++i) {
          gate[i] = gate[i] / (1.0 + std::exp(-gate[i])) * up[i];
        }
        add(product(w.down, gate, layer, kDown, parameters), stream[t]);
      }
    }
    Rows out;
    for (const Row& row : stream) {
      out.push_back(product(model_.weights().output, norm(row, model_.weights().output_norm), 0, kQ,
                            nullptr));
    }
    return out;
  }

  const model::Model& model_;
  const model::ModelConfig& config_;
  std::map<const std::byte*, Rows> decoded_;
};

}  // namespace ruvllm::sona
