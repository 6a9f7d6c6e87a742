// Gives the products of a model packed copies of their matrices (ops::PackedSlices), in huge pages,
// while the model already runs from the file.
//
// A product takes its packed matrix from the moment when it is complete; its results have the same
// bits with either. Matrices are packed in the order in which a token needs them until the room is
// used up. Thread-safe apart from construction, which comes before the first step.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/core/error.h"
#include "base/memory/buffer.h"
#include "formats/gguf/gguf.h"
#include "model/weights.h"
#include "ops/linear.h"

namespace ruvllm::model {

class WeightPacker {
 public:
  // Plans of `weights` whose type has a packed form here get their place, until max_bytes are
  // reserved. Mapped pages of `file` are given back when their matrix is packed. Both outlive the
  // packer.
  static Result<std::unique_ptr<WeightPacker>> create(const formats::GgufFile& file,
                                                      ModelWeights& weights, uint64_t max_bytes);
  ~WeightPacker();  // stops after the matrix at hand

  // Packs everything before it returns, or in a thread of its own. Once, one of the two.
  void run() noexcept;
  Status start();

  uint64_t bytes_reserved() const { return buffer_.size(); }
  MemoryRange range() const { return buffer_.range(); }
  uint64_t bytes_packed() const { return bytes_packed_.load(std::memory_order_relaxed); }

 private:
  struct Matrix {
    ops::LinearPlan* plan = nullptr;
    size_t offset = 0;  // in buffer_
    ops::PackedSlices slices{nullptr};
  };

  explicit WeightPacker(const formats::GgufFile& file) : file_(file) {}
  void pack(Matrix& matrix) noexcept;

  const formats::GgufFile& file_;
  std::vector<std::unique_ptr<Matrix>> matrices_;
  Buffer buffer_;
  std::atomic<uint64_t> bytes_packed_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace ruvllm::model
