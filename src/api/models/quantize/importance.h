// Importance matrices in llama.cpp's GGUF format: for each weight matrix "NAME.in_sum2", the sums
// of squares of its input's columns [columns, experts], and "NAME.counts", the rows summed [1,
// experts].
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::api {

inline constexpr std::string_view kImportanceSumsSuffix = ".in_sum2";
inline constexpr std::string_view kImportanceCountsSuffix = ".counts";
inline constexpr std::string_view kImportanceDatasetsKey = "imatrix.datasets";
inline constexpr std::string_view kImportanceChunkCountKey = "imatrix.chunk_count";
inline constexpr std::string_view kImportanceChunkSizeKey = "imatrix.chunk_size";

class ImportanceMatrix {
 public:
  static Result<ImportanceMatrix> read(const std::string& path);

  // Mean squares, [experts][columns]: >= 0 and finite, 1 where no row was seen. Empty if the matrix
  // is unknown; kCorrupt if its shape differs.
  Result<std::span<const float>> means(std::string_view tensor_name, uint64_t num_cols,
                                       uint64_t num_experts) const;

  const std::string& path() const { return path_; }
  const std::string& dataset() const { return dataset_; }  // "" if unknown
  uint32_t num_entries() const { return static_cast<uint32_t>(entries_.size()); }
  uint32_t num_chunks() const { return num_chunks_; }

 private:
  struct Entry {
    uint64_t num_cols = 0;
    uint64_t num_experts = 0;
    std::vector<float> means;
  };

  std::string path_;
  std::string dataset_;
  uint32_t num_chunks_ = 0;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace ruvllm::api
