// Granite 3 and the dense members of 4
// (https://github.com/ibm-granite/granite-3.0-language-models): Llama's block with multipliers on
// the embedding, the attention scores, what each block adds and the logits. GGUF permutes q and k
// as for Llama.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kGranite = {.name = "granite",
                               .rope_style = RopeStyle::kInterleaved,
                               .requires_logit_scale = true,
                               .rope_is_optional = true};

}  // namespace ruvllm::model
