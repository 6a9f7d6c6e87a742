#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "api/models/checkpoint/open_model.h"
#include "api/models/quantize/importance.h"
#include "api/models/quantize/mixture.h"
#include "base/core/error.h"
#include "base/threads/thread_team.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/gguf_writer.h"
#include "tensor/codec.h"
#include "tensor/dtype.h"
#include <ruvllm/quantize.h>

namespace ruvllm {
namespace {

using formats::GgufFile;
using formats::GgufTensor;

constexpr size_t kStepBytes = size_t{16} << 20;  // of the input, unless a row is larger

// Errors of one worker's rows; kept apart so that workers do not share lines.
struct alignas(64) WorkerResult {
  double squared_error = 0;
  double squared_values = 0;
  std::optional<uint64_t> bad_row;
};

struct Plan {
  const GgufTensor* tensor = nullptr;
  DType to = DType::kF32;
  std::span<const float> importance;  // [experts][columns], or empty
};

bool is_block_type(DType dtype) { return dtype_info(dtype).block_elements > 1; }

uint64_t num_rows_of(const GgufTensor& tensor) {
  return tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
}

bool is_split_key(std::string_view key) { return key.starts_with("split."); }

uint64_t uint_or(const GgufFile& file, const std::string& key, uint64_t fallback) {
  if (const auto value = file.get_uint(key)) return *value;
  // Models whose layers differ have a list; llama.cpp's mixtures go by the first.
  const auto list = file.get_int_array(key);
  return list && !list->empty() && list->front() >= 0 ? static_cast<uint64_t>(list->front())
                                                      : fallback;
}

api::MixtureModel describe(const GgufFile& file, bool has_importance) {
  api::MixtureModel model;
  if (const auto architecture = file.get_string("general.architecture")) {
    model.architecture = *architecture;
  }
  const std::string prefix = std::string(model.architecture) + ".";
  const auto count = [&](std::string_view key, uint64_t fallback) {
    constexpr uint64_t kMost = 1u << 20;
    return static_cast<uint32_t>(
        std::min(uint_or(file, prefix + std::string(key), fallback), kMost));
  };
  model.num_layers = count("block_count", 0);
  model.num_heads = count("attention.head_count", 1);
  model.num_kv_heads = count("attention.head_count_kv", model.num_heads);
  model.num_experts = count("expert_count", 0);
  model.has_importance = has_importance;
  return model;
}

Status check_paths(const QuantizeOptions& options) {
  if (options.output_path.empty()) {
    return fail(ErrorCode::kInvalidArgument, "no file to write to; name one that ends in .gguf");
  }
  std::error_code error;
  if (std::filesystem::equivalent(options.input_path, options.output_path, error)) {
    return fail(ErrorCode::kInvalidArgument,
                "{}: is the input itself; name another file for the output", options.output_path);
  }
  return {};
}

}  // namespace

struct Quantizer::Impl {
  Impl(GgufFile input, const QuantizeOptions& quantize_options)
      : options(quantize_options), file(std::move(input)), writer(options.output_path) {}

  Status plan(const api::FileType& type);
  Status copy_metadata(const api::FileType& type);
  Status write_rows();
  Status encode_rows(const Plan& item, uint64_t first_row, uint64_t num_rows);
  void encode_part(const Plan& item, uint64_t begin, uint64_t end, std::byte* out,
                   WorkerResult& result) const;
  void end_tensor();

