// The two file formats of adapters. Internal to `adapters`; loader.h chooses.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapters/adapter.h"
#include "base/core/error.h"
#include "formats/gguf/gguf.h"
#include "formats/json/json_fields.h"
#include "formats/safetensors/safetensors.h"

namespace ruvllm::adapters {

// Low-rank factors of one weight as a file names it, gathered from two tensors.
struct FactorPair {
  std::string weight;  // for errors
  int32_t layer_idx = 0;
  std::vector<float> a;  // [rank, in_dim]
  std::vector<float> b;  // [out_dim, rank]
  uint64_t rank = 0;
  uint64_t in_dim = 0;
  uint64_t out_dim = 0;
};

// `config`: adapter_config.json.
Result<std::vector<Adapter::Matrices>> read_peft(const formats::JsonFields& config,
                                                 const formats::SafetensorsFile& file,
                                                 const BaseShape& base);
Result<std::vector<Adapter::Matrices>> read_gguf_adapter(const formats::GgufFile& file,
                                                         const BaseShape& base);

}  // namespace ruvllm::adapters
