#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/models/quantize/importance.h"
#include "base/core/error.h"
#include "cache/page_pool.h"
#include "device/cpu_device.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/gguf_writer.h"
#include "model/activation_tap.h"
#include "model/model.h"
#include "model/workspace.h"
#include <ruvllm/quantize.h>

namespace ruvllm {
namespace {

constexpr int32_t kChunkRows = 512;  // of one forward pass

// Sums the squares of the columns of each product's input.
class SquareSums final : public model::ActivationTap {
 public:
  struct Sums {
    std::vector<double> columns;
    uint64_t num_rows = 0;
  };

  void record(std::string_view site, int32_t layer_idx, const float* rows, int32_t num_rows,
              int32_t num_cols) override {
    constexpr std::string_view kInputs[] = {"attn_norm", "attn_mixed", "ffn_norm", "ffn_gated"};
    const auto found = std::ranges::find(kInputs, site);
    if (found == std::end(kInputs)) return;
    Sums& sums = sums_[{layer_idx, *found}];
    sums.columns.resize(static_cast<size_t>(num_cols));
    sums.num_rows += static_cast<uint64_t>(num_rows);
    for (int32_t row = 0; row < num_rows; ++row) {
      const float* values = rows + static_cast<int64_t>(row) * num_cols;
      for (size_t col = 0; col < sums.columns.size(); ++col) {
        sums.columns[col] += static_cast<double>(values[col] * values[col]);
      }
    }
  }

  // Of the input that the matrix "blk.<layer>.<part>.weight" reads; nullptr if none was seen.
  const Sums* of_part(int32_t layer_idx, std::string_view part) const {
    constexpr std::pair<std::string_view, std::string_view> kReaders[] = {
        {"attn_q", "attn_norm"},   {"attn_k", "attn_norm"},       {"attn_v", "attn_norm"},
        {"attn_qkv", "attn_norm"}, {"attn_output", "attn_mixed"}, {"ffn_gate", "ffn_norm"},
        {"ffn_up", "ffn_norm"},    {"ffn_down", "ffn_gated"}};
    const auto reader =
        std::ranges::find(kReaders, part, [](const auto& pair) { return pair.first; });
    if (reader == std::end(kReaders)) return nullptr;
    const auto found = sums_.find({layer_idx, reader->second});
    return found != sums_.end() ? &found->second : nullptr;
  }

 private:
  std::map<std::pair<int32_t, std::string_view>, Sums> sums_;
};

}  // namespace

struct ImportanceCollector::Impl {
  explicit Impl(ImportanceOptions importance_options) : options(std::move(importance_options)) {}

  void run_chunk(uint64_t window_begin, uint64_t begin, int32_t num_rows);
  std::map<std::string, const SquareSums::Sums*> entries() const;

  ImportanceOptions options;
  std::vector<TokenId> tokens;
  std::unique_ptr<device::CpuDevice> device;
  std::unique_ptr<const model::Model> model;
  std::unique_ptr<model::Workspace> workspace;
  std::optional<cache::PagePool> pool;
  std::vector<uint32_t> block_table;  // of one window; its pages are filled anew for each
  SquareSums sums;
  uint64_t tokens_done = 0;
  uint64_t num_windows = 0;
};

void ImportanceCollector::Impl::run_chunk(uint64_t window_begin, uint64_t begin, int32_t num_rows) {
  const auto first_position = static_cast<int32_t>(begin - window_begin);
  std::vector<int32_t> positions(static_cast<size_t>(num_rows)), row_spans(positions.size(), 0);
  std::iota(positions.begin(), positions.end(), first_position);
  const ops::SpanView span{0, num_rows, first_position, block_table.data()};
  const ops::BatchView batch{num_rows, tokens.data() + begin, positions.data(), 1,
                             &span,    row_spans.data()};
  model->step(*device, *workspace, batch, pool->view(), {}, &sums);
}

// By the names of the model's matrices.
std::map<std::string, const SquareSums::Sums*> ImportanceCollector::Impl::entries() const {
  std::map<std::string, const SquareSums::Sums*> found;
  for (int32_t layer = 0; layer < model->config().num_layers; ++layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    constexpr std::string_view kSuffix = ".weight";
    for (const formats::GgufTensor& tensor : model->file().tensors()) {
      if (!tensor.name.starts_with(prefix) || !tensor.name.ends_with(kSuffix)) continue;
      const std::string_view part =
          tensor.name.substr(prefix.size(), tensor.name.size() - prefix.size() - kSuffix.size());
      const SquareSums::Sums* of_input = sums.of_part(layer, part);
      if (of_input == nullptr || of_input->columns.size() != tensor.dims[0]) continue;
      found.emplace(tensor.name, of_input);
    }
  }
  return found;
}

Result<ImportanceCollector> ImportanceCollector::create(const ImportanceOptions& options,
                                                        std::vector<TokenId> tokens) {
  if (options.output_path.empty()) {
    return fail(ErrorCode::kInvalidArgument, "no file to write to; name one that ends in .gguf");
  }
  auto impl = std::make_unique<Impl>(options);
  impl->tokens = std::move(tokens);
  RUVLLM_ASSIGN(impl->device, device::CpuDevice::create(options.num_threads, options.cpu_isa));
  RUVLLM_ASSIGN(formats::GgufFile file, formats::GgufFile::open(options.model_path));
  RUVLLM_ASSIGN(impl->model, model::Model::load(std::move(file), *impl->device));
  const model::ModelConfig& config = impl->model->config();
  if (!config.causal) {
    return fail(ErrorCode::kUnsupported,
                "{} models read a text in both directions; importance is collected from causal "
                "models only",
                config.architecture);
  }
  const uint32_t limit = static_cast<uint32_t>(config.context_length);
  if (options.context_length < 2 || options.context_length > limit) {
    return fail(ErrorCode::kInvalidArgument, "windows of {} tokens; expected 2 to {}",
                options.context_length, limit);
  }
  for (const TokenId token : impl->tokens) {
    if (token < 0 || token >= config.vocab_size) {
      return fail(ErrorCode::kInvalidArgument, "token {} is not in the vocabulary of {}", token,
                  config.vocab_size);
    }
  }
  if (impl->tokens.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "the text has no tokens; importance needs some thousands");
  }
  const int32_t rows = std::min<int32_t>(kChunkRows, static_cast<int32_t>(options.context_length));
  const model::WorkspaceLimits limits{
      .max_rows = rows,
      .max_logit_rows = 1,
      .num_threads = impl->device->team().num_threads(),
      .context_length = static_cast<int32_t>(options.context_length)};
  RUVLLM_ASSIGN(impl->workspace,
                model::Workspace::create(*impl->device, config, impl->model->weights(), limits));
  const uint32_t num_pages = cache::pages_for_tokens(options.context_length);
  RUVLLM_ASSIGN(impl->pool,
                cache::PagePool::create({config.num_layers, config.num_kv_heads, config.head_dim},
                                        num_pages));
  impl->block_table.resize(num_pages);
  for (uint32_t& page : impl->block_table) {
    if (!impl->pool->take(page)) {
      return fail(ErrorCode::kInternal, "the cache has fewer pages than a window");
    }
  }
  return ImportanceCollector(std::move(impl));
}

