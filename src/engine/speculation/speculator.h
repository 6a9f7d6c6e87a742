// Speculation: guesses of the next tokens, checked many at a time by the model itself.
//
// A decoding sequence's next row is followed by rows for its drafts; the sampler then draws, row by
// row, what it would have drawn without them, and the drafts count for nothing but which rows were
// the right ones to compute. Hence text, log-probabilities and random numbers are those of plain
// decoding. Drafts come from the sequence itself (NgramIndex) or from a small model (DraftModel);
// how many pay is measured (StepCost, AcceptanceRates) and decided in plan_drafts(). Used by the
// step loop's thread only; allocates at admission and never in a step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "device/cpu_device.h"
#include "engine/scheduling/scheduler.h"
#include "engine/scheduling/step_cost.h"
#include "engine/sequence.h"
#include "engine/speculation/draft_model.h"
#include "engine/speculation/options.h"
#include "engine/speculation/planning/acceptance.h"
#include "engine/speculation/planning/draft_planner.h"
#include "model/model.h"

namespace ruvllm::engine {

struct SpeculatorLimits {
  uint32_t context_length = 0;
  uint32_t max_sequences = 1;
  uint32_t max_rows = 0;  // of a step
  int32_t vocab_size = 0;
  uint64_t bytes_per_token = 0;  // of weights, as Model::bytes_per_token()
};

class Speculator {
 public:
  static Result<std::unique_ptr<Speculator>> create(device::CpuDevice& device,
                                                    const SpeculationOptions& options,
                                                    const SpeculatorLimits& limits);

  // Rows with drafts that a step can have beside one for each sequence.
  static int32_t max_draft_rows(const SpeculatorLimits& limits);

  // Before admission, on any thread: makes room for all that drafting will need. The prompt is
  // there.
  void prepare(Sequence& sequence) const;

  // Makes the drafts of the next step and tells the scheduler their number. entries[i] is of
  // running[i].
  void propose(std::span<const std::unique_ptr<Sequence>> running,
               std::span<SchedulerEntry> entries);

  // After a token was drawn and appended.
  void token_committed(Sequence& sequence);
  // After a step: of the sequence's drafts, `num_checked` were compared and `num_kept` were right.
  void drafts_checked(Sequence& sequence, int32_t num_checked, int32_t num_kept);
  void step_done(int32_t num_rows, int32_t num_logit_rows, double microseconds);

  // The draft model's pages of a sequence: what there is of its tokens when it starts, what it
  // leaves of them to others, and their end.
  void adopt(Sequence& sequence, std::span<const int32_t> tokens);
  void keep(Sequence& sequence, std::span<const int32_t> tokens);
  void release(Sequence& sequence);

  const DraftModel* draft_model() const { return draft_model_.get(); }

 private:
  Speculator(const SpeculationOptions& options, const SpeculatorLimits& limits,
             std::unique_ptr<DraftModel> draft_model);

  double rate(const Sequence& sequence, DraftKind kind) const;
  void observe(Sequence& sequence, DraftKind kind, bool was_kept);
  bool collect(std::span<const std::unique_ptr<Sequence>> running,
               std::span<const SchedulerEntry> entries);
  int32_t most_drafts(const Sequence& sequence) const;
  DraftOption lookup_option(Sequence& sequence, int32_t most) const;
  DraftOption model_option(const Sequence& sequence, int32_t most) const;
  double catch_up_us(const Sequence& sequence) const;
  void choose(int32_t max_rows);
  void choose_always(int32_t max_rows);
  void probe_model();
  void draft_by_model();

  SpeculationOptions options_;
  SpeculatorLimits limits_;
  std::unique_ptr<DraftModel> draft_model_;  // or none
  StepCost verify_cost_;
  StepCost no_cost_;                  // in place of a draft model's
  AcceptanceRates all_rates_{60.0f};  // of all sequences: what a new one starts from
  double probe_budget_us_ = 0.0;      // saved up for trying the draft model again
  bool is_draft_model_damaged_ = false;

  // The step being planned; sized once.
  std::vector<Sequence*> sequences_;
  std::vector<size_t> entry_idx_;
  std::vector<DraftOption> options_now_, lookup_options_;
  std::vector<int32_t> num_drafts_, lookup_num_drafts_;
  std::vector<DraftModel::Job> jobs_;
};

}  // namespace ruvllm::engine
