#include "api/learning/users/user_learning.h"

#include <span>
#include <utility>
#include <vector>

#include "api/learning/lessons/lesson.h"
#include "base/system/clock.h"

namespace ruvllm::api {
namespace {

constexpr size_t kKeptGenerations = 16;
constexpr double kNeutralScore = 0.5;

double ms_since(uint64_t begin_us) {
  return static_cast<double>(monotonic_us() - begin_us) / 1000.0;
}

void add(const sona::LearnReport& report, LearnedRow& row) {
  row.num_tokens += static_cast<uint64_t>(report.num_learned);
  row.num_refused += static_cast<uint64_t>(report.num_refused);
}

std::vector<int32_t> joined(std::span<const int32_t> prompt, std::span<const int32_t> answer) {
  std::vector<int32_t> ids(prompt.begin(), prompt.end());
  ids.insert(ids.end(), answer.begin(), answer.end());
  return ids;
}

}  // namespace

UserLearning::UserLearning(TenantState& state, LearningModel& model, sona::Owner owner)
    : state_(state), model_(model), owner_(std::move(owner)) {}

LearnedUse UserLearning::use() const {
  const std::lock_guard lock(use_mutex_);
  return use_;
}

void UserLearning::publish() {
  LearnedUse use{.head = learner_ != nullptr ? learner_->publish() : nullptr,
                 .generation = generation_};
  const std::lock_guard lock(use_mutex_);
  use_ = std::move(use);
}

Status UserLearning::load() {
  sona::LearnedStateStore& store = state_.store();
  learner_.reset();
  known_blobs_.clear();
  num_unsaved_ = num_passed_over_ = 0;
  last_feedback_ = 0;
  RUVLLM_ASSIGN(generation_, store.current_generation(owner_));
  if (generation_ != 0) {
    RUVLLM_ASSIGN(const sona::Generation generation, store.find_generation(owner_, generation_));
    last_feedback_ = generation.provenance.last_feedback;
    if (!generation.blobs.empty()) {
      RUVLLM_ASSIGN(const sona::StateBlobs blobs, sona::load_state(store, owner_, generation_));
      const sona::LearnerContext context{.kernels = model_.kernels(),
                                         .model = model_.fingerprint(),
                                         .vocab_size = model_.vocab_size(),
                                         .features = model_.known_features()};
      auto decoded = sona::decode_learner(blobs, "", context, &known_blobs_);
      if (!decoded) {
        return std::unexpected(std::move(decoded).error().with_context(
            fmt::format("learned state of user '{}'", owner_.user())));
      }
      learner_ = *std::move(decoded);
    }
  }
  publish();
  RUVLLM_TRY(catch_up(0));
  is_loaded_.store(true, std::memory_order_release);
  return {};
}

Result<LearnedRow> UserLearning::catch_up(int64_t wanted) {
  LearnedRow found;
  std::optional<Error> why;
  RUVLLM_TRY(visit_feedback(state_.store(), owner_, last_feedback_, &num_passed_over_,
                            [&](const sona::Feedback& row) -> Status {
                              const Result<LearnedRow> learned = learn(row);
                              last_feedback_ = row.id;
                              ++num_unsaved_;
                              if (!learned) {
                                ++num_passed_over_;
                                if (row.id == wanted) why = learned.error();
                              } else if (row.id == wanted) {
                                found = *learned;
                              }
                              return {};
                            }));
  if (why) return std::unexpected(*std::move(why));
  return found;
}

Result<LearnedRow> UserLearning::learn(const sona::Feedback& row) {
  const std::string where = fmt::format("feedback {} of user '{}'", row.id, owner_.user());
  RUVLLM_ASSIGN(const Lesson lesson,
                decode_lesson(row.content.kind, row.content.payload, model_.vocab_size(), where));
  if (lesson.model != model_.fingerprint()) {
    return fail(ErrorCode::kInvalidArgument,
                "{} was given to another model ({}, this one is {}); use that model", where,
                lesson.model, model_.fingerprint());
  }
  return lesson.kind == sona::FeedbackKind::kPreference ? learn_preference(lesson)
                                                        : learn_answer(lesson);
}

Result<sona::InstantLearner*> UserLearning::learner() {
  if (learner_ == nullptr) {
    RUVLLM_ASSIGN(auto features, model_.features());
    learner_ = std::make_unique<sona::InstantLearner>(model_.kernels(), std::move(features),
                                                      sona::InstantOptions{});
  }
  return learner_.get();
}

Result<LearnedRow> UserLearning::learn_answer(const Lesson& lesson) {
  LearnedRow row;
  const uint64_t begin = monotonic_us();
  RUVLLM_ASSIGN(const Evidence evidence, trace_evidence(model_.loop(), model_.hidden_dim(),
                                                        joined(lesson.prompt, lesson.answer),
                                                        lesson.prompt.size(), use().head));
  RUVLLM_ASSIGN(sona::InstantLearner* const learner, this->learner());
  row.evidence_ms = ms_since(begin);
  const uint64_t learning = monotonic_us();
  switch (lesson.kind) {
    case sona::FeedbackKind::kRating:
      add(learner->learn_rating(evidence.tokens, lesson.score >= kNeutralScore), row);
      break;
    case sona::FeedbackKind::kCorrection:
      add(learner->learn_correction(evidence.tokens), row);
      break;
    default:
      add(learner->learn(evidence.tokens), row);
      row.base_loss = evidence.base_loss;
      row.served_loss = evidence.served_loss;
      row.num_scored = evidence.tokens.size();
  }
  if (learner->wants_sealing()) learner->seal_memory();
  publish();
  row.learn_ms = ms_since(learning);
  return row;
}

Result<LearnedRow> UserLearning::learn_preference(const Lesson& lesson) {
  LearnedRow row;
  const uint64_t begin = monotonic_us();
  const auto evidence_of = [&](const std::vector<int32_t>& answer) {
    return trace_evidence(model_.loop(), model_.hidden_dim(), joined(lesson.prompt, answer),
                          lesson.prompt.size(), use().head);
  };
  RUVLLM_ASSIGN(const Evidence chosen, evidence_of(lesson.answer));
  RUVLLM_ASSIGN(const Evidence rejected, evidence_of(lesson.rejected));
  RUVLLM_ASSIGN(sona::InstantLearner* const learner, this->learner());
  row.evidence_ms = ms_since(begin);
  const uint64_t learning = monotonic_us();
  add(learner->learn_pair(chosen.tokens, rejected.tokens), row);
  publish();
  row.learn_ms = ms_since(learning);
  return row;
}

Status UserLearning::save() {
  if (num_unsaved_ == 0 || learner_ == nullptr) return {};
  sona::LearnedStateStore& store = state_.store();
  const sona::Provenance provenance =
      new_provenance(generation_, last_feedback_, model_.fingerprint(), "instant");
  const auto encode = [this](const sona::KnownBlobs& known) -> Result<sona::StateBlobs> {
    sona::StateBlobs blobs;
    sona::encode_learner(*learner_, model_.fingerprint(), "", &known, blobs);
    return blobs;
  };
  RUVLLM_ASSIGN(const uint64_t number,
                sona::save_state(store, owner_, provenance, known_blobs_, encode));
  RUVLLM_ASSIGN(const sona::Swapped swapped, store.swap_current(owner_, generation_, number));
  if (!swapped.is_swapped) return load();  // another program was faster: its state, then our rows
  generation_ = number;
  num_unsaved_ = 0;
  {
    const std::lock_guard lock(use_mutex_);
    use_.generation = number;
  }
  RUVLLM_TRY(store.prune_generations(owner_, kKeptGenerations));
  return {};
}

}  // namespace ruvllm::api
