#include <algorithm>
#include <map>

#include "api/models/checkpoint/open_model.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "model/arch/architecture.h"
#include "model/config.h"
#include "model/weights.h"
#include <ruvllm/inspect.h>

namespace ruvllm {
namespace {

using formats::GgufFile;

std::string string_or_empty(const GgufFile& file, std::string_view key) {
  const Result<std::string_view> value = file.get_string(key);
  return value ? std::string(*value) : std::string();
}

void add_tensors(const GgufFile& file, ModelSummary& summary) {
  std::map<DType, uint64_t> elements;
  uint64_t bytes = 0;
  for (const formats::GgufTensor& tensor : file.tensors()) {
    TensorSummary row;
    row.name = tensor.name;
    row.dtype = dtype_info(tensor.dtype).name;
    row.dims.assign(tensor.dims, tensor.dims + tensor.num_dims);
    row.bytes = tensor.data.size();
    uint64_t count = 1;
    for (const uint64_t dim : row.dims) count *= dim;
    elements[tensor.dtype] += count;
    summary.num_parameters += count;
    bytes += row.bytes;
    summary.tensors.push_back(std::move(row));
  }
  if (summary.num_parameters == 0) return;
  summary.bits_per_weight =
      8.0 * static_cast<double>(bytes) / static_cast<double>(summary.num_parameters);
  const auto most = std::ranges::max_element(
      elements, [](const auto& a, const auto& b) { return a.second < b.second; });
  summary.main_dtype = dtype_info(most->first).name;
}

// What Engine::create would find fault with in the weights, without running anything.
Status check_runnable(const GgufFile& file) {
  RUVLLM_ASSIGN(const model::Architecture* architecture, model::find_architecture(file));
  RUVLLM_ASSIGN(model::ModelConfig config, model::read_config(file, *architecture));
  RUVLLM_ASSIGN(const auto device, device::CpuDevice::create(1, "generic"));
  RUVLLM_TRY(model::bind_weights(file, *architecture, *device, config));
  return {};
}

}  // namespace

Result<ModelSummary> inspect_model(const std::string& path) {
  RUVLLM_ASSIGN(const api::OpenedModel opened, api::open_model(path, api::OpenScope::kLayout));
  const GgufFile& file = opened.file;
  ModelSummary summary;
  summary.path = path;
  summary.format = file.format();
  summary.architecture = string_or_empty(file, "general.architecture");
  summary.name = string_or_empty(file, "general.name");
  summary.file_bytes = file.mapped_bytes();
  const auto context = file.get_uint(summary.architecture + ".context_length");
  summary.context_length = context ? static_cast<uint32_t>(*context) : 0;
  summary.chat_template = string_or_empty(file, "tokenizer.chat_template");
  constexpr size_t kMaxItems = 8;
  for (const formats::GgufEntry& entry : file.entries()) {
    if (entry.key == "tokenizer.ggml.tokens") {
      summary.vocab_size = static_cast<uint32_t>(entry.count);
    }
    summary.metadata.emplace_back(entry.key, file.format_value(entry.key, kMaxItems));
  }
  add_tensors(file, summary);
  summary.vocabulary_only = summary.tensors.empty();
  if (!summary.vocabulary_only) {
    const Status runnable = check_runnable(file);
    summary.supported = runnable.has_value();
    if (!runnable) summary.unsupported_reason = runnable.error().message();
  }
  return summary;
}

}  // namespace ruvllm
