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

#include "api/models/checkpoint/open_model.h"
#include "api/models/quantize/importance.h"
#include "base/core/error.h"
#include "cache/kv_cache.h"
#include "device/cpu_device.h"
#include "engine/loop/cache_plan.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/gguf_writer.h"
#include "model/activation_tap.h"
#include "model/model.h"
#include "model/workspace.h"
#include "text/tokenizer/tokenizer.h"
#include <ruvllm/quantize.h>

namespace ruvllm {
namespace {

constexpr int32_t kChunkRows = 512;  // of one forward pass

// What a product reads: the rows of a block, or those that a mixture sends to each expert.
enum class Input : uint8_t {
  kAttention,
  kAttentionOutput,
  kFeedForward,
  kDown,
  kExpert,
  kExpertDown
};

struct Sums {
  std::vector<double> columns;   // [experts][columns]
  std::vector<uint64_t> counts;  // rows of each expert; one of a dense matrix

  void begin(size_t num_experts, int32_t num_cols) {
    columns.resize(num_experts * static_cast<size_t>(num_cols));
    counts.resize(num_experts);
  }
  void add(size_t expert_idx, const float* row) {
    const size_t num_cols = columns.size() / counts.size();
    double* sums = columns.data() + expert_idx * num_cols;
    for (size_t col = 0; col < num_cols; ++col) {
      sums[col] += static_cast<double>(row[col] * row[col]);
    }
    ++counts[expert_idx];
  }
};

// Sums the squares of the columns of each product's input.
class SquareSums final : public model::ActivationTap {
 public:
  explicit SquareSums(const model::ModelConfig& config)
      : pre_norms_(config.pre_norms),
        num_experts_(config.experts ? static_cast<size_t>(config.experts->routing.num_experts)
                                    : 0) {}

  void record(std::string_view site, int32_t layer_idx, const float* rows, int32_t num_rows,
              int32_t num_cols) override {
    // Without norms before the blocks these read the residual stream as it is.
    if (site == (pre_norms_ ? "attn_norm" : "out")) {
      add(pre_norms_ ? layer_idx : layer_idx + 1, Input::kAttention, rows, num_rows, num_cols);
    } else if (site == "embd" && !pre_norms_) {
      add(0, Input::kAttention, rows, num_rows, num_cols);
    } else if (site == "attn_mixed") {
      add(layer_idx, Input::kAttentionOutput, rows, num_rows, num_cols);
    } else if (site == (pre_norms_ ? "ffn_norm" : "attn_residual")) {
      add(layer_idx, Input::kFeedForward, rows, num_rows, num_cols);
      block_input_ = rows;
      block_cols_ = num_cols;
    } else if (site == "ffn_gated") {
      add(layer_idx, Input::kDown, rows, num_rows, num_cols);
    }
  }

  void record_expert(int32_t layer_idx, const ops::ExpertShare& share, int32_t ffn_dim) override {
    const auto expert_idx = static_cast<size_t>(share.expert_idx);
    Sums& outer = sums_[{layer_idx, Input::kExpert}];
    Sums& inner = sums_[{layer_idx, Input::kExpertDown}];
    outer.begin(num_experts_, block_cols_);
    inner.begin(num_experts_, ffn_dim);
    const float* row_inside = share.inner;
    for (const int32_t row : share.rows) {
      outer.add(expert_idx, block_input_ + static_cast<int64_t>(row) * block_cols_);
      inner.add(expert_idx, row_inside);
      row_inside += ffn_dim;
    }
  }

  // Of the input that the matrix "blk.<layer>.<part>.weight" reads; nullptr if none was seen.
  const Sums* of_part(int32_t layer_idx, std::string_view part) const {
    constexpr std::pair<std::string_view, Input> kReaders[] = {
        {"attn_q", Input::kAttention},
        {"attn_k", Input::kAttention},
        {"attn_v", Input::kAttention},
        {"attn_qkv", Input::kAttention},
        {"attn_output", Input::kAttentionOutput},
        {"ffn_gate", Input::kFeedForward},
        {"ffn_up", Input::kFeedForward},
        {"ffn_down", Input::kDown},
        {"ffn_gate_inp", Input::kFeedForward},
        {"ffn_gate_exps", Input::kExpert},
        {"ffn_up_exps", Input::kExpert},
        {"ffn_down_exps", Input::kExpertDown}};
    const auto reader =
        std::ranges::find(kReaders, part, [](const auto& pair) { return pair.first; });
    if (reader == std::end(kReaders)) return nullptr;
    const auto found = sums_.find({layer_idx, reader->second});
    return found != sums_.end() ? &found->second : nullptr;
  }

 private:
  void add(int32_t layer_idx, Input input, const float* rows, int32_t num_rows, int32_t num_cols) {
    Sums& sums = sums_[{layer_idx, input}];
    sums.begin(1, num_cols);
    for (int32_t row = 0; row < num_rows; ++row) {
      sums.add(0, rows + static_cast<int64_t>(row) * num_cols);
    }
  }

  const bool pre_norms_;
  const size_t num_experts_;
  std::map<std::pair<int32_t, Input>, Sums> sums_;
  const float* block_input_ = nullptr;  // of the feed-forward block that runs, [rows, block_cols_]
  int32_t block_cols_ = 0;
};

}  // namespace

struct ImportanceCollector::Impl {
  explicit Impl(ImportanceOptions importance_options) : options(std::move(importance_options)) {}

  void begin_windows_with(TokenId bos_id);
  void run_chunk(uint64_t window_begin, uint64_t begin, int32_t num_rows);
  std::map<std::string, const Sums*> entries() const;

