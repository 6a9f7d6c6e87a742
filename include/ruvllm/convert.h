// Hugging Face checkpoints to GGUF files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

struct ConvertOptions {
  std::string input_path;  // the folder with config.json, tokenizer.json and *.safetensors
  std::string output_path;
  // One of convert_types(); "auto" keeps the checkpoint's own. Vectors, norms and routers become
  // f32 in any case; experts in MXFP4 stay so; rows that q8_0 cannot hold become f16.
  std::string type = "auto";
};

RUVLLM_API std::vector<std::string> convert_types();

// Writes the file tensor by tensor; step() returns false when done. Nothing is left behind on
// error.
class RUVLLM_API Converter {
 public:
  static Result<Converter> create(const ConvertOptions& options);
  Converter(Converter&&) noexcept;
  Converter& operator=(Converter&&) noexcept;
  ~Converter();
  Result<bool> step();
  uint64_t bytes_done() const;
  uint64_t bytes_total() const;
  uint64_t num_tensors() const;
  const std::string& architecture() const;
  // What the file cannot say of the checkpoint, in words.
  const std::vector<std::string>& warnings() const;

 private:
  struct Impl;
  explicit Converter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm
