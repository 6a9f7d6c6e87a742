// Works LoRA adapters into a model's own weights and writes the result as GGUF.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ruvllm/adapter.h>
#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

struct MergeOptions {
  std::string model_path;
  std::vector<AdapterSource> adapters;
  std::string output_path;
};

// Writes the file tensor by tensor; step() returns false when done. Merged weights keep their type:
// for one with few bits the result is quantized again, and merging into F16 or F32 is better.
// Nothing is left behind on error.
class RUVLLM_API Merger {
 public:
  static Result<Merger> create(const MergeOptions& options);
  Merger(Merger&&) noexcept;
  Merger& operator=(Merger&&) noexcept;
  ~Merger();
  Result<bool> step();
  uint64_t bytes_done() const;
  uint64_t bytes_total() const;
  uint32_t merged_tensors() const;  // so far

 private:
  struct Impl;
  explicit Merger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm
