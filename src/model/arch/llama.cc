// Llama 1 to 3 and what shares their block (https://arxiv.org/abs/2302.13971), Mistral among them,
// whose first version has a window of 4096 tokens in every layer
// (https://arxiv.org/abs/2310.06825). GGUF permutes the rows of q and k, so that rotary pairs lie
// side by side.
#include "model/arch/architecture.h"

namespace ruvllm::model {

const Architecture kLlama = {
    .name = "llama", .rope_style = RopeStyle::kInterleaved, .window_period = 0};

}  // namespace ruvllm::model