  QuantizeOptions options;
  GgufFile file;
  formats::GgufWriter writer;
  std::optional<api::ImportanceMatrix> importance;
  std::unique_ptr<device::CpuDevice> device;
  std::vector<Plan> plans;
  QuantizeReport report;
  size_t tensor_idx = 0;   // being written
  uint64_t rows_done = 0;  // of it
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  uint64_t num_weights = 0;
  double squared_error = 0, squared_values = 0;  // of the tensor being written
  std::vector<std::byte> chunk;
  std::string current;
  std::optional<Error> error;  // of a step; every later one returns it
  bool finished = false;
};

Status Quantizer::Impl::plan(const api::FileType& type) {
  std::vector<api::MixtureTensor> described;
  for (const GgufTensor& tensor : file.tensors()) {
    described.push_back({tensor.name, std::span(tensor.dims, tensor.num_dims), tensor.dtype});
  }
  const api::MixtureModel model = describe(file, importance.has_value());
  const std::vector<DType> dtypes = api::plan_dtypes(type, model, described);
  for (size_t i = 0; i < dtypes.size(); ++i) {
    const GgufTensor& tensor = file.tensors()[i];
    Plan item{&tensor, dtypes[i], {}};
    if (item.to != tensor.dtype && is_block_type(tensor.dtype) && is_block_type(item.to) &&
        !options.allow_requantize) {
      return fail(ErrorCode::kInvalidArgument,
                  "{}: tensor '{}' is {} already and would lose twice; quantize the original model "
                  "(F32, F16 or BF16), or allow it with --allow-requantize",
                  file.path(), tensor.name, dtype_info(tensor.dtype).name);
    }
    if (importance && item.to != tensor.dtype) {
      RUVLLM_ASSIGN(item.importance,
                    importance->means(tensor.name, tensor.dims[0], tensor.dims[2]));
      if (!item.importance.empty()) ++report.num_weighted;
    }
    writer.declare_tensor(tensor.name, item.to, std::span(tensor.dims, tensor.num_dims));
    bytes_total += tensor.data.size();
    num_weights += num_rows_of(tensor) * tensor.dims[0];
    plans.push_back(item);
    report.tensors.push_back({.name = std::string(tensor.name),
                              .from = std::string(dtype_info(tensor.dtype).name),
                              .to = std::string(dtype_info(item.to).name)});
  }
  return {};
}

Status Quantizer::Impl::copy_metadata(const api::FileType& type) {
  constexpr uint32_t kQuantizationVersion = 2;  // of the block layouts
  const std::array<std::pair<std::string_view, uint32_t>, 2> ours = {
      {{"general.file_type", static_cast<uint32_t>(type.number)},
       {"general.quantization_version", kQuantizationVersion}}};
  constexpr std::string_view kImportancePrefix = "quantize.imatrix.";
  for (const formats::GgufEntry& entry : file.entries()) {
    const auto own =
        std::ranges::find(ours, entry.key, [](const auto& pair) { return pair.first; });
    if (own != ours.end()) {
      writer.add_uint32(own->first, own->second);
    } else if (!is_split_key(entry.key) && !entry.key.starts_with(kImportancePrefix)) {
      RUVLLM_TRY(writer.copy_entry(file, entry.key));
    }
  }
  for (const auto& [key, value] : ours) {
    if (!file.has(key)) writer.add_uint32(key, value);
  }
  if (!importance) return {};
  const std::string name = std::filesystem::path(importance->path()).filename().string();
  writer.add_string("quantize.imatrix.file", name);
  if (!importance->dataset().empty()) {
    writer.add_string("quantize.imatrix.dataset", importance->dataset());
  }
  writer.add_uint32("quantize.imatrix.entries_count", importance->num_entries());
  writer.add_uint32("quantize.imatrix.chunks_count", importance->num_chunks());
  return {};
}

// Rows [begin, end) of the tensor to `out`.
void Quantizer::Impl::encode_part(const Plan& item, uint64_t begin, uint64_t end, std::byte* out,
                                  WorkerResult& result) const {
  const GgufTensor& tensor = *item.tensor;
  const size_t num_cols = tensor.dims[0];
  const size_t from_bytes = *row_bytes(tensor.dtype, num_cols);
  const size_t to_bytes = *row_bytes(item.to, num_cols);
  std::vector<float> values(num_cols), decoded(options.measure_error ? num_cols : 0);
  for (uint64_t row = begin; row < end; ++row, out += to_bytes) {
    decode_row(tensor.dtype, tensor.data.data() + row * from_bytes, num_cols, values.data());
    // A sum is finite unless a value is not, or they are beyond all use.
    float sum = 0;
    for (const float value : values) sum += std::abs(value);
    if (!std::isfinite(sum)) {
      result.bad_row = row;
      return;
    }
    std::span<const float> weights = item.importance;
    if (!weights.empty()) weights = weights.subspan(row / tensor.dims[1] * num_cols, num_cols);
    encode_row(item.to, values.data(), num_cols, out, weights);
    if (!options.measure_error) continue;
    decode_row(item.to, out, num_cols, decoded.data());
    for (size_t i = 0; i < num_cols; ++i) {
      const double difference = static_cast<double>(decoded[i]) - static_cast<double>(values[i]);
      result.squared_error += difference * difference;
      result.squared_values += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    }
  }
}

Status Quantizer::Impl::encode_rows(const Plan& item, uint64_t first_row, uint64_t num_rows) {
  const size_t to_bytes = *row_bytes(item.to, item.tensor->dims[0]);
  chunk.resize(num_rows * to_bytes);
  constexpr uint64_t kPieceElements = uint64_t{1} << 16;
  const uint64_t piece = std::max<uint64_t>(1, kPieceElements / item.tensor->dims[0]);
  std::vector<WorkerResult> results(device->team().num_threads());
  device->team().run([&](ThreadTeam::Worker& worker) {
    worker.for_chunks(static_cast<int64_t>(num_rows), static_cast<int64_t>(piece),
                      [&](int64_t begin, int64_t end) {
                        const auto from = static_cast<uint64_t>(begin);
                        encode_part(item, first_row + from, first_row + static_cast<uint64_t>(end),
                                    chunk.data() + from * to_bytes, results[worker.index()]);
                      });
  });
  for (const WorkerResult& result : results) {
    if (result.bad_row) {
      return fail(ErrorCode::kCorrupt,
                  "{}: tensor '{}' has values in row {} that are infinite or not a number; the "
                  "file is damaged, get it anew",
                  file.path(), item.tensor->name, *result.bad_row);
    }
    squared_error += result.squared_error;
    squared_values += result.squared_values;
  }
  return writer.write_tensor_data(chunk);
}

void Quantizer::Impl::end_tensor() {
  QuantizedTensor& done = report.tensors[tensor_idx];
  if (squared_values > 0) done.relative_error = std::sqrt(squared_error / squared_values);
  squared_error = squared_values = 0;
  rows_done = 0;
  ++tensor_idx;
  current = tensor_idx < plans.size() ? std::string(plans[tensor_idx].tensor->name) : "";
}

Status Quantizer::Impl::write_rows() {
  const Plan& item = plans[tensor_idx];
  const GgufTensor& tensor = *item.tensor;
  const size_t from_bytes = *row_bytes(tensor.dtype, tensor.dims[0]);
  const uint64_t num_rows = std::min<uint64_t>(num_rows_of(tensor) - rows_done,
                                               std::max<size_t>(1, kStepBytes / from_bytes));
  const auto source = tensor.data.subspan(rows_done * from_bytes, num_rows * from_bytes);
  if (item.to == tensor.dtype) {
    RUVLLM_TRY(writer.write_tensor_data(source));
  } else {
    RUVLLM_TRY(encode_rows(item, rows_done, num_rows));
  }
  RUVLLM_TRY(file.check_intact());
  file.release_pages(source);
  const uint64_t written = num_rows * *row_bytes(item.to, tensor.dims[0]);
  report.tensors[tensor_idx].bytes += written;
  report.bytes += written;
  bytes_done += num_rows * from_bytes;
  rows_done += num_rows;
  if (rows_done == num_rows_of(tensor)) end_tensor();
  return {};
}

std::vector<std::string> quantize_types() { return api::file_type_names(); }

Result<Quantizer> Quantizer::create(const QuantizeOptions& options) {
  RUVLLM_ASSIGN(const api::FileType* type, api::find_file_type(options.type));
  RUVLLM_TRY(check_paths(options));
  RUVLLM_ASSIGN(api::OpenedModel opened,
                api::open_model(options.input_path, api::OpenScope::kWeights));
  if (opened.file.tensors().empty()) {
    return fail(ErrorCode::kInvalidArgument, "{}: the file has no tensors to quantize",
                options.input_path);
  }
  auto impl = std::make_unique<Impl>(std::move(opened.file), options);
  if (opened.vocab) impl->report.warnings = std::move(opened.vocab->lost_in_gguf);
  RUVLLM_ASSIGN(impl->device, device::CpuDevice::create(options.num_threads, ""));
  if (!options.importance_path.empty()) {
    RUVLLM_ASSIGN(impl->importance, api::ImportanceMatrix::read(options.importance_path));
  }
  RUVLLM_TRY(impl->copy_metadata(*type));
  RUVLLM_TRY(impl->plan(*type));
  if (impl->importance && impl->report.num_weighted == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "{}: knows none of the matrices of {}; use the importance matrix of this model",
                options.importance_path, options.input_path);
  }
  RUVLLM_TRY(impl->writer.begin_tensors());
  impl->current = impl->plans.front().tensor->name;
  return Quantizer(std::move(impl));
}

Quantizer::Quantizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Quantizer::Quantizer(Quantizer&&) noexcept = default;
Quantizer& Quantizer::operator=(Quantizer&&) noexcept = default;
Quantizer::~Quantizer() = default;

Result<bool> Quantizer::step() {
  Impl& impl = *impl_;
  if (impl.finished) return false;
  if (impl.error) return std::unexpected(*impl.error);
  const bool complete = impl.tensor_idx == impl.plans.size();
  if (Status status = complete ? impl.writer.finish() : impl.write_rows(); !status) {
    impl.error = status.error();
    return std::unexpected(*impl.error);
  }
  if (complete) {
    impl.finished = true;
    impl.report.bits_per_weight =
        8.0 * static_cast<double>(impl.report.bytes) / static_cast<double>(impl.num_weights);
  }
  return !complete;
}

uint64_t Quantizer::bytes_done() const { return impl_->bytes_done; }
uint64_t Quantizer::bytes_total() const { return impl_->bytes_total; }
const std::string& Quantizer::current_tensor() const { return impl_->current; }
const QuantizeReport& Quantizer::report() const { return impl_->report; }

}  // namespace ruvllm
