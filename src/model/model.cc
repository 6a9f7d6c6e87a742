#include "model/model.h"

#include "model/arch/architecture.h"
#include "model/decoder/decoder.h"

namespace ruvllm::model {

Result<std::unique_ptr<const Model>> Model::load(formats::GgufFile file,
                                                 const device::CpuDevice& device,
                                                 const ModelOptions& options) {
  if (file.tensors().empty()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "{}: the file has a vocabulary but no weights; it serves tokenize and detokenize only",
        file.path());
  }
  RUVLLM_ASSIGN(const Architecture* architecture, find_architecture(file));
  RUVLLM_ASSIGN(ModelConfig config, read_config(file, *architecture));
  RUVLLM_ASSIGN(ModelWeights weights, bind_weights(file, *architecture, device, config));
  std::unique_ptr<Model> model(new Model(std::move(file), std::move(config), std::move(weights)));
  model->make_ropes();
  RUVLLM_TRY(model->pack_weights(options));
  return model;
}

Status Model::pack_weights(const ModelOptions& options) {
  if (options.weight_form == WeightForm::kMapped) return {};
  RUVLLM_ASSIGN(packer_, WeightPacker::create(file_, weights_, options.max_packed_bytes));
  if (options.weight_form == WeightForm::kBackground) return packer_->start();
  packer_->run();
  return {};
}

void Model::make_ropes() {
  const auto make = [&](const std::vector<float>& factors) {
    std::vector<ops::RopeAngles> ropes;
    for (ops::RopeConfig rope : config_.ropes) {
      if (ropes.empty()) rope.factors = factors;
      ropes.emplace_back(rope);
    }
    return ropes;
  };
  const bool is_long_rope = !weights_.rope_factors_long.empty();
  ropes_ = make(is_long_rope ? weights_.rope_factors_short : weights_.rope_factors);
  if (is_long_rope) long_ropes_ = make(weights_.rope_factors_long);
}

const std::vector<ops::RopeAngles>& Model::ropes(int32_t context_length) const {
  const bool is_long = context_length > config_.rope_original_context;
  return is_long && !long_ropes_.empty() ? long_ropes_ : ropes_;
}

uint64_t Model::num_parameters() const {
  uint64_t count = 0;
  for (const formats::GgufTensor& tensor : file_.tensors()) {
    count += tensor.dims[0] * tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
  }
  return count;
}

uint64_t Model::bytes_per_token() const {
  double total = 0.0;
  const auto add = [&](const ops::LinearPlan& plan, double share) {
    total += share * static_cast<double>(plan.weight.num_rows * plan.weight.row_stride);
  };
  if (config_.has_output) add(weights_.output, 1.0);
  for (const LayerWeights& layer : weights_.layers) layer.for_each_product(add);
  return static_cast<uint64_t>(total);
}

void Model::step(device::CpuDevice& device, Workspace& workspace, const ops::BatchView& batch,
                 const ops::KvView& kv, std::span<const int32_t> logit_rows, RowsAfter rows_after,
                 ActivationTap* tap) const noexcept {
  const PassContext pass{config_,
                         weights_,
                         ropes(workspace.context_length()),
                         device.kernels(),
                         workspace,
                         kv,
                         tap,
                         ops::has_lora(batch)};
  const bool narrows = rows_after == RowsAfter::kDone && config_.causal && tap == nullptr &&
                       logit_rows.size() < static_cast<size_t>(batch.num_rows);
  if (narrows) workspace.narrowed.narrow(batch, logit_rows);
  if (pass.has_adapters) {
    workspace.lora.prepare(batch, narrows ? &workspace.narrowed.view() : nullptr);
  }
  const std::span<const int32_t> rows = narrows ? workspace.narrowed.rows() : logit_rows;
  device.team().run([&](ThreadTeam::Worker& worker) {
    run_layers(pass, worker, batch, narrows ? &workspace.narrowed : nullptr);
    if (!rows.empty()) run_logits(pass, worker, rows);
  });
}

void Model::final_states(device::CpuDevice& device, Workspace& workspace,
                         std::span<const int32_t> rows) const noexcept {
  const PassContext pass{config_,          weights_,  ropes(workspace.context_length()),
                         device.kernels(), workspace, {},
                         nullptr,          false};
  device.team().run([&](ThreadTeam::Worker& worker) { run_final_states(pass, worker, rows); });
}

void Model::logits(device::CpuDevice& device, Workspace& workspace,
                   std::span<const int32_t> rows) const noexcept {
  const PassContext pass{config_,          weights_,  ropes(workspace.context_length()),
                         device.kernels(), workspace, {},
                         nullptr,          false};
  device.team().run([&](ThreadTeam::Worker& worker) { run_logits(pass, worker, rows); });
}

}  // namespace ruvllm::model
