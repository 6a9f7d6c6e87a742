// Phi-3, Phi-3.5 and Phi-4 (https://arxiv.org/abs/2404.14219): fused q, k, v and gate, up; rotary
// factors for long contexts (https://arxiv.org/abs/2402.13753); in some members a partial rotation
// or a window in every layer.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kPhi3 = {
    .name = "phi3", .rope_style = RopeStyle::kNeox, .fuses_gate_and_up = true, .window_period = 0};

}  // namespace ruvllm::model
