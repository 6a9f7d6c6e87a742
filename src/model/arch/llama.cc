// Llama 1 to 3 and what shares their block, Mistral among them (https://arxiv.org/abs/2302.13971).
// GGUF permutes the rows of q and k, so that rotary pairs lie side by side.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kLlama = {
    .name = "llama", .rope_style = RopeStyle::kInterleaved, .requires_qkv_bias = false};

}  // namespace ruvllm::model
