// Writes what a user corrects (adapters/head/corrections/correction_memory.h).
//
// A state that was taught before with another token gives way to the newer one; states that are
// merely alike and were taught other tokens speak only nearer to themselves than to each other. At
// the limit, the
// two taught states of one token that are most alike become one, their mean by counts, if they are
// alike enough to speak in each other's place; else the one that was taught the longest ago is
// dropped, and counted. One writer; what view() gave never changes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/head/corrections/correction_memory.h"
#include "adapters/head/row_products.h"
#include "kernels/cpu/kernel_table.h"

namespace ruvllm::sona {

// On the demo model, answers to "What is the code for amber birch?": the same question at the start
// of a conversation is at 0.9998 and above whatever the answer's token, similar questions reach
// 0.989, ordinary text 0.83; the same question later in a conversation is at 0.5 to 0.8 for the
// answer's first token, as similar questions are (0.6 to 0.9), so that it cannot be told by its
// state.
struct CorrectionOptions {
  int32_t max_states = 1024;
  // Cosine from which a taught state speaks; correction_threshold() finds that of a model.
  float threshold = 0.995f;
  // Cosine from which a state is one that was taught before.
  float same = 0.998f;
  float sharpness = 60;
  // A target to which the base gives more than this needs no correction and is not stored.
  double known = 0.95;
};

// The threshold for a model from positions of its ordinary text, units [tokens, padded_dim] (u(h)):
// the similarity that 99.9 % of the positions keep to all positions with another target; at least
// CorrectionOptions::threshold and below `same`. Quadratic in the tokens: some thousands.
float correction_threshold(const kernels::KernelTable& kernels, int32_t padded_dim,
                           std::span<const float> units, std::span<const int32_t> targets);

class CorrectionWriter {
 public:
  CorrectionWriter(const kernels::KernelTable& kernels, const CorrectionOptions& options,
                   int32_t padded_dim);

  // unit [padded_dim]: u(h) of the position before `target`.
  void teach(std::span<const float> unit, int32_t target);
  // The base is right there: what was taught with other targets is forgotten.
  void withdraw(std::span<const float> unit, int32_t target);
  void clear();

  size_t num_states() const { return states_.num_states(); }
  int64_t num_superseded() const { return num_superseded_; }
  int64_t num_merged() const { return num_merged_; }
  int64_t num_dropped() const { return num_dropped_; }
  size_t bytes() const;

  // Shared until the next teach(); null if nothing is taught.
  std::shared_ptr<const adapters::CorrectionMemory> view();

  // For saving: what was taught, with the counts of merged states, in the order of age.
  const adapters::CorrectionMemory& states() const { return states_; }
  std::span<const int32_t> counts() const { return counts_; }
  // Takes over what was saved; false, and nothing is changed, if sizes do not fit each other.
  bool restore(adapters::CorrectionMemory states, std::vector<int32_t> counts);

 private:
  void remove(size_t state);
  void measure(std::span<const float> unit);
  void make_room();
  void merge(size_t into, size_t state);

  CorrectionOptions options_;
  adapters::RowProducts products_;
  adapters::CorrectionMemory states_;  // the oldest first
  std::vector<int32_t> counts_;        // [num_states]: taught states that each stands for
  std::shared_ptr<const adapters::CorrectionMemory> view_;
  std::vector<float> similarities_;
  int64_t num_superseded_ = 0;
  int64_t num_merged_ = 0;
  int64_t num_dropped_ = 0;
};

}  // namespace ruvllm::sona
