// BERT (https://arxiv.org/abs/1810.04805) and what shares its shape (MiniLM, BGE, E5, GTE): an
// encoder with learned positions and GELU.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kBert = {.name = "bert",
                            .rope_style = RopeStyle::kNeox,
                            .pre_norms = false,
                            .stream_norms = true,
                            .has_ffn_gate = false,
                            .has_position_embedding = true,
                            .no_rope_period = 1,
                            .causal = false,
                            .has_output = false};

}  // namespace ruvllm::model
