// Gemma 3 (https://arxiv.org/abs/2503.19786): Gemma 2 with norms of queries and keys in place of
// caps, five layers with a window and a rotary base of their own to one that sees all.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kGemma3 = {.name = "gemma3",
                              .rope_style = RopeStyle::kNeox,
                              .qk_norm = QkNorm::kPerHead,
                              .post_norms = true,
                              .gate_activation = GateActivation::kGeluTanh,
                              .scales_embedding = true,
                              .window_period = 6,
                              .local_rope_base = 10000.0,
                              .local_rope_is_scaled = false,
                              .layers_with_hidden_query_scale = 62};

}  // namespace ruvllm::model
