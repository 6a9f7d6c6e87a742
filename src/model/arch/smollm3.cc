// SmolLM3 (https://huggingface.co/blog/smollm3): Llama's block in which every fourth layer does not
// encode positions (https://arxiv.org/abs/2501.18795). GGUF permutes q and k as for Llama.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kSmollm3 = {
    .name = "smollm3", .rope_style = RopeStyle::kInterleaved, .no_rope_period = 4};

}  // namespace ruvllm::model
