#include "adapters/adapter.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/memory/arena.h"
#include "base/numeric/half.h"
#include "kernels/cpu/elementwise.h"

namespace ruvllm::adapters {
namespace {

using ops::LoraPart;
using ops::LoraTarget;

auto place_of(const Adapter::Matrices& matrices) {
  return std::tuple(matrices.layer_idx, matrices.target);
}

std::string describe(const Adapter::Matrices& matrices) {
  return fmt::format("layer {}, {}", matrices.layer_idx, lora_target_name(matrices.target));
}

Status check_matrices(const std::string& name, const BaseShape& base,
                      const Adapter::Matrices& matrices) {
  if (matrices.layer_idx < 0 || matrices.layer_idx >= base.num_layers) {
    return fail(ErrorCode::kInvalidArgument,
                "adapter {}: it has matrices for layer {}, the model has {} layers; it was made "
                "for another model",
                name, matrices.layer_idx, base.num_layers);
  }
  if (base.has_experts && matrices.target >= LoraTarget::kGate) {
    return fail(ErrorCode::kUnsupported,
                "adapter {}: {}: the model has experts there, and adapters of experts are not "
                "supported",
                name, describe(matrices));
  }
  if (matrices.rank < 1 || matrices.rank > ops::kMaxLoraRank) {
    return fail(ErrorCode::kUnsupported, "adapter {}: {}: rank {}; expected 1 to {}", name,
                describe(matrices), matrices.rank, ops::kMaxLoraRank);
  }
  const size_t rank = static_cast<size_t>(matrices.rank);
  const size_t in_dim = static_cast<size_t>(base.in_dim(matrices.target));
  const size_t out_dim = static_cast<size_t>(base.out_dim(matrices.target));
  if (matrices.a.size() != rank * in_dim || matrices.b.size() != out_dim * rank) {
    return fail(ErrorCode::kInvalidArgument,
                "adapter {}: {}: A holds {} values and B {}; the model's [{}, {}] with rank {} "
                "needs {} and {}; it was made for another model",
                name, describe(matrices), matrices.a.size(), matrices.b.size(), out_dim, in_dim,
                rank, rank * in_dim, out_dim * rank);
  }
  if (!std::isfinite(matrices.scale)) {
    return fail(ErrorCode::kCorrupt, "adapter {}: {}: the scale is {}", name, describe(matrices),
                matrices.scale);
  }
  return {};
}

constexpr Hash128 kDigestKey{0x7275766c6c6d2e61u, 0x6461707465727321u};  // no secret

Hash128 identity_of_keys(std::span<const ScaledAdapter> adapters) {
  SipHasher hasher(kDigestKey);
  bool changes_keys = false;
  for (const ScaledAdapter& each : adapters) {
    if (!each.adapter->changes_keys()) continue;
    changes_keys = true;
    hasher.add_value(each.adapter->digest());
    hasher.add_value(std::bit_cast<uint32_t>(each.scale));
  }
  return changes_keys ? hasher.finish() : Hash128{};
}

Hash128 digest_of(std::span<const Adapter::Matrices> matrices) {
  SipHasher hasher(kDigestKey);
  for (const Adapter::Matrices& each : matrices) {
    hasher.add_value(each.layer_idx);
    hasher.add_value(each.target);
    hasher.add_value(each.rank);
    hasher.add_value(std::bit_cast<uint32_t>(each.scale));
    hasher.add(std::as_bytes(std::span(each.a)));
    hasher.add(std::as_bytes(std::span(each.b)));
  }
  return hasher.finish();
}

// The power of two that brings the largest finite value to [2^14, 2^15).
int exponent_for_f16(std::span<const float> values) {
  float largest = 0.0f;
  for (const float value : values) {
    const float magnitude = std::abs(value);
    if (std::isfinite(magnitude)) largest = std::max(largest, magnitude);
  }
  constexpr int kLargest = 15, kMost = 60;
  int exponent = 0;
  if (largest > 0.0f) std::frexp(largest, &exponent);
  return largest > 0.0f ? std::clamp(kLargest - exponent, -kMost, kMost) : 0;
}

void store_a(std::span<const float> a, int exponent, uint16_t* dst) {
  const float factor = std::ldexp(1.0f, exponent);
  for (const float value : a) *dst++ = f32_to_f16(value * factor);
}

// Where element [row, r] of B stands.
size_t index_in_slices(size_t row, size_t r, size_t rank) {
  constexpr auto kSlice = static_cast<size_t>(kernels::kLowRankSlice);
  return (row / kSlice * rank + r) * kSlice + row % kSlice;
}

void store_b(std::span<const float> b, size_t rank, int exponent, uint16_t* dst) {
  const float factor = std::ldexp(1.0f, exponent);
  for (size_t i = 0; i < b.size(); ++i) {
    dst[index_in_slices(i / rank, i % rank, rank)] = f32_to_f16(b[i] * factor);
  }
}

}  // namespace

std::string_view lora_target_name(LoraTarget target) {
  constexpr std::string_view kNames[ops::kNumLoraTargets] = {
      "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
  return kNames[static_cast<size_t>(target)];
}

// Zeroed memory: what fills up the last slices is zero.
Status Adapter::store(const std::vector<Matrices>& matrices) {
  Arena arena;
  std::vector<std::pair<Arena::Slot<uint16_t>, Arena::Slot<uint16_t>>> slots;
  for (const Matrices& each : matrices) {
    const auto a = arena.add<uint16_t>(each.a.size());
    slots.emplace_back(
        a, arena.add<uint16_t>(ops::lora_b_elements(base_.out_dim(each.target), each.rank)));
  }
  RUVLLM_ASSIGN(buffer_, Buffer::allocate(arena.bytes(), HugePages::kPrefer, "adapter"));
  for (size_t i = 0; i < matrices.size(); ++i) {
    const Matrices& from = matrices[i];
    auto* a = reinterpret_cast<uint16_t*>(buffer_.data() + slots[i].first.offset);
    auto* b = reinterpret_cast<uint16_t*>(buffer_.data() + slots[i].second.offset);
    const int a_exponent = exponent_for_f16(from.a), b_exponent = exponent_for_f16(from.b);
    store_a(from.a, a_exponent, a);
    store_b(from.b, static_cast<size_t>(from.rank), b_exponent, b);
    factors_.push_back({from.layer_idx, from.target, from.rank, from.scale,
                        std::ldexp(1.0f, -a_exponent), std::ldexp(1.0f, -b_exponent), a, b});
    max_rank_ = std::max(max_rank_, from.rank);
    changes_keys_ = changes_keys_ || from.layer_idx + 1 < base_.num_layers ||
                    from.target == LoraTarget::kK || from.target == LoraTarget::kV;
  }
  digest_ = digest_of(matrices);
  return {};
}

Adapter::Matrices Adapter::matrices(const Factors& factors) const {
  Matrices out{factors.layer_idx, factors.target, factors.rank, factors.scale, {}, {}};
  const auto rank = static_cast<size_t>(factors.rank);
  const auto in_dim = static_cast<size_t>(base_.in_dim(factors.target));
  const auto out_dim = static_cast<size_t>(base_.out_dim(factors.target));
  for (size_t i = 0; i < rank * in_dim; ++i)
    out.a.push_back(f16_to_f32(factors.a[i]) * factors.a_unit);
  for (size_t i = 0; i < out_dim * rank; ++i) {
    out.b.push_back(f16_to_f32(factors.b[index_in_slices(i / rank, i % rank, rank)]) *
                    factors.b_unit);
  }
  return out;
}

Result<std::shared_ptr<const Adapter>> Adapter::create(std::string name, const BaseShape& base,
                                                       std::vector<Matrices> matrices) {
  if (matrices.empty()) {
    return fail(ErrorCode::kCorrupt, "adapter {}: it has no LoRA matrices", name);
  }
  for (const Matrices& each : matrices) RUVLLM_TRY(check_matrices(name, base, each));
  std::ranges::sort(matrices, {}, place_of);
  const auto twin = std::ranges::adjacent_find(matrices, {}, place_of);
  if (twin != matrices.end()) {
    return fail(ErrorCode::kCorrupt, "adapter {}: {} occurs twice", name, describe(*twin));
  }
  std::shared_ptr<Adapter> adapter(new Adapter(std::move(name), base));
  RUVLLM_TRY(adapter->store(matrices));
  return std::shared_ptr<const Adapter>(std::move(adapter));
}

Result<std::shared_ptr<const AdapterSet>> AdapterSet::create(std::vector<ScaledAdapter> adapters) {
  std::shared_ptr<AdapterSet> set(new AdapterSet());
  set->adapters_ = std::move(adapters);
  int32_t num_layers = 0;
  for (const ScaledAdapter& each : set->adapters_) {
    if (num_layers != 0 && each.adapter->base().num_layers != num_layers) {
      return fail(ErrorCode::kInvalidArgument, "adapter {} is for a model of another shape",
                  each.adapter->name());
    }
    num_layers = each.adapter->base().num_layers;
  }
  const size_t num_places = static_cast<size_t>(num_layers) * ops::kNumLoraTargets;
  std::vector<std::vector<LoraPart>> places(num_places);
  for (const ScaledAdapter& each : set->adapters_) {
    for (const Adapter::Factors& factors : each.adapter->factors()) {
      const size_t place = static_cast<size_t>(factors.layer_idx) * ops::kNumLoraTargets +
                           static_cast<size_t>(factors.target);
      places[place].push_back({factors.a, factors.b, factors.rank,
                               factors.scale * each.scale * factors.a_unit * factors.b_unit});
    }
  }
  set->begins_.push_back(0);
  for (const std::vector<LoraPart>& parts : places) {
    int32_t rank = 0;
    for (const LoraPart& part : parts) rank += part.rank;
    if (rank > ops::kMaxLoraRank) {
      return fail(ErrorCode::kInvalidArgument,
                  "the adapters have rank {} together; at most {} can be used at once", rank,
                  ops::kMaxLoraRank);
    }
    set->parts_.insert(set->parts_.end(), parts.begin(), parts.end());
    set->begins_.push_back(static_cast<uint32_t>(set->parts_.size()));
  }
  set->view_ = {set->parts_.data(), set->begins_.data()};
  set->keys_identity_ = identity_of_keys(set->adapters_);
  return std::shared_ptr<const AdapterSet>(std::move(set));
}

}  // namespace ruvllm::adapters
