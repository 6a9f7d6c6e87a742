#include "api/models/quantize/importance.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "formats/gguf/gguf.h"

namespace ruvllm::api {
namespace {

using formats::GgufFile;
using formats::GgufTensor;

// Float tensors of a mapped file need not be aligned.
std::vector<float> floats_of(const GgufTensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

Status check_entry(const GgufFile& file, const GgufTensor& sums, const GgufTensor* counts) {
  if (counts == nullptr) {
    return fail(ErrorCode::kCorrupt, "{}: {} has no counts beside it; make the file anew",
                file.path(), sums.name);
  }
  if (sums.dtype != DType::kF32 || counts->dtype != DType::kF32) {
    return fail(ErrorCode::kCorrupt, "{}: {} and its counts must be f32; make the file anew",
                file.path(), sums.name);
  }
  const bool fits = sums.dims[2] == 1 && sums.dims[3] == 1 && counts->dims[0] == 1 &&
                    counts->dims[1] == sums.dims[1] && counts->dims[2] == 1 && counts->dims[3] == 1;
  if (!fits) {
    return fail(ErrorCode::kCorrupt,
                "{}: {} has {} experts of {} columns, but its counts are [{}, {}]; make the file "
                "anew",
                file.path(), sums.name, sums.dims[1], sums.dims[0], counts->dims[0],
                counts->dims[1]);
  }
  return {};
}

// Sums over counts; 1 for an expert that saw no row.
Result<std::vector<float>> means_of(const GgufFile& file, const GgufTensor& sums,
                                    const GgufTensor& counts) {
  std::vector<float> means = floats_of(sums);
  const std::vector<float> rows = floats_of(counts);
  for (size_t i = 0; i < means.size(); ++i) {
    const float count = rows[i / sums.dims[0]];
    const bool valid = std::isfinite(means[i]) && means[i] >= 0 && std::isfinite(count);
    if (!valid || count < 0) {
      return fail(ErrorCode::kCorrupt,
                  "{}: {} has {} over {} rows in column {}; a sum of squares is finite and not "
                  "negative: make the file anew",
                  file.path(), sums.name, means[i], count, i % sums.dims[0]);
    }
    const float mean = count > 0 ? means[i] / count : 1.0f;
    means[i] = std::isfinite(mean) ? mean : std::numeric_limits<float>::max();
  }
  return means;
}

}  // namespace

Result<ImportanceMatrix> ImportanceMatrix::read(const std::string& path) {
  RUVLLM_ASSIGN(const GgufFile file, GgufFile::open(path));
  const Result<std::string_view> kind = file.get_string("general.type");
  if (!kind || *kind != "imatrix") {
    return fail(ErrorCode::kInvalidArgument,
                "{}: no importance matrix (general.type is not 'imatrix'); make one with 'ruvllm "
                "imatrix' or llama-imatrix",
                path);
  }
  ImportanceMatrix matrix;
  matrix.path_ = path;
  if (const auto names = file.get_string_array(kImportanceDatasetsKey); names && !names->empty()) {
    matrix.dataset_ = names->front();
  }
  if (const auto count = file.get_uint(kImportanceChunkCountKey)) {
    matrix.num_chunks_ =
        static_cast<uint32_t>(std::min<uint64_t>(*count, std::numeric_limits<uint32_t>::max()));
  }
  for (const GgufTensor& sums : file.tensors()) {
    if (!sums.name.ends_with(kImportanceSumsSuffix)) continue;
    const std::string name(sums.name.substr(0, sums.name.size() - kImportanceSumsSuffix.size()));
    const GgufTensor* counts = file.find_tensor(name + std::string(kImportanceCountsSuffix));
    RUVLLM_TRY(check_entry(file, sums, counts));
    RUVLLM_ASSIGN(std::vector<float> means, means_of(file, sums, *counts));
    matrix.entries_[name] = {sums.dims[0], sums.dims[1], std::move(means)};
  }
  RUVLLM_TRY(file.check_intact());
  if (matrix.entries_.empty()) {
    return fail(ErrorCode::kCorrupt, "{}: the importance matrix has no entries; make the file anew",
                path);
  }
  return matrix;
}

Result<std::span<const float>> ImportanceMatrix::means(std::string_view tensor_name,
                                                       uint64_t num_cols,
                                                       uint64_t num_experts) const {
  const auto found = entries_.find(tensor_name);
  if (found == entries_.end()) return std::span<const float>();
  const Entry& entry = found->second;
  if (entry.num_cols != num_cols || entry.num_experts != num_experts) {
    return fail(ErrorCode::kCorrupt,
                "{}: {} has {} experts of {} columns, but the model {} of {}; use the importance "
                "matrix of this model",
                path_, tensor_name, entry.num_experts, entry.num_cols, num_experts, num_cols);
  }
  return std::span<const float>(entry.means);
}

}  // namespace ruvllm::api
