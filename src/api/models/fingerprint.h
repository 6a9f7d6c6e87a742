// Tells models apart by what is in their files.
#pragma once

#include <string>

#include "base/numeric/siphash.h"
#include "formats/gguf/gguf.h"

namespace ruvllm::api {

// Takes in the model's metadata, the names, types and shapes of its tensors, and a sample of their
// content (all of small ones).
void add_model(SipHasher& hasher, const formats::GgufFile& file);

// 32 hexadecimal digits; the same for the same file in every version of this program.
std::string model_fingerprint(const formats::GgufFile& file);

}  // namespace ruvllm::api
