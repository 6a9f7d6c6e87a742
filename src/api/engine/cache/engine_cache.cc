// Engine's prefixes on disk.
#include "api/engine/cache/prefix_file.h"
#include "api/engine/engine_impl.h"

namespace ruvllm {

// Nothing that is in the file may keep an engine from starting: what cannot be used is said.
Status Engine::Impl::restore_cache(const EngineOptions& options) {
  if (options.cache_dir.empty() || !model->config().generates_text()) return {};
  cache_fingerprint = api::cache_fingerprint(model->file(), loop->options(), device->isa());
  max_cache_file_bytes = options.max_cache_file_bytes;
  RUVLLM_ASSIGN(cache_file, api::prefix_file_path(options.cache_dir, cache_fingerprint));
  const auto report = loop->restore_cache(cache_file, cache_fingerprint);
  if (report) {
    info.restored_cache_blocks = report->num_blocks;
    if (report->num_refused > 0) {
      info.cache_warning = fmt::format(
          "{}: {} of {} blocks are damaged and were left out", cache_file, report->num_refused,
          report->num_refused + report->num_left_out + report->num_blocks);
    }
  } else if (report.error().code() != ErrorCode::kNotFound) {
    info.cache_warning = report.error().message() + "; it will be replaced";
  }
  return {};
}

Status Engine::Impl::save_cache() const {
  if (cache_file.empty() || !loop->has_unsaved_cache()) return {};
  RUVLLM_TRY(loop->save_cache(cache_file, cache_fingerprint, max_cache_file_bytes));
  return {};
}

Engine::Impl::~Impl() {
  if (loop == nullptr) return;
  loop->stop();
  // Nobody is left to hear of a failure: callers who care have called save_cache().
  (void)save_cache();
}

Status Engine::save_cache() { return impl_->save_cache(); }

}  // namespace ruvllm
