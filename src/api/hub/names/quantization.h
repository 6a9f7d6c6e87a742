// What names of weight files say: the quantization, and which part of a split set a file is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ruvllm::hub {

// "Q4_K_M" of "qwen2.5-0.5b-instruct-q4_k_m.gguf", "UD-Q4_K_XL" of Unsloth's files, upper case; ""
// if the name says nothing.
std::string quantization_label(std::string_view path);

// "model-00002-of-00003.gguf" is part 2 of 3 of the set "model.gguf".
struct ShardName {
  std::string set;
  uint32_t index = 0;  // from 1
  uint32_t count = 0;
};
std::optional<ShardName> parse_shard_name(std::string_view path);

std::string_view base_name(std::string_view path);

}  // namespace ruvllm::hub
