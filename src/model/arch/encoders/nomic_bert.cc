// Nomic Embed (https://arxiv.org/abs/2402.01613): BERT with rotary positions and SwiGLU.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kNomicBert = {.name = "nomic-bert",
                                 .rope_style = RopeStyle::kNeox,
                                 .pre_norms = false,
                                 .stream_norms = true,
                                 .causal = false,
                                 .has_output = false};

}  // namespace ruvllm::model
