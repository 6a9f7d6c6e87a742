#include "ops/moe/moe.h"

#include <algorithm>
#include <array>

namespace ruvllm::ops {

struct MoeWorkspace::Group {
  int32_t expert = 0;
  int32_t first_slot = 0;
  int32_t num_rows = 0;
  int64_t inner_end = 0;   // pieces of gate and up up to this group's last
  int64_t result_end = 0;  // pieces of down
};

void MoeWorkspace::plan(Arena& arena, int64_t max_rows, const MoePlan& like,
                        ActivationKinds expert_kinds, ActivationKinds down_kinds) {
  const auto count = [&](int64_t per_row) { return static_cast<size_t>(max_rows * per_row); };
  const int64_t used = like.routing.num_used;
  const size_t num_experts = static_cast<size_t>(like.routing.num_experts);
  slots_.logits = arena.add<float>(count(like.routing.num_experts));
  slots_.experts = arena.add<int32_t>(count(used));
  slots_.weights = arena.add<float>(count(used));
  slots_.places = arena.add<int32_t>(count(used));
  slots_.rows = arena.add<int32_t>(count(used));
  slots_.counts = arena.add<int32_t>(num_experts);
  slots_.groups = arena.add<std::byte>(num_experts * sizeof(Group));
  slots_.gate = arena.add<float>(count(used * like.ffn_dim()));
  slots_.up = arena.add<float>(count(used * like.ffn_dim()));
  slots_.results = arena.add<float>(count(used * like.hidden_dim()));
  input_.plan(arena, max_rows * used, like.hidden_dim(), expert_kinds);
  inner_.plan(arena, max_rows * used, like.ffn_dim(), down_kinds);
}

void MoeWorkspace::bind(const Arena& arena) {
  logits_ = arena.at(slots_.logits);
  experts_ = arena.at(slots_.experts);
  weights_ = arena.at(slots_.weights);
  places_ = arena.at(slots_.places);
  rows_ = arena.at(slots_.rows);
  counts_ = arena.at(slots_.counts);
  groups_ = reinterpret_cast<Group*>(arena.at(slots_.groups));
  gate_ = arena.at(slots_.gate);
  up_ = arena.at(slots_.up);
  results_ = arena.at(slots_.results);
  input_.bind(arena);
  inner_.bind(arena);
}

ExpertShare MoeWorkspace::share(int32_t share_idx, int32_t ffn_dim) const {
  const Group& group = groups_[share_idx];
  return {group.expert,
          {rows_ + group.first_slot, static_cast<size_t>(group.num_rows)},
          inner_.row(group.first_slot, ffn_dim)};
}

// One call of run_moe on one thread.
class MoeRun {
 public:
  MoeRun(ThreadTeam::Worker& worker, const MoePlan& plan,
         const kernels::ElementwiseKernels& elementwise, const ActivationBuffer& input,
         int32_t num_rows, MoeWorkspace& workspace, float* dst, std::byte* scratch)
      : worker_(worker),
        plan_(plan),
        elementwise_(elementwise),
        input_(input),
        num_rows_(num_rows),
        num_slots_(num_rows * plan.routing.num_used),
        ws_(workspace),
        dst_(dst),
        scratch_(scratch) {}

  void run() noexcept {
    const std::array<LinearCall, 1> router = {{{&plan_.router, ws_.logits_}}};
    run_linear(worker_, router, input_, num_rows_, scratch_);
    choose_and_group();
    // The same rows of gate and up one after the other, while their input is in the caches.
    run_products(&MoeWorkspace::Group::inner_end, [this](const Group& group, int64_t piece) {
      run_inner_piece(plan_.gate, group, piece, ws_.gate_);
      run_inner_piece(plan_.up, group, piece, ws_.up_);
    });
    each(num_slots_, [this](int32_t slot) { gate_slot(slot); });
    run_products(&MoeWorkspace::Group::result_end, [this](const Group& group, int64_t piece) {
      run_piece(plan_.down, plan_.hidden_dim(), group, piece,
                ws_.inner_.view(plan_.down.kernel->activation, group.first_slot, plan_.ffn_dim()),
                ws_.results_);
    });
    worker_.barrier();
    for_rows(num_rows_, [this](int32_t row) { add_up_row(row); });
  }

