// The model file of end-to-end benchmarks.
#pragma once

#include <string>

#include "base/core/error.h"
#include "support/harness.h"

namespace ruvllm::bench {

// --model, or a file of random weights in the shape of --shape (default: qwen2.5-0.5b) and type
// --type (default: q4_k_m), which is removed again with this object.
class ModelFile {
 public:
  ModelFile() = default;
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;
  ~ModelFile();

  // `name` of the benchmark, for the name of a file of ours.
  Status open(const Setup& setup, const std::string& name);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool is_ours_ = false;
};

}  // namespace ruvllm::bench
