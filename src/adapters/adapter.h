// LoRA adapters (https://arxiv.org/abs/2106.09685): low-rank matrices beside a model's own, and
// sets of them that a request uses together.
//
// Both are immutable and shared: a sequence pins its set, whatever is loaded or unloaded meanwhile.
//
// Factors are kept in binary16, each matrix times a power of two that brings its largest value near
// binary16's: what a file holds in F16 or BF16 stays exact over 29 binades below the largest value,
// F32 is rounded to 11 bits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "base/memory/buffer.h"
#include "base/numeric/siphash.h"
#include "ops/lora.h"
#include "ops/lora_base.h"

namespace ruvllm::adapters {

using BaseShape = ops::LoraBase;  // what an adapter must fit

// "attn_q", ... as GGUF names the weight.
std::string_view lora_target_name(ops::LoraTarget target);

class Adapter {
 public:
  // As files hold them.
  struct Matrices {
    int32_t layer_idx = 0;
    ops::LoraTarget target = ops::LoraTarget::kQ;
    int32_t rank = 0;
    float scale = 1.0f;    // alpha / rank, or what the file's variant makes of it
    std::vector<float> a;  // [rank, in_dim]
    std::vector<float> b;  // [out_dim, rank]
  };
  // As they are kept.
  struct Factors {
    int32_t layer_idx = 0;
    ops::LoraTarget target = ops::LoraTarget::kQ;
    int32_t rank = 0;
    float scale = 1.0f;
    float a_unit = 1.0f, b_unit = 1.0f;  // powers of two: A = a_unit * a
    const uint16_t* a = nullptr;         // as in ops::LoraPart
    const uint16_t* b = nullptr;
  };

  // Checks that sizes fit `base` and that no product has two pairs.
  static Result<std::shared_ptr<const Adapter>> create(std::string name, const BaseShape& base,
                                                       std::vector<Matrices> matrices);

  const std::string& name() const { return name_; }
  const BaseShape& base() const { return base_; }
  std::span<const Factors> factors() const { return factors_; }  // by layer, then target
  Matrices matrices(const Factors& factors) const;               // as the file held them
  int32_t max_rank() const { return max_rank_; }
  uint64_t bytes() const { return buffer_.size(); }
  MemoryRange range() const { return buffer_.range(); }
  // Whether keys and values with it are not the model's own: true but for adapters that add only
  // behind those of the last layer.
  bool changes_keys() const { return changes_keys_; }
  // Of shape and matrices: equal ones do the same.
  const Hash128& digest() const { return digest_; }

 private:
  Adapter(std::string name, const BaseShape& base) : name_(std::move(name)), base_(base) {}

  Status store(const std::vector<Matrices>& matrices);

  std::string name_;
  BaseShape base_;
  Buffer buffer_;
  std::vector<Factors> factors_;  // into buffer_
  int32_t max_rank_ = 0;
  bool changes_keys_ = false;
  Hash128 digest_;
};

struct ScaledAdapter {
  std::shared_ptr<const Adapter> adapter;
  float scale = 1.0f;  // on top of the file's own

  bool operator==(const ScaledAdapter&) const = default;
};

// Several adapters used together, in the form that the forward pass reads.
class AdapterSet {
 public:
  // kInvalidArgument if they are for models of different shapes or their ranks exceed
  // ops::kMaxLoraRank.
  static Result<std::shared_ptr<const AdapterSet>> create(std::vector<ScaledAdapter> adapters);

  std::span<const ScaledAdapter> adapters() const { return adapters_; }
  const ops::LoraView& view() const { return view_; }
  // The same for sets that make the same keys and values; zero: those of the model alone.
  const Hash128& keys_identity() const { return keys_identity_; }

 private:
  AdapterSet() = default;

  std::vector<ScaledAdapter> adapters_;
  std::vector<ops::LoraPart> parts_;
  std::vector<uint32_t> begins_;
  ops::LoraView view_;
  Hash128 keys_identity_;
};

}  // namespace ruvllm::adapters
