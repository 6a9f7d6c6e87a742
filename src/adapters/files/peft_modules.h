// The modules of Hugging Face's models that PEFT adapters name, and the order of their rows.
// Internal to `adapters`.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "ops/lora.h"

namespace ruvllm::adapters {

// A module, and the products that its rows hold one after the other.
struct PeftModule {
  std::string_view name;
  std::array<ops::LoraTarget, 3> targets;
  size_t num_targets;
};

// nullptr if there is none of that name ("self_attn.q_proj").
const PeftModule* find_peft_module(std::string_view name);
// The module that is this product alone.
const PeftModule& peft_module_of(ops::LoraTarget target);

// Rows [.., rank] of a rotated product's B, head by head: from the half-split order of Hugging
// Face, [2, head_dim / 2], to the interleaved order of llama files, [head_dim / 2, 2], and back.
std::vector<float> interleaved_rows(std::span<const float> b, size_t rank, size_t head_dim);
std::vector<float> half_split_rows(std::span<const float> b, size_t rank, size_t head_dim);

}  // namespace ruvllm::adapters