 private:
  using Group = MoeWorkspace::Group;
  static constexpr int32_t kFewRows = 2;

  int32_t used() const { return plan_.routing.num_used; }

  template <typename Body>
  void for_rows(int32_t count, Body&& body) noexcept {
    const int64_t threads = worker_.num_threads();
    const int64_t chunk = std::clamp<int64_t>(count / (threads * 4), 1, 32);
    worker_.for_chunks(count, chunk, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(static_cast<int32_t>(i));
    });
  }

  // Between two barriers; few rows are done by the last thread to arrive at a single one.
  template <typename Body>
  void each(int32_t count, Body&& body) noexcept {
    if (count <= kFewRows) {
      worker_.barrier([&] {
        for (int32_t i = 0; i < count; ++i) body(i);
      });
      return;
    }
    worker_.barrier();
    for_rows(count, body);
    worker_.barrier();
  }

  void choose_row(int32_t row) noexcept {
    const int64_t first = static_cast<int64_t>(row) * used();
    choose_experts(plan_.routing,
                   ws_.logits_ + static_cast<int64_t>(row) * plan_.routing.num_experts,
                   ws_.experts_ + first, ws_.weights_ + first);
  }

  void choose_and_group() noexcept {
    if (num_rows_ <= kFewRows) {
      worker_.barrier([&] {
        for (int32_t row = 0; row < num_rows_; ++row) choose_row(row);
        group_rows();
        for (int32_t slot = 0; slot < num_slots_; ++slot) gather_slot(slot);
      });
      return;
    }
    worker_.barrier();
    for_rows(num_rows_, [this](int32_t row) { choose_row(row); });
    worker_.barrier([this] { group_rows(); });
    for_rows(num_slots_, [this](int32_t slot) { gather_slot(slot); });
    worker_.barrier();
  }

  // Sorts the rows by expert, in their order, and counts the pieces of work. One thread.
  void group_rows() noexcept {
    const int32_t num_experts = plan_.routing.num_experts;
    std::fill_n(ws_.counts_, num_experts, 0);
    for (int32_t i = 0; i < num_slots_; ++i) ++ws_.counts_[ws_.experts_[i]];
    Group group;
    ws_.num_groups_ = 0;
    for (int32_t expert = 0; expert < num_experts; ++expert) {
      group.first_slot += group.num_rows;
      group.num_rows = ws_.counts_[expert];
      ws_.counts_[expert] = group.first_slot;
      if (group.num_rows == 0) continue;
      group.expert = expert;
      group.inner_end += std::max(split(plan_.gate, plan_.ffn_dim(), group).count,
                                  split(plan_.up, plan_.ffn_dim(), group).count);
      group.result_end += split(plan_.down, plan_.hidden_dim(), group).count;
      ws_.groups_[ws_.num_groups_++] = group;
    }
    for (int32_t i = 0; i < num_slots_; ++i) {
      const int32_t slot = ws_.counts_[ws_.experts_[i]]++;
      ws_.places_[i] = slot;
      ws_.rows_[slot] = i / used();
    }
  }

  // Each expert's rows lie one after the other; a single row is read where it is.
  void gather_slot(int32_t slot) noexcept {
    if (num_rows_ == 1) return;
    const auto kinds =
        static_cast<ActivationKinds>(plan_.gate.activation_kind() | plan_.up.activation_kind());
    ws_.input_.copy_row(input_, ws_.rows_[slot], slot, plan_.hidden_dim(), kinds);
  }

  kernels::ActivationRows group_input(const LinearPlan& linear, const Group& group) const noexcept {
    const kernels::ActivationKind kind = linear.kernel->activation;
    return num_rows_ == 1 ? input_.view(kind)
                          : ws_.input_.view(kind, group.first_slot, plan_.hidden_dim());
  }

  LinearPieces split(const LinearPlan& linear, int32_t out_dim, const Group& group) const noexcept {
    return split_linear(linear, out_dim, group.num_rows, worker_.num_threads());
  }

