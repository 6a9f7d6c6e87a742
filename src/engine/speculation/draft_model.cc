#include "engine/speculation/draft_model.h"

#include <algorithm>

#include "base/system/clock.h"
#include "engine/loop/cache_plan.h"
#include "engine/sequence.h"

namespace ruvllm::engine {

Result<std::unique_ptr<DraftModel>> DraftModel::create(const model::Model& model,
                                                       device::CpuDevice& device,
                                                       const DraftModelLimits& limits) {
  const model::ModelConfig& config = model.config();
  const uint32_t context =
      std::min(limits.context_length, static_cast<uint32_t>(config.context_length));
  RUVLLM_ASSIGN(const uint32_t num_pages,
                pool_pages(uint64_t{cache::pages_for_tokens(context)} * limits.max_sequences,
                           limits.max_sequences, context, "draft model: "));
  RUVLLM_ASSIGN(cache::KvCache kv_cache,
                cache::KvCache::create({.shape = page_shape(config), .num_pages = num_pages}));
  RUVLLM_ASSIGN(auto workspace, model::Workspace::create(
                                    device, config, model.weights(),
                                    {.max_rows = static_cast<int32_t>(limits.max_rows),
                                     .max_logit_rows = static_cast<int32_t>(limits.max_sequences),
                                     .num_threads = device.team().num_threads(),
                                     .context_length = static_cast<int32_t>(context)}));
  DraftModelLimits own = limits;
  own.context_length = context;
  return std::unique_ptr<DraftModel>(
      new DraftModel(model, device, own, std::move(kv_cache), std::move(workspace)));
}

DraftModel::DraftModel(const model::Model& model, device::CpuDevice& device,
                       const DraftModelLimits& limits, cache::KvCache kv_cache,
                       std::unique_ptr<model::Workspace> workspace)
    : model_(model),
      device_(device),
      context_length_(static_cast<int32_t>(limits.context_length)),
      max_rows_(static_cast<int32_t>(limits.max_rows)),
      kv_cache_(std::move(kv_cache)),
      workspace_(std::move(workspace)),
      sampler_(device.kernels().elementwise, model.config().vocab_size) {
  for (std::vector<int32_t>* per_row : {&tokens_, &positions_, &row_spans_}) {
    per_row->reserve(limits.max_rows);
  }
  logit_rows_.reserve(limits.max_sequences);
  span_jobs_.reserve(limits.max_sequences);
  spans_.reserve(limits.max_sequences);
}

void DraftModel::rewind(DraftCache& cache, int32_t num_tokens) {
  cache.num_computed = std::min(cache.num_computed, num_tokens);
  cache.pages.rewind(kv_cache_, cache.num_computed);
}

void DraftModel::share_under(DraftCache& cache, std::string_view salt) const {
  cache.pages.share_under(kv_cache_.index().root(salt, Hash128{}));
}

void DraftModel::adopt(DraftCache& cache, std::span<const int32_t> tokens) {
  if (!cache.pages.is_sharing()) return;
  const size_t num_tokens = std::min(tokens.size(), static_cast<size_t>(context_length_));
  cache.num_computed = cache.pages.adopt(kv_cache_, tokens.first(num_tokens));
}

void DraftModel::keep(DraftCache& cache, std::span<const int32_t> tokens) {
  rewind(cache, static_cast<int32_t>(tokens.size()));
  cache.pages.keep(kv_cache_, tokens.first(static_cast<size_t>(cache.num_computed)));
}

void DraftModel::release(DraftCache& cache) {
  cache.pages.release(kv_cache_);
  cache.num_computed = 0;
}

// The sequence's next rows; its pages are there.
void DraftModel::add_span(Sequence& sequence, int32_t num_rows) {
  DraftCache& cache = sequence.drafts->cache;
  const int32_t first_row = static_cast<int32_t>(tokens_.size());
  for (int32_t i = 0; i < num_rows; ++i) {
    const int32_t position = cache.num_computed + i;
    tokens_.push_back(sequence.tokens[static_cast<size_t>(position)]);
    positions_.push_back(position);
    row_spans_.push_back(static_cast<int32_t>(spans_.size()));
  }
  spans_.push_back({first_row, num_rows, cache.num_computed, cache.pages.block_table(), nullptr});
  cache.num_computed += num_rows;
}

// Draws from the pass's logits. The drafts join their sequence's tokens, as the large model's
// sampler would see them, until run() ends.
void DraftModel::take_drafts(std::span<Job> jobs, int32_t max_id) {
  for (size_t row = 0; row < span_jobs_.size(); ++row) {
    Job& job = jobs[span_jobs_[row]];
    Sequence& sequence = *job.sequence;
    SequenceDrafts& drafts = *sequence.drafts;
    float* logits = workspace_->logits + row * static_cast<size_t>(vocab_size());
    int32_t id = -1;
    const bool drawn = sampler_.draw(sequence.request.sampling, sequence.channel->result.seed,
                                     sequence.tokens.size(), sequence.tokens, logits, id);
    if (!drawn || id >= max_id || std::ranges::binary_search(sequence.request.end_ids, id)) {
      job.num_wanted = drafts.num_drafts;  // enough
      continue;
    }
    drafts.ids[static_cast<size_t>(drafts.num_drafts++)] = id;
    sequence.tokens.push_back(id);
  }
}

// Rows of all jobs that want a draft more; false: of none.
bool DraftModel::build_pass(std::span<Job> jobs) {
  for (std::vector<int32_t>* list : {&tokens_, &positions_, &row_spans_, &logit_rows_}) {
    list->clear();
  }
  spans_.clear();
  span_jobs_.clear();
  for (size_t i = 0; i < jobs.size(); ++i) {
    Job& job = jobs[i];
    DraftCache& cache = job.sequence->drafts->cache;
    if (job.sequence->drafts->num_drafts >= job.num_wanted) continue;
    // One row stays for each of those that come after.
    const int32_t jobs_after = static_cast<int32_t>(jobs.size() - i - 1);
    const int32_t room = max_rows_ - static_cast<int32_t>(tokens_.size()) - jobs_after;
    const int32_t missing = static_cast<int32_t>(job.sequence->tokens.size()) - cache.num_computed;
    const int32_t num_rows = std::min(missing, room);
    const bool has_pages = cache.pages.reserve(kv_cache_, cache.num_computed + num_rows);
    if (num_rows < missing || !has_pages) job.num_wanted = 0;
    if (!has_pages) continue;
    add_span(*job.sequence, num_rows);
    if (job.num_wanted == 0) continue;
    logit_rows_.push_back(static_cast<int32_t>(tokens_.size()) - 1);
    span_jobs_.push_back(i);
  }
  return !spans_.empty();
}

void DraftModel::run(std::span<Job> jobs, int32_t max_id) {
  for (const Job& job : jobs) job.sequence->drafts->num_drafts = 0;
  uint64_t begin_ns = monotonic_ns();
  while (build_pass(jobs)) {
    const ops::BatchView batch{
        static_cast<int32_t>(tokens_.size()), tokens_.data(), positions_.data(),
        static_cast<int32_t>(spans_.size()),  spans_.data(),  row_spans_.data()};
    model_.step(device_, *workspace_, batch, kv_cache_.view(), logit_rows_,
                model::RowsAfter::kDone);
    take_drafts(jobs, max_id);
    const uint64_t end_ns = monotonic_ns();
    // After a draft that was kept, a sequence has two rows.
    const bool catches_up = tokens_.size() > 2 * logit_rows_.size();
    cost_.observe(batch.num_rows, static_cast<double>(end_ns - begin_ns) / 1e3,
                  catches_up ? StepKind::kPrompt : StepKind::kDecode);
    begin_ns = end_ns;
  }
  for (const Job& job : jobs) {
    std::vector<int32_t>& tokens = job.sequence->tokens;
    tokens.resize(tokens.size() - static_cast<size_t>(job.sequence->drafts->num_drafts));
  }
}

}  // namespace ruvllm::engine
