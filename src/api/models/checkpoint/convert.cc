#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/models/checkpoint/open_model.h"
#include "formats/gguf/gguf_writer.h"
#include <ruvllm/convert.h>

namespace ruvllm {
namespace {

constexpr size_t kStepBytes = size_t{16} << 20;  // at most, and of one tensor
constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0};

struct PlannedTensor {
  model::TensorPlan plan;
  DType dtype = DType::kF32;
  size_t row_bytes = 0;
};

// nullopt: each tensor's own.
Result<std::optional<DType>> target_type(const std::string& name) {
  if (name == "auto") return std::optional<DType>();
  const std::optional<DType> dtype = dtype_from_name(name);
  if (dtype && std::ranges::find(kTypes, *dtype) != std::end(kTypes)) return dtype;
  return fail(ErrorCode::kInvalidArgument, "type '{}' is not one to convert to; use one of: {}",
              name, fmt::join(convert_types(), ", "));
}

DType stored_type(const model::TensorPlan& plan, std::optional<DType> target) {
  const bool fixed = plan.change == model::ValueChange::kMxfp4 || plan.always_f32();
  if (fixed || !target) return plan.natural_type();
  // As llama.cpp's converter falls back.
  return row_bytes(*target, plan.row_width) ? *target : DType::kF16;
}

uint32_t file_type_of(const std::vector<PlannedTensor>& tensors, std::optional<DType> target) {
  std::map<DType, uint64_t> elements;
  for (const PlannedTensor& tensor : tensors) {
    // An MXFP4 tensor names the file, unless the rest is quantized too.
    if (tensor.dtype == DType::kMXFP4 && target != DType::kQ8_0) {
      return api::gguf_file_type(tensor.dtype);
    }
    elements[tensor.dtype] += tensor.plan.num_elements();
  }
  if (target) return api::gguf_file_type(*target);
  const auto most = std::ranges::max_element(
      elements, [](const auto& a, const auto& b) { return a.second < b.second; });
  return api::gguf_file_type(most->first);
}

}  // namespace

struct Converter::Impl {
  explicit Impl(const std::string& output_path) : writer(output_path) {}

  Status write_chunk();
  Status finish();

  model::Import import;  // keeps the bytes
  std::vector<PlannedTensor> tensors;
  std::vector<std::string> warnings;
  formats::GgufWriter writer;
  size_t tensor_idx = 0;  // being written
  uint64_t row = 0;       // of it, next
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  std::vector<std::byte> chunk;
  std::optional<Error> error;  // of a step; every later one returns it
  bool finished = false;
};

Status Converter::Impl::write_chunk() {
  const PlannedTensor& tensor = tensors[tensor_idx];
  const uint64_t left = tensor.plan.num_rows() - row;
  const uint64_t fitting = std::max<uint64_t>(kStepBytes / tensor.row_bytes, 1);
  const uint64_t count = std::min(left, fitting);
  chunk.resize(count * tensor.row_bytes);
  tensor.plan.read_rows(tensor.dtype, row, count, chunk.data());
  for (const std::span<const std::byte> source : tensor.plan.source_bytes(row, count)) {
    import.weights.release_pages(source);
  }
  RUVLLM_TRY(writer.write_tensor_data(chunk));
  bytes_done += chunk.size();
  row += count;
  if (row == tensor.plan.num_rows()) {
    ++tensor_idx;
    row = 0;
  }
  return {};
}

// A shard that was cut while it was read gave zeros: no such file gets its name.
Status Converter::Impl::finish() {
  RUVLLM_TRY(import.weights.check_intact());
  return writer.finish();
}

std::vector<std::string> convert_types() {
  std::vector<std::string> names = {"auto"};
  for (const DType dtype : kTypes) names.emplace_back(dtype_info(dtype).name);
  return names;
}

Result<Converter> Converter::create(const ConvertOptions& options) {
  RUVLLM_ASSIGN(const std::optional<DType> target, target_type(options.type));
  if (options.output_path.empty()) {
    return fail(ErrorCode::kInvalidArgument, "no file to write to; name one that ends in .gguf");
  }
  const std::string folder = api::checkpoint_folder(options.input_path);
  std::error_code error;
  if (folder.empty()) {
    const bool exists = std::filesystem::exists(options.input_path, error);
    return fail(exists ? ErrorCode::kInvalidArgument : ErrorCode::kNotFound,
                "{}: {}; name the folder of a Hugging Face model, with config.json and "
                "*.safetensors",
                options.input_path, exists ? "not a folder" : "there is no such folder");
  }
  auto impl = std::make_unique<Impl>(options.output_path);
  RUVLLM_ASSIGN(api::Checkpoint checkpoint,
                api::read_checkpoint(folder, model::ImportScope::kWeights));
  impl->import = std::move(checkpoint.import);
  impl->warnings = std::move(checkpoint.vocab.lost_in_gguf);
  for (model::TensorPlan& plan : impl->import.tensors) {
    PlannedTensor tensor{.plan = std::move(plan)};
    tensor.dtype = stored_type(tensor.plan, target);
    tensor.row_bytes = row_bytes(tensor.dtype, tensor.plan.row_width).value_or(0);
    impl->bytes_total += tensor.row_bytes * tensor.plan.num_rows();
    impl->writer.declare_tensor(tensor.plan.name, tensor.dtype, tensor.plan.dims);
    impl->tensors.push_back(std::move(tensor));
  }
  impl->import.metadata.add_uint32("general.file_type", file_type_of(impl->tensors, target));
  impl->writer.metadata() = std::move(impl->import.metadata);
  RUVLLM_TRY(impl->writer.begin_tensors());
  return Converter(std::move(impl));
}

Converter::Converter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Converter::Converter(Converter&&) noexcept = default;
Converter& Converter::operator=(Converter&&) noexcept = default;
Converter::~Converter() = default;

Result<bool> Converter::step() {
  Impl& impl = *impl_;
  if (impl.finished) return false;
  if (impl.error) return std::unexpected(*impl.error);
  const bool complete = impl.tensor_idx == impl.tensors.size();
  if (Status status = complete ? impl.finish() : impl.write_chunk(); !status) {
    impl.error = status.error();
    return std::unexpected(*impl.error);
  }
  impl.finished = complete;
  return !complete;
}

uint64_t Converter::bytes_done() const { return impl_->bytes_done; }
uint64_t Converter::bytes_total() const { return impl_->bytes_total; }
uint64_t Converter::num_tensors() const { return impl_->tensors.size(); }
const std::string& Converter::architecture() const { return impl_->import.architecture; }
const std::vector<std::string>& Converter::warnings() const { return impl_->warnings; }

}  // namespace ruvllm
