// A mixture of experts (https://arxiv.org/abs/1701.06538): each row goes through the few gated
// feed-forward networks that a router picks for it, and their results are added up with weights.
//
// Rows are sorted by expert, and each expert's weights are read once for all of its rows. A row's
// result depends on this row alone, bit for bit: not on the others in the batch, nor on threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/memory/arena.h"
#include "base/threads/thread_team.h"
#include "ops/activations.h"
#include "ops/linear.h"
#include "ops/moe/routing.h"

namespace ruvllm::ops {

enum class ExpertActivation : uint8_t {
  kSwiglu,         // gate * sigmoid(gate) * up
  kClampedSwiglu,  // g * sigmoid(1.702 g) * (u + 1), g = min(gate, 7), u = up within +-7 (gpt-oss)
};

// The matrices hold all experts, one below the other.
struct MoePlan {
  ExpertRouting routing;
  ExpertActivation activation = ExpertActivation::kSwiglu;
  LinearPlan router;    // [experts, hidden]
  LinearPlan gate, up;  // [experts * ffn, hidden]
  LinearPlan down;      // [experts * hidden, ffn]

  int32_t hidden_dim() const { return gate.in_dim(); }
  int32_t ffn_dim() const { return down.in_dim(); }
  ActivationKinds input_kinds() const {
    return static_cast<ActivationKinds>(router.activation_kind() | gate.activation_kind() |
                                        up.activation_kind());
  }
};

// One expert's share of a step, for observers.
struct ExpertShare {
  int32_t expert_idx = 0;
  std::span<const int32_t> rows;  // of the step, ascending
  const float* inner = nullptr;   // [rows, ffn]: what its down matrix read
};

// What a step writes on the way; laid out once for the largest step of all layers, whose plans have
// the same dimensions. A slot is one row's place among the rows of one of its experts.
class MoeWorkspace {
 public:
  // `expert_kinds` and `down_kinds` are those of the gate, up and down matrices of all layers.
  void plan(Arena& arena, int64_t max_rows, const MoePlan& like, ActivationKinds expert_kinds,
            ActivationKinds down_kinds);
  void bind(const Arena& arena);

  // Of the last run_moe(), whose rows had `ffn_dim` columns inside: the experts that had rows.
  int32_t num_shares() const { return num_groups_; }
  ExpertShare share(int32_t share_idx, int32_t ffn_dim) const;

 private:
  friend class MoeRun;
  struct Group;  // the rows of one expert

  struct Slots {
    Arena::Slot<float> logits, weights, gate, up, results;
    Arena::Slot<int32_t> experts, places, rows, counts;
    Arena::Slot<std::byte> groups;
  } slots_;
  float* logits_ = nullptr;     // [rows, experts]
  int32_t* experts_ = nullptr;  // [rows, used], the heaviest first
  float* weights_ = nullptr;    // [rows, used]
  int32_t* places_ = nullptr;   // [rows, used]: the slots
  int32_t* rows_ = nullptr;     // [slots]: the rows
  int32_t* counts_ = nullptr;   // [experts]: rows, then the next free slot
  Group* groups_ = nullptr;     // [experts]; those with rows come first
  int32_t num_groups_ = 0;
  ActivationBuffer input_;    // [slots, hidden]
  ActivationBuffer inner_;    // [slots, ffn]: gated, input of down
  float* gate_ = nullptr;     // [slots, ffn]
  float* up_ = nullptr;       // [slots, ffn]
  float* results_ = nullptr;  // [slots, hidden]
};

// dst [num_rows, hidden] = the mixture of the rows of `input`, which hold plan.input_kinds(). Every
// thread of the team calls it, with `scratch` of its own as large as the largest scratch_bytes() of
// the plans; a barrier must follow.
void run_moe(ThreadTeam::Worker& worker, const MoePlan& plan,
             const kernels::ElementwiseKernels& elementwise, const ActivationBuffer& input,
             int32_t num_rows, MoeWorkspace& workspace, float* dst, std::byte* scratch) noexcept;

}  // namespace ruvllm::ops
