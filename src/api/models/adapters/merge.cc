#include "adapters/merge.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/files/loader.h"
#include "api/models/checkpoint/open_model.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/gguf_writer.h"
#include "model/config.h"
#include "tensor/codec.h"
#include <ruvllm/adapter.h>

namespace ruvllm {
namespace {

using adapters::BaseShape;
using formats::GgufTensor;
using ops::LoraTarget;

// The products whose rows a weight holds one after the other: one, or those that a family fuses.
struct MergePlan {
  int32_t layer_idx = 0;
  std::vector<LoraTarget> targets;
};

std::vector<LoraTarget> targets_of(std::string_view weight, const BaseShape& base,
                                   uint32_t num_rows) {
  if (weight == "attn_qkv") return {LoraTarget::kQ, LoraTarget::kK, LoraTarget::kV};
  if (weight == "ffn_up" && num_rows == 2 * static_cast<uint32_t>(base.ffn_dim)) {
    return {LoraTarget::kGate, LoraTarget::kUp};
  }
  for (size_t i = 0; i < ops::kNumLoraTargets; ++i) {
    const LoraTarget target = static_cast<LoraTarget>(i);
    if (adapters::lora_target_name(target) == weight) return {target};
  }
  return {};
}

// "blk.3.attn_q.weight"; nothing for a tensor that no adapter of the set adds to.
std::optional<MergePlan> plan_tensor(const GgufTensor& tensor, const BaseShape& base,
                                     const ops::LoraView& set) {
  constexpr std::string_view kBlock = "blk.", kWeight = ".weight";
  std::string_view name = tensor.name;
  if (!name.starts_with(kBlock) || !name.ends_with(kWeight)) return {};
  name.remove_prefix(kBlock.size());
  name.remove_suffix(kWeight.size());
  MergePlan plan;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), plan.layer_idx);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return {};
  if (plan.layer_idx < 0 || plan.layer_idx >= base.num_layers) return {};
  name.remove_prefix(static_cast<size_t>(end - name.data()) + 1);
  plan.targets = targets_of(name, base, tensor.matrix().num_rows);
  const bool touched = std::ranges::any_of(
      plan.targets, [&](LoraTarget target) { return !set.at(plan.layer_idx, target).empty(); });
  if (!touched) return {};
  return plan;
}

}  // namespace

struct Merger::Impl {
  Impl(formats::GgufFile source, const std::string& path) : file(std::move(source)), writer(path) {}

  Status write_tensor(const GgufTensor& tensor);
  Status write_merged(const GgufTensor& tensor, const MergePlan& plan);

  formats::GgufFile file;
  BaseShape base;
  std::shared_ptr<const adapters::AdapterSet> set;
  formats::GgufWriter writer;
  size_t tensor_idx = 0;
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  uint32_t merged = 0;
  bool finished = false;
};

Status Merger::Impl::write_merged(const GgufTensor& tensor, const MergePlan& plan) {
  const MatrixView matrix = tensor.matrix();
  if (!can_encode(matrix.dtype)) {
    return fail(ErrorCode::kUnsupported,
                "{}: tensor {} is {}, which cannot be written again; merge into an F16 file and "
                "quantize the result",
                file.path(), tensor.name, dtype_info(matrix.dtype).name);
  }
  std::vector<float> row(matrix.num_cols);
  std::vector<std::byte> encoded(matrix.row_stride);
  uint32_t row_idx = 0;
  for (const LoraTarget target : plan.targets) {
    const std::vector<adapters::Adapter::Matrices> additions =
        adapters::additions(*set, plan.layer_idx, target);
    const int32_t rows_of_target = base.out_dim(target);
    for (int32_t r = 0; r < rows_of_target && row_idx < matrix.num_rows; ++r, ++row_idx) {
      decode_row(matrix.dtype, matrix.row(row_idx), matrix.num_cols, row.data());
      adapters::add_to_weight_row(additions, r, static_cast<int32_t>(matrix.num_cols), row.data());
      encode_row(matrix.dtype, row.data(), matrix.num_cols, encoded.data());
      RUVLLM_TRY(writer.write_tensor_data(encoded));
    }
  }
  if (row_idx != matrix.num_rows) {
    return fail(ErrorCode::kCorrupt, "{}: tensor {} has {} rows, the config says {}", file.path(),
                tensor.name, matrix.num_rows, row_idx);
  }
  ++merged;
  return {};
}

Status Merger::Impl::write_tensor(const GgufTensor& tensor) {
  const std::optional<MergePlan> plan = plan_tensor(tensor, base, set->view());
  if (plan) {
    RUVLLM_TRY(write_merged(tensor, *plan));
  } else {
    RUVLLM_TRY(writer.write_tensor_data(tensor.data));
  }
  file.release_pages(tensor.data);
  bytes_done += tensor.data.size();
  return file.check_intact();
}

Result<Merger> Merger::create(const MergeOptions& options) {
  if (options.adapters.empty()) {
    return fail(ErrorCode::kInvalidArgument, "no adapter to merge; name at least one");
  }
  std::error_code ignored;
  if (std::filesystem::equivalent(options.model_path, options.output_path, ignored)) {
    return fail(ErrorCode::kInvalidArgument, "{}: the output must not be the model itself",
                options.output_path);
  }
  RUVLLM_ASSIGN(api::OpenedModel opened,
                api::open_model(options.model_path, api::OpenScope::kWeights));
  formats::GgufFile& file = opened.file;
  RUVLLM_ASSIGN(const model::Architecture* architecture, model::find_architecture(file));
  RUVLLM_ASSIGN(const model::ModelConfig config, model::read_config(file, *architecture));
  auto impl = std::make_unique<Impl>(std::move(file), options.output_path);
  impl->base = config.lora_base();
  std::vector<adapters::ScaledAdapter> scaled;
  for (const AdapterSource& source : options.adapters) {
    RUVLLM_ASSIGN(auto adapter, adapters::load_adapter(source.path, source.name, impl->base));
    scaled.push_back({std::move(adapter), source.scale});
  }
  RUVLLM_ASSIGN(impl->set, adapters::AdapterSet::create(std::move(scaled)));
  for (const formats::GgufEntry& entry : impl->file.entries()) {
    RUVLLM_TRY(impl->writer.copy_entry(impl->file, entry.key));
  }
  for (const GgufTensor& tensor : impl->file.tensors()) {
    impl->writer.declare_tensor(tensor.name, tensor.dtype, {tensor.dims, tensor.num_dims});
    impl->bytes_total += tensor.data.size();
  }
  RUVLLM_TRY(impl->writer.begin_tensors());
  return Merger(std::move(impl));
}

Merger::Merger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Merger::Merger(Merger&&) noexcept = default;
Merger& Merger::operator=(Merger&&) noexcept = default;
Merger::~Merger() = default;

Result<bool> Merger::step() {
  Impl& impl = *impl_;
  if (impl.finished) return false;
  if (impl.tensor_idx < impl.file.tensors().size()) {
    RUVLLM_TRY(impl.write_tensor(impl.file.tensors()[impl.tensor_idx]));
    ++impl.tensor_idx;
    return true;
  }
  RUVLLM_TRY(impl.writer.finish());
  impl.finished = true;
  return false;
}

uint64_t Merger::bytes_done() const { return impl_->bytes_done; }
uint64_t Merger::bytes_total() const { return impl_->bytes_total; }
uint32_t Merger::merged_tensors() const { return impl_->merged; }

}  // namespace ruvllm
