// Qwen2 and Qwen2.5 (https://arxiv.org/abs/2407.10671): Llama's block with biases on q, k and v.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kQwen2 = {
    .name = "qwen2", .rope_style = RopeStyle::kNeox, .requires_qkv_bias = true};

}  // namespace ruvllm::model
