#include <utility>

#include "api/engine/engine_impl.h"
#include "api/learning/sona_impl.h"
#include "api/models/fingerprint.h"
#include <ruvllm/learning/sona.h>

namespace ruvllm {
namespace {

Status check_score(double score) {
  if (score >= 0.0 && score <= 1.0) return {};
  return fail(ErrorCode::kInvalidArgument, "a score of {}; expected 0 (bad) to 1 (good)", score);
}

Status check_answer(const api::KeptResponse& response) {
  if (!response.answer.empty()) return {};
  return fail(ErrorCode::kInvalidArgument,
              "response '{}' has no tokens; there is nothing to learn from it", response.id);
}

Result<LearnOutcome> taught(api::SonaCore& core, const std::string& user, api::NewLesson lesson) {
  RUVLLM_ASSIGN(api::TaughtLesson done, core.teach(user, std::move(lesson)));
  return std::move(done.outcome);
}

}  // namespace

Sona::Sona(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Sona::~Sona() {
  impl_->engine.set_learned_users(nullptr);
  // Lessons are on disk already; what is not saved is learned again from them.
  (void)impl_->core->close();
}

Result<std::unique_ptr<Sona>> Sona::open(Engine& engine, const SonaOptions& options) {
  Engine::Impl& of_engine = *engine.impl_;
  const model::ModelConfig& config = of_engine.model->config();
  if (!config.generates_text()) {
    return fail(ErrorCode::kUnsupported,
                "{}: {} models generate no text and cannot be taught; use one that does",
                of_engine.model->file().path(), config.architecture);
  }
  if (options.save_every == 0) {
    return fail(ErrorCode::kInvalidArgument, "save_every is 0; give at least 1");
  }
  RUVLLM_ASSIGN(std::unique_ptr<LearnedState> state, LearnedState::open(options.state));
  auto model = std::make_unique<api::LearningModel>(
      *of_engine.loop, of_engine.device->kernels(), *of_engine.text_tokenizer,
      api::model_fingerprint(of_engine.model->file()), config.vocab_size, config.hidden_dim);
  RUVLLM_ASSIGN(std::shared_ptr<api::SonaCore> core,
                api::SonaCore::create(state->impl_, std::move(model), options.save_every));
  of_engine.set_learned_users(core);
  return std::unique_ptr<Sona>(
      new Sona(std::make_unique<Impl>(of_engine, std::move(state), std::move(core))));
}

LearnedState& Sona::state() { return *impl_->state; }

Result<LearnOutcome> Sona::rate(const std::string& user, const std::string& response_id,
                                double score, const std::string& key) {
  RUVLLM_TRY(check_score(score));
  RUVLLM_ASSIGN(api::KeptResponse response, impl_->core->find_response(user, response_id));
  RUVLLM_TRY(check_answer(response));
  return taught(*impl_->core, user,
                {.lesson = {.kind = sona::FeedbackKind::kRating,
                            .model = {},
                            .prompt = std::move(response.prompt),
                            .answer = std::move(response.answer),
                            .rejected = {},
                            .score = score},
                 .response_id = response_id,
                 .key = key});
}

Result<LearnOutcome> Sona::correct(const std::string& user, const std::string& response_id,
                                   std::string_view text, const std::string& key) {
  RUVLLM_ASSIGN(api::KeptResponse response, impl_->core->find_response(user, response_id));
  return taught(*impl_->core, user,
                {.lesson = {.kind = sona::FeedbackKind::kCorrection,
                            .model = {},
                            .prompt = std::move(response.prompt),
                            .answer = api::answer_ids(impl_->core->model().tokenizer(), text),
                            .rejected = std::move(response.answer)},
                 .response_id = response_id,
                 .key = key});
}

Result<LearnOutcome> Sona::prefer(const std::string& user, const std::string& chosen_id,
                                  const std::string& rejected_id, const std::string& key) {
  RUVLLM_ASSIGN(api::KeptResponse chosen, impl_->core->find_response(user, chosen_id));
  RUVLLM_ASSIGN(api::KeptResponse rejected, impl_->core->find_response(user, rejected_id));
  RUVLLM_TRY(check_answer(chosen));
  RUVLLM_TRY(check_answer(rejected));
  if (chosen.prompt != rejected.prompt) {
    return fail(ErrorCode::kInvalidArgument,
                "responses '{}' and '{}' answer different prompts; a preference needs two answers "
                "to the same one",
                chosen_id, rejected_id);
  }
  return taught(*impl_->core, user,
                {.lesson = {.kind = sona::FeedbackKind::kPreference,
                            .model = {},
                            .prompt = std::move(chosen.prompt),
                            .answer = std::move(chosen.answer),
                            .rejected = std::move(rejected.answer)},
                 .response_id = chosen_id,
                 .key = key});
}

Result<LearnOutcome> Sona::learn_text(const std::string& user, std::string_view text,
                                      const std::string& key) {
  std::vector<TokenId> ids =
      impl_->core->model().tokenizer().encode(text, {.parse_special = false, .add_special = true});
  const size_t context = impl_->engine.info.context_length;
  if (ids.size() > context) {
    return fail(ErrorCode::kInvalidArgument,
                "a text of {} tokens, but the context has {}; give it in parts, or as a file",
                ids.size(), context);
  }
  return taught(*impl_->core, user,
                {.lesson = {.kind = sona::FeedbackKind::kText,
                            .model = {},
                            .prompt = {},
                            .answer = std::move(ids),
                            .rejected = {}},
                 .response_id = {},
                 .key = key});
}

Result<uint64_t> Sona::roll_back(const std::string& user, uint32_t num_steps) {
  RUVLLM_TRY(impl_->core->save(user));
  RUVLLM_ASSIGN(const uint64_t generation, impl_->state->roll_back(user, num_steps));
  RUVLLM_TRY(impl_->core->reload(user));
  return generation;
}

Result<ForgottenUser> Sona::forget(const std::string& user) {
  impl_->core->drop_responses(user);
  RUVLLM_ASSIGN(const ForgottenUser report, impl_->state->forget(user));
  RUVLLM_TRY(impl_->core->reload(user));
  return report;
}

Result<TransferredState> Sona::import_from(const std::string& path) {
  RUVLLM_TRY(impl_->core->save_all());
  RUVLLM_ASSIGN(const TransferredState report, impl_->state->import_from(path));
  RUVLLM_TRY(impl_->core->reload_all());
  return report;
}

Status Sona::save() { return impl_->core->save_all(); }

}  // namespace ruvllm
