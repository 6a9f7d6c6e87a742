// The members of Qwen3 with experts (https://arxiv.org/abs/2505.09388).
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kQwen3Moe = {.name = "qwen3moe",
                                .rope_style = RopeStyle::kNeox,
                                .qk_norm = QkNorm::kPerHead,
                                .experts = ExpertTraits{.required = true}};

}  // namespace ruvllm::model