  // Calls run_piece(group, piece) for all pieces of all groups, over the team.
  template <typename RunPiece>
  void run_products(int64_t Group::* end, RunPiece&& run_piece) noexcept {
    if (!worker_.takes_part()) return;  // the groups may be a later layer's by now
    const Group* groups = ws_.groups_;
    const Group* groups_end = groups + ws_.num_groups_;
    worker_.for_chunks(groups_end[-1].*end, 1, [&](int64_t index, int64_t) {
      const Group* group = std::upper_bound(groups, groups_end, index,
                                            [&](int64_t i, const Group& g) { return i < g.*end; });
      const int64_t first = group == groups ? 0 : group[-1].*end;
      run_piece(*group, index - first);
    });
  }

  // Of gate or up, which may have fewer pieces than the other.
  void run_inner_piece(const LinearPlan& linear, const Group& group, int64_t piece,
                       float* dst) noexcept {
    if (piece >= split(linear, plan_.ffn_dim(), group).count) return;
    run_piece(linear, plan_.ffn_dim(), group, piece, group_input(linear, group), dst);
  }

  void run_piece(const LinearPlan& linear, int32_t out_dim, const Group& group, int64_t piece,
                 const kernels::ActivationRows& x, float* dst) noexcept {
    const LinearPieces pieces = split(linear, out_dim, group);
    const int64_t first = piece * pieces.rows;
    const int64_t count = std::min<int64_t>(pieces.rows, out_dim - first);
    run_linear_piece(
        {&linear, pieces.use_gemm, static_cast<int64_t>(group.expert) * out_dim + first,
         static_cast<int32_t>(count), x, group.num_rows,
         dst + static_cast<int64_t>(group.first_slot) * out_dim + first,
         static_cast<size_t>(out_dim)},
        scratch_);
  }

  void gate_slot(int32_t slot) noexcept {
    const int32_t ffn = plan_.ffn_dim();
    float* gate = ws_.gate_ + static_cast<int64_t>(slot) * ffn;
    float* up = ws_.up_ + static_cast<int64_t>(slot) * ffn;
    if (plan_.activation == ExpertActivation::kClampedSwiglu) clamp(gate, up, ffn);
    elementwise_.swiglu(gate, up, ffn, ws_.inner_.row(slot, ffn));
    ws_.inner_.store_row(elementwise_, slot, ffn, plan_.down.activation_kind());
  }

  // Makes gate * sigmoid(gate) * up what the clamped form is: a * sigmoid(1.702 a) * (b + 1) =
  // (1.702 a) * sigmoid(1.702 a) * ((b + 1) / 1.702). A NaN stays one.
  static void clamp(float* gate, float* up, int32_t n) noexcept {
    constexpr float kAlpha = 1.702f, kLimit = 7.0f;
    for (int32_t i = 0; i < n; ++i) {
      gate[i] = kAlpha * (gate[i] > kLimit ? kLimit : gate[i]);
      const float lowest = up[i] < -kLimit ? -kLimit : up[i];
      up[i] = ((lowest > kLimit ? kLimit : lowest) + 1.0f) / kAlpha;
    }
  }

  void add_up_row(int32_t row) noexcept {
    const int32_t hidden = plan_.hidden_dim();
    float* dst = dst_ + static_cast<int64_t>(row) * hidden;
    for (int32_t j = 0; j < used(); ++j) {
      const int64_t i = static_cast<int64_t>(row) * used() + j;
      const float weight = ws_.weights_[i];
      const float* result = ws_.results_ + static_cast<int64_t>(ws_.places_[i]) * hidden;
      for (int32_t d = 0; d < hidden; ++d) {
        dst[d] = j == 0 ? weight * result[d] : dst[d] + weight * result[d];
      }
    }
  }

  ThreadTeam::Worker& worker_;
  const MoePlan& plan_;
  const kernels::ElementwiseKernels& elementwise_;
  const ActivationBuffer& input_;
  const int32_t num_rows_;
  const int32_t num_slots_;
  MoeWorkspace& ws_;
  float* const dst_;
  std::byte* const scratch_;
};

void run_moe(ThreadTeam::Worker& worker, const MoePlan& plan,
             const kernels::ElementwiseKernels& elementwise, const ActivationBuffer& input,
             int32_t num_rows, MoeWorkspace& workspace, float* dst, std::byte* scratch) noexcept {
  MoeRun(worker, plan, elementwise, input, num_rows, workspace, dst, scratch).run();
}

}  // namespace ruvllm::ops
