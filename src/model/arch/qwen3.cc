// Qwen3 (https://arxiv.org/abs/2505.09388): norms of each head's query and key instead of biases.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kQwen3 = {
    .name = "qwen3", .rope_style = RopeStyle::kNeox, .qk_norm = QkNorm::kPerHead};

}  // namespace ruvllm::model
