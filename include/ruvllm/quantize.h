// Models in fewer bits, and the importance matrices that help to choose them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ruvllm/error.h>
#include <ruvllm/export.h>
#include <ruvllm/tokenizer.h>

namespace ruvllm {

struct QuantizeOptions {
  // GGUF, also split, or the folder of a Hugging Face model; best in F32, F16 or BF16.
  std::string input_path;
  std::string output_path;  // must not be the input
  std::string type;         // one of quantize_types(), in any case: "Q4_K_M" (llama.cpp's mixture)
  std::string importance_path =
      {};                         // GGUF imatrix of ImportanceCollector or llama-imatrix; "": none
  uint32_t num_threads = 0;       // 0: processors allowed by affinity and cgroup quota
  bool allow_requantize = false;  // of tensors that are quantized already: they lose twice
  bool measure_error = false;     // fill QuantizedTensor::relative_error
};

struct QuantizedTensor {
  std::string name;
  std::string from, to;         // "f16", "q4_K"
  uint64_t bytes = 0;           // in the output
  double relative_error = 0.0;  // root of squared error over squared values, if measured
};

struct QuantizeReport {
  uint64_t bytes = 0;  // of the output's tensors
  double bits_per_weight = 0.0;
  uint32_t num_weighted = 0;  // tensors that the importance matrix knew
  std::vector<QuantizedTensor> tensors;
  std::vector<std::string> warnings;  // what the file cannot say of a checkpoint, in words
};

RUVLLM_API std::vector<std::string> quantize_types();

// Writes the output tensor by tensor, 16 MiB a step or one row; step() returns false when done.
// Nothing is left behind on error. Not thread-safe.
class RUVLLM_API Quantizer {
 public:
  static Result<Quantizer> create(const QuantizeOptions& options);
  Quantizer(Quantizer&&) noexcept;
  Quantizer& operator=(Quantizer&&) noexcept;
  ~Quantizer();
  Result<bool> step();
  uint64_t bytes_done() const;  // of the input's tensors
  uint64_t bytes_total() const;
  const std::string& current_tensor() const;  // "" when done
  const QuantizeReport& report() const;       // complete when step() returned false

 private:
  struct Impl;
  explicit Quantizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct ImportanceOptions {
  std::string model_path;  // as EngineOptions::model_path
  std::string output_path;
  std::string text_name = {};     // noted in the file as its data set
  uint32_t context_length = 512;  // tokens of a window
  uint32_t num_threads = 0;
  std::string cpu_isa = {};
};

// Runs a model over a text and notes, for each matrix of its layers, the sum of squares of each
// column of its input (https://arxiv.org/abs/2306.00978 weighs columns alike). Where the vocabulary
// wants texts to begin with BOS every window does: the first before the tokens given, the others in
// place of their first token, as in llama-imatrix. step() does one window and returns false when
// the text is done; finish() writes llama.cpp's GGUF imatrix.
class RUVLLM_API ImportanceCollector {
 public:
  static Result<ImportanceCollector> create(const ImportanceOptions& options,
                                            std::vector<TokenId> tokens);
  ImportanceCollector(ImportanceCollector&&) noexcept;
  ImportanceCollector& operator=(ImportanceCollector&&) noexcept;
  ~ImportanceCollector();
  Result<bool> step();
  Status finish();
  uint64_t tokens_done() const;
  uint64_t tokens_total() const;
  uint32_t num_matrices() const;  // that the file has entries for

 private:
  struct Impl;
  explicit ImportanceCollector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ruvllm
