#include "adapters/files/peft_modules.h"

#include <algorithm>

#include "base/core/check.h"

namespace ruvllm::adapters {
namespace {

using ops::LoraTarget;

constexpr PeftModule kModules[] = {
    {"self_attn.q_proj", {LoraTarget::kQ}, 1},
    {"self_attn.k_proj", {LoraTarget::kK}, 1},
    {"self_attn.v_proj", {LoraTarget::kV}, 1},
    {"self_attn.o_proj", {LoraTarget::kAttnOutput}, 1},
    {"self_attn.qkv_proj", {LoraTarget::kQ, LoraTarget::kK, LoraTarget::kV}, 3},
    {"mlp.gate_proj", {LoraTarget::kGate}, 1},
    {"mlp.up_proj", {LoraTarget::kUp}, 1},
    {"mlp.down_proj", {LoraTarget::kDown}, 1},
    {"mlp.gate_up_proj", {LoraTarget::kGate, LoraTarget::kUp}, 2},
};

// The row in half-split order of one in interleaved order.
size_t half_split_index(size_t row, size_t head_dim) {
  const size_t head = row / head_dim, within = row % head_dim;
  return head * head_dim + (within % 2) * (head_dim / 2) + within / 2;
}

}  // namespace

const PeftModule* find_peft_module(std::string_view name) {
  for (const PeftModule& module : kModules) {
    if (module.name == name) return &module;
  }
  return nullptr;
}

const PeftModule& peft_module_of(LoraTarget target) {
  const auto* module = std::ranges::find_if(kModules, [&](const PeftModule& each) {
    return each.num_targets == 1 && each.targets[0] == target;
  });
  RUVLLM_CHECK(module != std::end(kModules));
  return *module;
}

std::vector<float> interleaved_rows(std::span<const float> b, size_t rank, size_t head_dim) {
  std::vector<float> out;
  out.reserve(b.size());
  for (size_t row = 0; row < b.size() / rank; ++row) {
    const auto from = b.subspan(half_split_index(row, head_dim) * rank, rank);
    out.insert(out.end(), from.begin(), from.end());
  }
  return out;
}

std::vector<float> half_split_rows(std::span<const float> b, size_t rank, size_t head_dim) {
  std::vector<float> out(b.size());
  for (size_t row = 0; row < b.size() / rank; ++row) {
    std::ranges::copy(b.subspan(row * rank, rank),
                      out.begin() + static_cast<ptrdiff_t>(half_split_index(row, head_dim) * rank));
  }
  return out;
}

}  // namespace ruvllm::adapters
