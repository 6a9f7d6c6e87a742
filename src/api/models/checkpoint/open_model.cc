#include "api/models/checkpoint/open_model.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/models/checkpoint/folder_vocab.h"
#include "api/text/vocab_loader.h"
#include "api/text/vocab_writer.h"
#include "base/core/checked.h"
#include "base/system/memory_info.h"
#include "formats/gguf/assembly/assemble.h"

namespace ruvllm::api {
namespace {

constexpr size_t kAlignment = 64;  // of changed tensors in their buffer
// Norms, biases and rotary factors are read and checked also where nothing is run.
constexpr size_t kAlwaysFilledBytes = size_t{1} << 20;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

size_t stored_bytes(const model::TensorPlan& plan) {
  return plan.num_rows() * row_bytes(plan.natural_type(), plan.row_width).value_or(0);
}

// Memory for the tensors whose bytes must change: all in one buffer.
Result<Buffer> changed_tensors_buffer(const std::vector<model::TensorPlan>& plans, OpenScope scope,
                                      const std::string& folder) {
  uint64_t total = 0;
  for (const model::TensorPlan& plan : plans) {
    if (!plan.in_place(plan.natural_type())) total += aligned(stored_bytes(plan));
  }
  const uint64_t budget = memory_info().budget;
  if (scope == OpenScope::kWeights && total > budget) {
    return fail(ErrorCode::kOutOfMemory,
                "{}: opening the checkpoint needs {} bytes for tensors that are stored in another "
                "order, more than the {} bytes of free memory; convert it first (ruvllm convert)",
                folder, total, budget);
  }
  return Buffer::allocate(total, HugePages::kPrefer, "reordered tensors of the checkpoint");
}

Result<formats::GgufFile> assemble(model::Import import, const std::string& folder,
                                   OpenScope scope) {
  formats::GgufAssembly assembly;
  assembly.path = folder;
  assembly.format = "safetensors";
  RUVLLM_ASSIGN(Buffer buffer, changed_tensors_buffer(import.tensors, scope, folder));
  size_t used = 0;
  std::map<DType, uint64_t> elements;
  for (const model::TensorPlan& plan : import.tensors) {
    const DType dtype = plan.natural_type();
    elements[dtype] += plan.num_elements();
    std::optional<std::span<const std::byte>> data = plan.in_place(dtype);
    if (!data) {
      const size_t bytes = stored_bytes(plan);
      if (scope == OpenScope::kWeights || bytes <= kAlwaysFilledBytes) {
        plan.read_rows(dtype, 0, plan.num_rows(), buffer.data() + used);
      }
      data = std::span<const std::byte>(buffer.data() + used, bytes);
      used += aligned(bytes);
    }
    assembly.tensors.push_back({plan.name, dtype, plan.dims, *data});
  }
  if (!elements.empty()) {
    const auto most = std::ranges::max_element(
        elements, [](const auto& a, const auto& b) { return a.second < b.second; });
    import.metadata.add_uint32("general.file_type", gguf_file_type(most->first));
  }
  assembly.metadata = std::move(import.metadata);
  assembly.mappings = std::move(import.weights).take_mappings();
  if (buffer.size() > 0) assembly.buffers.push_back(std::move(buffer));
  return formats::GgufFile::assemble(std::move(assembly));
}

}  // namespace

uint32_t gguf_file_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kQ8_0:
      return 7;
    case DType::kBF16:
      return 32;
    default:
      return 38;  // MXFP4 experts
  }
}

std::string checkpoint_folder(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return path;
  if (!path.ends_with(".safetensors") && !path.ends_with(".safetensors.index.json")) return "";
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Result<Checkpoint> read_checkpoint(const std::string& folder, model::ImportScope scope) {
  Checkpoint checkpoint;
  RUVLLM_ASSIGN(checkpoint.import, model::plan_import(folder, scope));
  RUVLLM_ASSIGN(checkpoint.vocab, read_folder_vocab(folder, checkpoint.import.config));
  uint32_t vocab_size = 0;
  if (checkpoint.import.config.has("vocab_size")) {
    RUVLLM_ASSIGN(vocab_size, checkpoint.import.config.integer("vocab_size"));
  }
  RUVLLM_TRY(write_vocab(checkpoint.vocab, vocab_size, folder, checkpoint.import.metadata));
  return checkpoint;
}

Result<OpenedModel> open_model(const std::string& path, OpenScope scope) {
  const std::string folder = checkpoint_folder(path);
  if (folder.empty()) {
    RUVLLM_ASSIGN(formats::GgufFile file, formats::GgufFile::open(path));
    return OpenedModel{std::move(file), std::nullopt};
  }
  RUVLLM_ASSIGN(Checkpoint checkpoint, read_checkpoint(folder, scope == OpenScope::kTokenizer
                                                                   ? model::ImportScope::kMetadata
                                                                   : model::ImportScope::kWeights));
  RUVLLM_ASSIGN(formats::GgufFile file, assemble(std::move(checkpoint.import), folder, scope));
  return OpenedModel{std::move(file), std::move(checkpoint.vocab)};
}

Result<std::shared_ptr<const text::Tokenizer>> load_tokenizer(const OpenedModel& model) {
  if (!model.vocab) return load_tokenizer(model.file);
  Result<std::shared_ptr<const text::Tokenizer>> tokenizer = text::Tokenizer::build(*model.vocab);
  if (tokenizer) return tokenizer;
  return std::unexpected(std::move(tokenizer).error().with_context(
      model::file_in(model.file.path(), "tokenizer.json")));
}

}  // namespace ruvllm::api
