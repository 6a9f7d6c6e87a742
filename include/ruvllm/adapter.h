// LoRA adapters: low-rank additions to a model, chosen request by request or worked into its own
// weights for good.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

// An adapter to load: a Hugging Face PEFT folder, its adapter_model.safetensors, or a GGUF adapter.
struct AdapterSource {
  std::string name;  // what requests call it
  std::string path;
  float scale = 1.0f;  // on top of the file's own, where the engine uses it by default
};

struct AdapterUse {
  std::string name;
  float scale = 1.0f;
};

struct AdapterInfo {
  std::string name;
  uint64_t generation = 0;  // counts what was ever loaded; a name loaded anew gets another
  uint32_t rank = 0;        // the largest
  uint64_t bytes = 0;
};

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
