// The forward half: the model's own step (model/decoder), one text at a time, with LoRA in float32
// and everything saved that the backward half reads.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/numeric/half.h"
#include "ops/attention.h"
#include "ops/linear.h"
#include "sona/deep/gradients/float_attention.h"
#include "sona/deep/gradients/parallel.h"
#include "sona/deep/pass/training_pass.h"
#include "tensor/codec.h"

namespace ruvllm::sona {
namespace {

using ops::LoraTarget;

constexpr int64_t kPieceRows = 16;

float* row_of(float* rows, int64_t row, int32_t dim) { return rows + row * dim; }
const float* row_of(const float* rows, int64_t row, int32_t dim) { return rows + row * dim; }

void round_to_binary16(float* values, int32_t count) {
  for (int32_t i = 0; i < count; ++i) values[i] = f16_to_f32(f32_to_f16(values[i]));
}

}  // namespace

void TrainingPass::forward(const TrainingExample& example,
                           const LoraParameters* parameters) noexcept {
  embed(example);
  for (int32_t layer = 0; layer < config().num_layers; ++layer) {
    before_layer();
    forward_attention(layer, parameters);
    forward_feed_forward(layer, parameters);
  }
}

void TrainingPass::embed(const TrainingExample& example) noexcept {
  const MatrixView& table = model_.weights().token_embedding;
  const int32_t hidden = config().hidden_dim;
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t row = begin; row < end; ++row) {
      const auto token = static_cast<size_t>(example.tokens[static_cast<size_t>(row)]);
      decode_row(table.dtype, table.row(token), static_cast<size_t>(hidden),
                 row_of(saves(0).input, row, hidden));
    }
  });
}

// workspace.hidden_in = rows, normed, in the forms that the next products read.
void TrainingPass::norm_rows(const float* rows, const std::vector<float>& weight,
                             ops::ActivationKinds kinds) noexcept {
  const int32_t hidden = config().hidden_dim;
  const kernels::ElementwiseKernels& elementwise = device_.kernels().elementwise;
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t i = begin; i < end; ++i) {
      const auto row = static_cast<int32_t>(i);
      elementwise.rms_norm(row_of(rows, i, hidden), weight.data(), config().norm_epsilon, hidden,
                           workspace_->hidden_in.row(row, hidden));
      workspace_->hidden_in.store_row(elementwise, row, hidden, kinds);
    }
  });
}

void TrainingPass::run_products(std::span<const ops::LinearCall> calls,
                                const ops::ActivationBuffer& input) noexcept {
  device_.team().run([&](ThreadTeam::Worker& worker) {
    ops::run_linear(worker, calls, input, num_rows_, workspace_->thread_scratch(worker.index()));
  });
}

void TrainingPass::add_lora(int32_t layer_idx, LoraTarget target, const LoraParameters* parameters,
                            const float* x, float* y) noexcept {
  if (parameters == nullptr) return;
  lora_.add(device_.team(), parameters->factors(layer_idx, target), x, num_rows_, y);
}

// next = stream + block.
void TrainingPass::add_to_stream(const float* stream, float* next) noexcept {
  const int32_t hidden = config().hidden_dim;
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t row = begin; row < end; ++row) {
      std::copy_n(row_of(stream, row, hidden), hidden, row_of(next, row, hidden));
      device_.kernels().elementwise.add(row_of(buffers_.block, row, hidden), hidden,
                                        row_of(next, row, hidden));
    }
  });
}

// saves.q and saves.k as attention reads them; keys and values into the cache, if there is one.
void TrainingPass::turn_queries_and_keys(int32_t layer_idx) noexcept {
  const model::ModelConfig& c = config();
  const model::LayerWeights& w = weights(layer_idx);
  const LayerSaves& s = saves(layer_idx);
  const kernels::ElementwiseKernels& elementwise = device_.kernels().elementwise;
  const int32_t rope_idx = c.layer(layer_idx).rope_idx;
  const auto turn = c.rope_style == model::RopeStyle::kNeox ? elementwise.rope_neox
                                                            : elementwise.rope_interleaved;
  const auto finish = [&](float* heads, const float* raw, const std::vector<float>& norm,
                          int32_t num_heads, int64_t row) {
    if (raw != nullptr) {
      for (int32_t head = 0; head < num_heads; ++head) {
        elementwise.rms_norm(row_of(raw, head, c.head_dim), norm.data(), c.norm_epsilon, c.head_dim,
                             row_of(heads, head, c.head_dim));
      }
    }
    if (rope_idx == model::kNoRope) return;
    const int64_t angles = (int64_t{rope_idx} * max_rows_ + row) * (c.rope_dim / 2);
    turn(heads, buffers_.cos + angles, buffers_.sin + angles, c.rope_dim, c.head_dim, num_heads);
  };
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t row = begin; row < end; ++row) {
      float* k = row_of(s.k, row, c.kv_dim());
      float* v = row_of(s.v, row, c.kv_dim());
      const bool normed = s.raw_q != nullptr;
      finish(row_of(s.q, row, c.q_dim()), normed ? row_of(s.raw_q, row, c.q_dim()) : nullptr,
             w.q_norm, c.num_heads, row);
      finish(k, normed ? row_of(s.raw_k, row, c.kv_dim()) : nullptr, w.k_norm, c.num_kv_heads, row);
      if (!cache_) continue;
      ops::store_kv_row(elementwise, attention_shape(layer_idx), cache_->view(), 0,
                        block_table_.data(), static_cast<int32_t>(row), k, v);
      round_to_binary16(k, c.kv_dim());
      round_to_binary16(v, c.kv_dim());
    }
  });
}

// saves.mixed, and the same in workspace.attn_in.
void TrainingPass::attend(int32_t layer_idx) noexcept {
  const LayerSaves& s = saves(layer_idx);
  const int32_t q_dim = config().q_dim();
  if (cache_) {
    const ops::SpanView span = {0, num_rows_, 0, block_table_.data()};
    const ops::BatchView batch = {num_rows_, nullptr, positions_.data(),
                                  1,         &span,   row_spans_.data()};
    device_.team().run([&](ThreadTeam::Worker& worker) {
      ops::run_attention(worker, device_.kernels().attention, attention_shape(layer_idx), batch,
                         cache_->view(), 0, s.q, s.mixed, workspace_->attn_parts,
                         workspace_->thread_scratch(worker.index()));
    });
  } else {
    attend_in_float(device_.team(), attention_shape(layer_idx), {s.q, s.k, s.v, num_rows_},
                    s.mixed);
  }
  const ops::ActivationKinds kinds = weights(layer_idx).attn_output.activation_kind();
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t i = begin; i < end; ++i) {
      const auto row = static_cast<int32_t>(i);
      std::copy_n(row_of(s.mixed, i, q_dim), q_dim, workspace_->attn_in.row(row, q_dim));
      workspace_->attn_in.store_row(device_.kernels().elementwise, row, q_dim, kinds);
    }
  });
}

void TrainingPass::forward_attention(int32_t layer_idx, const LoraParameters* parameters) noexcept {
  const model::LayerWeights& w = weights(layer_idx);
  const LayerSaves& s = saves(layer_idx);
  float* q = s.raw_q != nullptr ? s.raw_q : s.q;
  float* k = s.raw_k != nullptr ? s.raw_k : s.k;
  norm_rows(s.input, w.attn_norm, w.qkv_input_kinds());
  const std::array<ops::LinearCall, 3> qkv = {{{&w.q, q}, {&w.k, k}, {&w.v, s.v}}};
  run_products(qkv, workspace_->hidden_in);
  const float* x = workspace_->hidden_in.row(0, config().hidden_dim);
  add_lora(layer_idx, LoraTarget::kQ, parameters, x, q);
  add_lora(layer_idx, LoraTarget::kK, parameters, x, k);
  add_lora(layer_idx, LoraTarget::kV, parameters, x, s.v);
  turn_queries_and_keys(layer_idx);
  attend(layer_idx);
  const std::array<ops::LinearCall, 1> output = {{{&w.attn_output, buffers_.block}}};
  run_products(output, workspace_->attn_in);
  add_lora(layer_idx, LoraTarget::kAttnOutput, parameters, s.mixed, buffers_.block);
  add_to_stream(s.input, s.middle);
}

void TrainingPass::forward_feed_forward(int32_t layer_idx,
                                        const LoraParameters* parameters) noexcept {
  const model::LayerWeights& w = weights(layer_idx);
  const LayerSaves& s = saves(layer_idx);
  const int32_t ffn = config().ffn_dim;
  const kernels::ElementwiseKernels& elementwise = device_.kernels().elementwise;
  norm_rows(s.middle, w.ffn_norm, w.ffn_input_kinds());
  const std::array<ops::LinearCall, 2> gate_up = {{{&w.gate, s.gate}, {&w.up, s.up}}};
  run_products(gate_up, workspace_->hidden_in);
  const float* x = workspace_->hidden_in.row(0, config().hidden_dim);
  add_lora(layer_idx, LoraTarget::kGate, parameters, x, s.gate);
  add_lora(layer_idx, LoraTarget::kUp, parameters, x, s.up);
  for_pieces(device_.team(), num_rows_, kPieceRows, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t i = begin; i < end; ++i) {
      const auto row = static_cast<int32_t>(i);
      elementwise.swiglu(row_of(s.gate, i, ffn), row_of(s.up, i, ffn), ffn,
                         workspace_->ffn_in.row(row, ffn));
      workspace_->ffn_in.store_row(elementwise, row, ffn, w.down.activation_kind());
    }
  });
  const std::array<ops::LinearCall, 1> down = {{{&w.down, buffers_.block}}};
  run_products(down, workspace_->ffn_in);
  add_lora(layer_idx, LoraTarget::kDown, parameters, workspace_->ffn_in.row(0, ffn),
           buffers_.block);
  const bool is_last = layer_idx + 1 == config().num_layers;
  add_to_stream(s.middle, is_last ? buffers_.output : saves(layer_idx + 1).input);
}

}  // namespace ruvllm::sona
