// Random weights in a real model's shape, for speed work without the real files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>

namespace ruvllm {

struct SynthOptions {
  std::string shape;  // one of synth_shapes(), e.g. "qwen2.5-1.5b"
  std::string type;   // "q4_k_m" (llama.cpp's mixture), "q8_0", "f16", ...
  std::string output_path;
  // A model file or folder whose tokenizer to copy, padded to the shape's vocabulary; "": the
  // bundled model.
  std::string tokenizer_path;
  uint64_t seed = 0;
};

RUVLLM_API std::vector<std::string> synth_shapes();
RUVLLM_API std::vector<std::string> synth_types();

// Writes the file tensor by tensor; step() returns false when done. Nothing is left behind on
// error.
class RUVLLM_API Synthesizer {
 public:
  static Result<Synthesizer> create(const SynthOptions& options);
  Synthesizer(Synthesizer&&) noexcept;
  Synthesizer& operator=(Synthesizer&&) noexcept;
  ~Synthesizer();
  Result<bool> step();
  uint64_t bytes_done() const;
  uint64_t bytes_total() const;

 private:
  struct Impl;
  explicit Synthesizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm
