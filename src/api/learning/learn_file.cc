// Learning from a file, and what was measured meanwhile.
#include <algorithm>
#include <utility>

#include "api/learning/lessons/lesson_file.h"
#include "api/learning/sona_impl.h"
#include "sona/statistics/paired_bootstrap.h"

namespace ruvllm {
namespace {

constexpr int32_t kWindow = 256;     // tokens
constexpr uint64_t kSeed = 6;        // of the bootstrap
constexpr uint32_t kSaveEvery = 64;  // lessons

}  // namespace

struct LearnFile::Impl {
  explicit Impl(std::shared_ptr<api::SonaCore> of_core) : core(std::move(of_core)) {}

  std::shared_ptr<api::SonaCore> core;
  std::string user;
  std::vector<api::FileLesson> lessons;
  size_t next = 0;
  LearnFileProgress progress;
  // Of each window of own text: loss as served minus the model's own.
  std::vector<sona::PairedDifference> differences;
  double base_loss = 0;

  void add(const api::TaughtLesson& taught);
  void measure();
  Status finish();
};

void LearnFile::Impl::add(const api::TaughtLesson& taught) {
  LearnOutcome& sum = progress.outcome;
  const LearnOutcome& one = taught.outcome;
  sum.feedback_id = one.feedback_id;
  sum.is_new = (progress.num_lessons > 0 && sum.is_new) || one.is_new;
  sum.generation = one.generation;
  sum.num_tokens += one.num_tokens;
  sum.num_refused += one.num_refused;
  sum.store_ms += one.store_ms;
  sum.evidence_ms += one.evidence_ms;
  sum.learn_ms += one.learn_ms;
  sum.save_ms += one.save_ms;
  ++progress.num_lessons;
  if (taught.row.num_scored == 0) return;
  differences.push_back({.sum = taught.row.served_loss - taught.row.base_loss,
                         .weight = static_cast<double>(taught.row.num_scored)});
  base_loss += taught.row.base_loss;
}

void LearnFile::Impl::measure() {
  const auto difference = sona::paired_bootstrap(differences, kSeed);
  if (!difference) return;
  LearnFigures figures;
  figures.measure = "prequential";
  figures.num_scored = static_cast<uint64_t>(difference->weight);
  figures.nll_before = base_loss / difference->weight;
  figures.nll_after = figures.nll_before + difference->mean;
  figures.ci_low = difference->low;
  figures.ci_high = difference->high;
  progress.figures = figures;
}

Status LearnFile::Impl::finish() {
  measure();
  RUVLLM_TRY(core->save(user));
  RUVLLM_ASSIGN(const api::LearnedUse use, core->use(user));
  progress.outcome.generation = use.generation;
  return {};
}

LearnFile::LearnFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LearnFile::LearnFile(LearnFile&&) noexcept = default;
LearnFile& LearnFile::operator=(LearnFile&&) noexcept = default;
LearnFile::~LearnFile() = default;

const LearnFileProgress& LearnFile::progress() const { return impl_->progress; }

Result<bool> LearnFile::step() {
  Impl& impl = *impl_;
  api::FileLesson& lesson = impl.lessons[impl.next];
  RUVLLM_ASSIGN(const api::TaughtLesson taught,
                impl.core->teach(impl.user, std::move(lesson.lesson), kSaveEvery));
  impl.add(taught);
  impl.progress.bytes_done = lesson.end_byte;
  if (++impl.next < impl.lessons.size()) return true;
  RUVLLM_TRY(impl.finish());
  return false;
}

Result<LearnFile> Sona::learn_file(const std::string& user, const std::string& path,
                                   bool is_again) {
  auto impl = std::make_unique<LearnFile::Impl>(impl_->core);
  const api::LessonFileReader reader{
      .tokenizer = impl_->core->model().tokenizer(),
      .chat = *impl_->engine.chat,
      .window = std::min(kWindow, static_cast<int32_t>(impl_->engine.info.context_length))};
  RUVLLM_ASSIGN(impl->lessons, reader.read(path, is_again));
  impl->user = user;
  impl->progress.outcome.user = user;
  impl->progress.outcome.is_new = false;
  impl->progress.bytes_total = impl->lessons.back().end_byte;
  return LearnFile(std::move(impl));
}

}  // namespace ruvllm
