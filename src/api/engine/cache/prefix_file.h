// The file of a cache folder in which an engine keeps its prefixes between runs.
#pragma once

#include <string>
#include <string_view>

#include "base/core/error.h"
#include "base/numeric/siphash.h"
#include "engine/loop/options.h"
#include "formats/gguf/gguf.h"

namespace ruvllm::api {

// Of all that makes keys and values: the model's metadata, the names, types and shapes of its
// tensors with a sample of their content (all of small ones), the form of the cache, the
// instruction set, in whose order floats are added, and this program's version.
Hash128 cache_fingerprint(const formats::GgufFile& file, const engine::StepLoopOptions& options,
                          std::string_view isa);

// Its place in `folder`, which is created for its owner alone.
Result<std::string> prefix_file_path(const std::string& folder, Hash128 fingerprint);

}  // namespace ruvllm::api
