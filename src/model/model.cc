#include "model/model.h"

#include "model/arch/architecture.h"
#include "model/decoder.h"

namespace ruvllm::model {

Result<std::unique_ptr<const Model>> Model::load(formats::GgufFile file,
                                                 const device::CpuDevice& device) {
  if (file.tensors().empty()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "{}: the file has a vocabulary but no weights; it serves tokenize and detokenize only",
        file.path());
  }
  RUVLLM_ASSIGN(const Architecture* architecture, find_architecture(file));
  RUVLLM_ASSIGN(ModelConfig config, read_config(file, *architecture));
  RUVLLM_ASSIGN(ModelWeights weights, bind_weights(file, *architecture, device, config));
  ops::RopeAngles rope(
      {config.rope_dim, config.rope_base, config.rope_linear_scale, weights.rope_factors});
  return std::unique_ptr<const Model>(
      new Model(std::move(file), std::move(config), std::move(weights), std::move(rope)));
}

uint64_t Model::num_parameters() const {
  uint64_t count = 0;
  for (const formats::GgufTensor& tensor : file_.tensors()) {
    count += tensor.dims[0] * tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
  }
  return count;
}

uint64_t Model::bytes_per_token() const {
  const auto bytes = [](const ops::LinearPlan& plan) {
    return static_cast<uint64_t>(plan.weight.num_rows) * plan.weight.row_stride;
  };
  uint64_t total = bytes(weights_.output);
  for (const LayerWeights& layer : weights_.layers) {
    for (const ops::LinearPlan* plan :
         {&layer.q, &layer.k, &layer.v, &layer.attn_output, &layer.gate, &layer.up, &layer.down}) {
      total += bytes(*plan);
    }
  }
  return total;
}

void Model::step(device::CpuDevice& device, Workspace& workspace, const ops::BatchView& batch,
                 const ops::KvView& kv, std::span<const int32_t> logit_rows,
                 ActivationTap* tap) const noexcept {
  const DecoderPass pass({config_, weights_, rope_, device.kernels(), workspace, kv, tap});
  device.team().run([&](ThreadTeam::Worker& worker) {
    pass.run_layers(worker, batch);
    if (!logit_rows.empty()) pass.run_logits(worker, logit_rows);
  });
}

void Model::logits(device::CpuDevice& device, Workspace& workspace,
                   std::span<const int32_t> rows) const noexcept {
  const DecoderPass pass({config_, weights_, rope_, device.kernels(), workspace, {}, nullptr});
  device.team().run([&](ThreadTeam::Worker& worker) { pass.run_logits(worker, rows); });
}

}  // namespace ruvllm::model
