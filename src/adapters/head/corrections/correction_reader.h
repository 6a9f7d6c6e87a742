// What taught corrections say at one position. A workspace: one a thread, not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "adapters/head/corrections/correction_memory.h"
#include "adapters/head/row_products.h"

namespace ruvllm::adapters {

class CorrectionReader {
 public:
  using Memories = std::span<const std::shared_ptr<const CorrectionMemory>>;

  // Room for these, so that read() allocates nothing.
  void reserve(Memories memories);
  // The query is the first input of `products`. Results are kept until the next call.
  void read(Memories memories, RowProducts& products);

  struct Said {
    int32_t token;
    double share;  // q(token); they sum to 1
  };
  double gate() const { return gate_; }                 // 0: silent, nothing is said
  std::span<const Said> said() const { return said_; }  // by token, without doubles

 private:
  struct Near {
    int32_t token;
    float similarity;
    float gate;
    float sharpness;
  };
  double gate_ = 0;
  std::vector<float> similarities_;
  std::vector<Near> near_;
  std::vector<Said> said_;
};

}  // namespace ruvllm::adapters
