// OLMo 2 and OLMo 3 (https://arxiv.org/abs/2501.00656): norms only after each block, and of queries
// and keys over all heads at once. OLMo 3 has a window in three of four layers, which keep the
// rotation of the short training.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kOlmo2 = {.name = "olmo2",
                             .rope_style = RopeStyle::kNeox,
                             .qk_norm = QkNorm::kWholeWidth,
                             .pre_norms = false,
                             .post_norms = true,
                             .window_period = 4,
                             .local_rope_is_scaled = false};

}  // namespace ruvllm::model
