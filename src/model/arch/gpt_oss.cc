// gpt-oss (https://arxiv.org/abs/2508.10925): experts with biases and a clamped gate, attention
// sinks, and a window in every other layer.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kGptOss = {
    .name = "gpt-oss",
    .rope_style = RopeStyle::kNeox,
    .requires_qkv_bias = true,
    .ffn_norm_name = "post_attention_norm",
    .experts = ExpertTraits{.required = true,
                            .gating = ops::ExpertGating::kSoftmaxOfChosen,
                            .normalize = false,
                            .activation = ops::ExpertActivation::kClampedSwiglu,
                            .requires_bias = true},
    .window_period = 2};

}  // namespace ruvllm::model
