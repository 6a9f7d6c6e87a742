// A loaded model: config, weights over the mapped file, and its forward pass.
//
// Immutable after load; several engines may share one. step() and logits() use the device's team
// and the caller's workspace, so one call runs at a time for each device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/core/error.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "model/activation_tap.h"
#include "model/config.h"
#include "model/packing/weight_packer.h"
#include "model/weights.h"
#include "model/workspace.h"
#include "ops/rope.h"
#include "ops/views.h"

namespace ruvllm::model {

// Where the products read their matrices. The public ruvllm::WeightForm lies above this layer and
// says what a user asks for; api maps it to what a load does.
enum class WeightForm : uint8_t {
  kMapped,      // the file
  kBackground,  // the file, until a thread has packed them (packing/weight_packer.h)
  kPacked,      // packed before load() returns
};

struct ModelOptions {
  WeightForm weight_form = WeightForm::kMapped;
  uint64_t max_packed_bytes = UINT64_MAX;
};

// What may be asked of a step's rows after it.
enum class RowsAfter : uint8_t {
  kReadable,  // final_states() and logits() of any row
  kDone,      // nothing: the last layer is computed only for rows that get logits
};

class Model {
 public:
  static Result<std::unique_ptr<const Model>> load(formats::GgufFile file,
                                                   const device::CpuDevice& device,
                                                   const ModelOptions& options = {});

  const ModelConfig& config() const { return config_; }
  const ModelWeights& weights() const { return weights_; }
  const formats::GgufFile& file() const { return file_; }
  uint64_t num_parameters() const;
  // Weight bytes that one decoded token reads: every layer, the output matrix, one embedding row.
  uint64_t bytes_per_token() const;
  // The rotations of steps with a workspace for `context_length` tokens: [config.ropes].
  const std::vector<ops::RopeAngles>& ropes(int32_t context_length) const;
  // Packed copies of matrices, as far as they are made.
  uint64_t packed_bytes() const { return packer_ == nullptr ? 0 : packer_->bytes_packed(); }
  MemoryRange packed_range() const { return packer_ == nullptr ? MemoryRange{} : packer_->range(); }

  // One forward pass over the batch, then workspace.logits[i] = logits of row logit_rows[i], which
  // ascend. At most workspace.max_rows() rows and max_logit_rows() logit rows. No allocation, no
  // failure.
  void step(device::CpuDevice& device, Workspace& workspace, const ops::BatchView& batch,
            const ops::KvView& kv, std::span<const int32_t> logit_rows,
            RowsAfter rows_after = RowsAfter::kReadable,
            ActivationTap* tap = nullptr) const noexcept;

  // Turns `rows` of the last step() in workspace.residual, [rows, hidden], into their final states;
  // once for each row. They are what embeddings are pooled from.
  void final_states(device::CpuDevice& device, Workspace& workspace,
                    std::span<const int32_t> rows) const noexcept;

  // Logits of more rows of the last step(), but not of those whose final states were asked for.
  void logits(device::CpuDevice& device, Workspace& workspace,
              std::span<const int32_t> rows) const noexcept;

 private:
  Model(formats::GgufFile file, ModelConfig config, ModelWeights weights)
      : file_(std::move(file)), config_(std::move(config)), weights_(std::move(weights)) {}

  Status pack_weights(const ModelOptions& options);
  void make_ropes();

  formats::GgufFile file_;
  ModelConfig config_;
  ModelWeights weights_;
  // [config.ropes]; the second with LongRoPE's long factors, empty where there are none.
  std::vector<ops::RopeAngles> ropes_, long_ropes_;
  std::unique_ptr<WeightPacker> packer_;  // none: the weights stay in the file's form
};

}  // namespace ruvllm::model