  ImportanceOptions options;
  std::vector<TokenId> tokens;
  std::unique_ptr<device::CpuDevice> device;
  std::unique_ptr<const model::Model> model;
  std::unique_ptr<model::Workspace> workspace;
  std::optional<cache::KvCache> pool;
  std::vector<uint32_t> block_table;  // of one window; its pages are filled anew for each
  std::optional<SquareSums> sums;     // once the model is loaded
  uint64_t tokens_done = 0;
  uint64_t num_windows = 0;
};

// As llama-imatrix's chunks: before the text, and in place of the first token of later windows.
void ImportanceCollector::Impl::begin_windows_with(TokenId bos_id) {
  if (tokens.front() != bos_id) tokens.insert(tokens.begin(), bos_id);
  for (size_t i = 0; i < tokens.size(); i += options.context_length) tokens[i] = bos_id;
  const bool last_has_no_text = tokens.size() % options.context_length == 1;
  if (last_has_no_text && tokens.size() > 1) tokens.pop_back();
}

void ImportanceCollector::Impl::run_chunk(uint64_t window_begin, uint64_t begin, int32_t num_rows) {
  const auto first_position = static_cast<int32_t>(begin - window_begin);
  std::vector<int32_t> positions(static_cast<size_t>(num_rows)), row_spans(positions.size(), 0);
  std::iota(positions.begin(), positions.end(), first_position);
  const ops::SpanView span{0, num_rows, first_position, block_table.data()};
  const ops::BatchView batch{num_rows, tokens.data() + begin, positions.data(), 1,
                             &span,    row_spans.data()};
  model->step(*device, *workspace, batch, pool->view(), {}, model::RowsAfter::kReadable, &*sums);
}

// By the names of the model's matrices.
std::map<std::string, const Sums*> ImportanceCollector::Impl::entries() const {
  std::map<std::string, const Sums*> found;
  for (int32_t layer = 0; layer < model->config().num_layers; ++layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    constexpr std::string_view kSuffix = ".weight";
    for (const formats::GgufTensor& tensor : model->file().tensors()) {
      if (!tensor.name.starts_with(prefix) || !tensor.name.ends_with(kSuffix)) continue;
      const std::string_view part =
          tensor.name.substr(prefix.size(), tensor.name.size() - prefix.size() - kSuffix.size());
      const Sums* of_input = sums->of_part(layer, part);
      if (of_input == nullptr || of_input->counts.size() != tensor.dims[2] ||
          of_input->columns.size() != tensor.dims[0] * tensor.dims[2]) {
        continue;
      }
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
  RUVLLM_ASSIGN(api::OpenedModel opened,
                api::open_model(options.model_path, api::OpenScope::kWeights));
  RUVLLM_ASSIGN(const auto tokenizer, api::load_tokenizer(opened));
  RUVLLM_ASSIGN(impl->model, model::Model::load(std::move(opened.file), *impl->device));
  const model::ModelConfig& config = impl->model->config();
  if (!config.causal) {
    return fail(ErrorCode::kUnsupported,
                "{} models read a text in both directions; importance is collected from causal "
                "models only",
                config.architecture);
  }
  impl->sums.emplace(config);
  const uint32_t limit = static_cast<uint32_t>(config.context_length);
  if (options.context_length < 2 || options.context_length > limit) {
    return fail(ErrorCode::kInvalidArgument, "windows of {} tokens; expected 2 to {}",
                options.context_length, limit);
  }
  if (impl->tokens.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "the text has no tokens; importance needs some thousands");
  }
  const text::VocabSpec& vocab = tokenizer->spec();
  if (vocab.add_bos) impl->begin_windows_with(vocab.bos_id.value());
  for (const TokenId token : impl->tokens) {
    if (token < 0 || token >= config.vocab_size) {
      return fail(ErrorCode::kInvalidArgument, "token {} is not in the vocabulary of {}", token,
                  config.vocab_size);
    }
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
  RUVLLM_ASSIGN(impl->pool, cache::KvCache::create(
                                {.shape = engine::page_shape(config), .num_pages = num_pages}));
  impl->block_table.resize(num_pages);
  for (uint32_t& page : impl->block_table) {
    if (!impl->pool->take(cache::Tier::kBinary16, page)) {
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
    const uint64_t num_experts = sums->counts.size();
    const uint64_t sum_dims[] = {sums->columns.size() / num_experts, num_experts};
    const uint64_t count_dims[] = {1, num_experts};
    writer.declare_tensor(name + std::string(api::kImportanceSumsSuffix), DType::kF32, sum_dims);
    writer.declare_tensor(name + std::string(api::kImportanceCountsSuffix), DType::kF32,
                          count_dims);
  }
  RUVLLM_TRY(writer.begin_tensors());
  for (const auto& [name, sums] : entries) {
    const std::vector<float> columns(sums->columns.begin(), sums->columns.end());
    const std::vector<float> counts(sums->counts.begin(), sums->counts.end());
    RUVLLM_TRY(writer.write_tensor_data(std::as_bytes(std::span(columns))));
    RUVLLM_TRY(writer.write_tensor_data(std::as_bytes(std::span(counts))));
  }
  return writer.finish();
}

uint64_t ImportanceCollector::tokens_done() const { return impl_->tokens_done; }
uint64_t ImportanceCollector::tokens_total() const { return impl_->tokens.size(); }
uint32_t ImportanceCollector::num_matrices() const {
  return static_cast<uint32_t>(impl_->entries().size());
}

}  // namespace ruvllm