ImportanceCollector::ImportanceCollector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ImportanceCollector::ImportanceCollector(ImportanceCollector&&) noexcept = default;
ImportanceCollector& ImportanceCollector::operator=(ImportanceCollector&&) noexcept = default;
ImportanceCollector::~ImportanceCollector() = default;

Result<bool> ImportanceCollector::step() {
  Impl& impl = *impl_;
  const uint64_t begin = impl.tokens_done;
  const uint64_t end = std::min<uint64_t>(begin + impl.options.context_length, impl.tokens.size());
  for (uint64_t at = begin; at < end; at += kChunkRows) {
    impl.run_chunk(begin, at, static_cast<int32_t>(std::min<uint64_t>(kChunkRows, end - at)));
  }
  RUVLLM_TRY(impl.model->file().check_intact());
  if (end > begin) ++impl.num_windows;
  impl.tokens_done = end;
  return end < impl.tokens.size();
}

Status ImportanceCollector::finish() {
  const Impl& impl = *impl_;
  const auto entries = impl.entries();
  if (entries.empty()) {
    return fail(ErrorCode::kUnsupported,
                "{}: none of the model's matrices is among those that importance is collected for",
                impl.options.model_path);
  }
  formats::GgufWriter writer(impl.options.output_path);
  writer.add_string("general.type", "imatrix");
  const std::vector<std::string> datasets = {impl.options.text_name};
  writer.add_string_array(api::kImportanceDatasetsKey, datasets);
  writer.add_uint32(api::kImportanceChunkCountKey, static_cast<uint32_t>(impl.num_windows));
  writer.add_uint32(api::kImportanceChunkSizeKey, impl.options.context_length);
  for (const auto& [name, sums] : entries) {
    const uint64_t sum_dims[] = {sums->columns.size(), 1}, count_dims[] = {1, 1};
    writer.declare_tensor(name + std::string(api::kImportanceSumsSuffix), DType::kF32, sum_dims);
    writer.declare_tensor(name + std::string(api::kImportanceCountsSuffix), DType::kF32,
                          count_dims);
  }
  RUVLLM_TRY(writer.begin_tensors());
  for (const auto& [name, sums] : entries) {
    const std::vector<float> columns(sums->columns.begin(), sums->columns.end());
    const float count = static_cast<float>(sums->num_rows);
    RUVLLM_TRY(writer.write_tensor_data(std::as_bytes(std::span(columns))));
    RUVLLM_TRY(writer.write_tensor_data(std::as_bytes(std::span(&count, 1))));
  }
  return writer.finish();
}

uint64_t ImportanceCollector::tokens_done() const { return impl_->tokens_done; }
uint64_t ImportanceCollector::tokens_total() const { return impl_->tokens.size(); }
uint32_t ImportanceCollector::num_matrices() const {
  return static_cast<uint32_t>(impl_->entries().size());
}

}  // namespace ruvllm
