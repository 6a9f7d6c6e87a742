// The public ModelPull: a thread that works through one of the sources.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "api/hub/pull/sources.h"
#include "api/hub/transfer/context.h"
#include "base/core/error.h"
#include "base/threads/start_thread.h"
#include <ruvllm/hub.h>

namespace ruvllm {
namespace {

constexpr std::chrono::milliseconds kStep{100};

Result<PulledModel> find_offline(const ModelReference& reference, const HubSettings& settings) {
  auto known = find_stored_model(reference.name(), settings);
  if (!known) {
    return fail(ErrorCode::kNotFound,
                "{}: not here, and HF_HUB_OFFLINE forbids to fetch it; unset it, or pull the model "
                "on a machine with a network and copy the folder {}",
                reference.name(),
                reference.source == ModelSource::kHuggingFace ? settings.cache_folder
                                                              : settings.store_folder);
  }
  PulledModel result;
  result.name = known->name;
  result.path = known->path;
  result.bytes = known->bytes;
  return result;
}

Result<PulledModel> pull(hub::PullContext& context, const ModelReference& reference) {
  if (context.settings.offline) return find_offline(reference, context.settings);
  switch (reference.source) {
    case ModelSource::kHuggingFace:
      return hub::pull_hugging_face(context, reference);
    case ModelSource::kOllama:
      return hub::pull_ollama(context, reference);
    case ModelSource::kUrl:
      break;
  }
  return hub::pull_url(context, reference);
}

}  // namespace

struct ModelPull::Impl {
  Impl(const PullOptions& options, const HubSettings& settings, ModelReference of)
      : context(options, settings), reference(std::move(of)) {}
  ~Impl() {
    context.cancelled = true;
    if (thread.joinable()) thread.join();
  }

  void work() {
    Result<PulledModel> done = pull(context, reference);
    const PullProgress progress = context.board.read();
    if (done) done->bytes_received = progress.bytes_received;
    if (!done && done.error().code() == ErrorCode::kCancelled) {
      done = fail(ErrorCode::kCancelled,
                  "interrupted; what has arrived is kept: `ruvllm pull {}` goes on from there",
                  reference.name());
    }
    const std::lock_guard lock(mutex);
    outcome = std::move(done);
    changed.notify_all();
  }

  hub::PullContext context;
  ModelReference reference;
  std::mutex mutex;  // guards outcome
  std::condition_variable changed;
  std::optional<Result<PulledModel>> outcome;
  std::thread thread;
};

Result<ModelPull> ModelPull::create(const PullOptions& options, const HubSettings& settings) {
  constexpr uint32_t kMaxParts = 16;
  if (options.num_parts == 0 || options.num_parts > kMaxParts) {
    return fail(ErrorCode::kInvalidArgument, "{} parts; between 1 and {} are possible",
                options.num_parts, kMaxParts);
  }
  RUVLLM_ASSIGN(ModelReference reference, parse_model_reference(options.name));
  auto impl = std::make_unique<Impl>(options, settings, std::move(reference));
  RUVLLM_ASSIGN(impl->thread, start_thread([raw = impl.get()] { raw->work(); }));
  return ModelPull(std::move(impl));
}

ModelPull::ModelPull(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelPull::ModelPull(ModelPull&&) noexcept = default;
ModelPull& ModelPull::operator=(ModelPull&&) noexcept = default;
ModelPull::~ModelPull() = default;

Result<bool> ModelPull::step() {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_for(lock, kStep, [&] { return impl_->outcome.has_value(); });
  if (!impl_->outcome) return true;
  if (!*impl_->outcome) return std::unexpected(impl_->outcome->error());
  return false;
}

PullProgress ModelPull::progress() const { return impl_->context.board.read(); }
std::vector<std::string> ModelPull::take_notes() { return impl_->context.board.take_notes(); }
void ModelPull::cancel() { impl_->context.cancelled = true; }
const PulledModel& ModelPull::result() const { return **impl_->outcome; }

}  // namespace ruvllm
