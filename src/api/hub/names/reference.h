// Parts of names that files and addresses are built from.
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"
#include <ruvllm/hub.h>

namespace ruvllm::hub {

// The name without its scheme, as people type it: "org/repo:Q4_K_M", "qwen2.5:0.5b".
std::string short_name(const ModelReference& reference);

// Whether `text` can only be a path: "./x", "/x", "~x", "x.gguf", "x.safetensors".
bool looks_like_path(std::string_view text);

}  // namespace ruvllm::hub
