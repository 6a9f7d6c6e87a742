// One function a source: everything from the name to the files in their store.
#pragma once

#include "api/hub/transfer/context.h"
#include "base/core/error.h"

namespace ruvllm::hub {

Result<PulledModel> pull_hugging_face(PullContext& context, const ModelReference& reference);
Result<PulledModel> pull_ollama(PullContext& context, const ModelReference& reference);
Result<PulledModel> pull_url(PullContext& context, const ModelReference& reference);

}  // namespace ruvllm::hub
