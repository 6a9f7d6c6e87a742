// The residual stream between blocks. A block leaves its output in workspace.delta; the next one
// adds it to workspace.residual when it prepares its own input, in the same pass over the row.
#pragma once

#include <cstdint>
#include <vector>

#include "model/decoder/pass_context.h"
#include "ops/activations.h"

namespace ruvllm::model {

// dst = what a row of delta adds to the stream: normed if the family norms the output of blocks
// (`post_norm` not empty) and scaled. dst may be the row of delta itself.
void finish_block_output(const PassContext& c, int32_t row_idx, const std::vector<float>& post_norm,
                         float* dst) noexcept;

// Norms a row of the residual stream in place, unless the norm is empty.
void norm_stream(const PassContext& c, int32_t row_idx, const LayerNormWeights& norm) noexcept;

// residual += delta, finished as above; then norms the sum.
void add_block_output(const PassContext& c, int32_t row_idx, const std::vector<float>& post_norm,
                      const LayerNormWeights& stream_norm) noexcept;

// hidden_in = residual, normed unless `norm` is empty, in the forms that the next products read.
void prepare_block_input(const PassContext& c, int32_t row_idx, const std::vector<float>& norm,
                         ops::ActivationKinds kinds) noexcept;

}  // namespace ruvllm::model
