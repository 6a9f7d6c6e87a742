// Gemma 2 (https://arxiv.org/abs/2408.00118): norms before and after each block, GeGLU, capped
// attention scores and logits, a window in every other layer.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kGemma2 = {.name = "gemma2",
                              .rope_style = RopeStyle::kNeox,
                              .post_norms = true,
                              .gate_activation = GateActivation::kGeluTanh,
                              .scales_embedding = true,
                              .window_period = 2,
                              .default_window = 4096,
                              .layers_with_hidden_query_scale = 46};

}  // namespace ruvllm::model
