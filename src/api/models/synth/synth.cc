#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/models/checkpoint/open_model.h"
#include "api/models/quantize/mixture.h"
#include "api/models/synth/random_weights.h"
#include "api/models/synth/shapes.h"
#include "api/models/synth/tensor_plan.h"
#include "api/models/synth/vocab_copy.h"
#include "base/core/error.h"
#include "formats/gguf/gguf_writer.h"
#include <ruvllm/settings.h>
#include <ruvllm/synth.h>

namespace ruvllm {
namespace {
constexpr size_t kStepBytes = size_t{16} << 20;  // at most, and of one tensor
}  // namespace

struct Synthesizer::Impl {
  Impl(const SynthOptions& options, const api::SynthShape& of_shape)
      : shape(of_shape), writer(options.output_path), weights(options.seed) {}

  Status write_chunk();

  const api::SynthShape& shape;
  formats::GgufWriter writer;
  api::RandomWeights weights;
  std::vector<api::PlannedTensor> tensors;
  size_t tensor_idx = 0;        // being written
  uint64_t tensor_written = 0;  // bytes of it
  uint64_t bytes_done = 0;      // of tensor data, as bytes_total
  uint64_t bytes_total = 0;
  std::vector<std::byte> chunk;
  std::optional<Error> error;  // of a step; every later one returns it
  bool finished = false;
};

Status Synthesizer::Impl::write_chunk() {
  const api::PlannedTensor& tensor = tensors[tensor_idx];
  const size_t run_bytes = api::RandomWeights::run_bytes(tensor.dtype);
  chunk.resize(
      std::min<uint64_t>(kStepBytes / run_bytes * run_bytes, tensor.num_bytes - tensor_written));
  std::span<const std::byte> bytes = chunk;
  std::vector<float> values;
  switch (tensor.fill) {
    case api::TensorFill::kRandom:
      weights.fill(tensor.dtype, chunk);
      break;
    case api::TensorFill::kOnes:
      values.assign(tensor.dims.front(), 1.0f);
      bytes = std::as_bytes(std::span(values));
      break;
    case api::TensorFill::kRopeFactors:
      values = api::llama3_rope_factors(shape);
      bytes = std::as_bytes(std::span(values));
      break;
  }
  RUVLLM_TRY(writer.write_tensor_data(bytes));
  bytes_done += bytes.size();
  tensor_written += bytes.size();
  if (tensor_written == tensor.num_bytes) {
    ++tensor_idx;
    tensor_written = 0;
  }
  return {};
}

std::vector<std::string> synth_shapes() {
  std::vector<std::string> names;
  for (const api::SynthShape& shape : api::all_synth_shapes()) names.emplace_back(shape.name);
  return names;
}

std::vector<std::string> synth_types() { return api::file_type_names(); }

Result<Synthesizer> Synthesizer::create(const SynthOptions& options) {
  RUVLLM_ASSIGN(const api::SynthShape* shape, api::find_synth_shape(options.shape));
  RUVLLM_ASSIGN(const api::FileType* type, api::find_file_type(options.type));
  if (options.output_path.empty()) {
    return fail(ErrorCode::kInvalidArgument, "no file to write to; name one that ends in .gguf");
  }
  std::string tokenizer_path = options.tokenizer_path;
  if (tokenizer_path.empty()) {
    RUVLLM_ASSIGN(tokenizer_path, bundled_model_path());
  }
  RUVLLM_ASSIGN(const api::OpenedModel opened,
                api::open_model(tokenizer_path, api::OpenScope::kTokenizer));

  auto impl = std::make_unique<Impl>(options, *shape);
  api::add_shape_metadata(impl->writer, *shape, static_cast<uint32_t>(type->number));
  RUVLLM_TRY(api::copy_tokenizer(opened.file, shape->vocab_size, impl->writer));
  impl->tensors = api::plan_tensors(*shape, *type);
  for (const api::PlannedTensor& tensor : impl->tensors) {
    impl->writer.declare_tensor(tensor.name, tensor.dtype, tensor.dims);
    impl->bytes_total += tensor.num_bytes;
  }
  RUVLLM_TRY(impl->writer.begin_tensors());
  return Synthesizer(std::move(impl));
}

Synthesizer::Synthesizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Synthesizer::Synthesizer(Synthesizer&&) noexcept = default;
Synthesizer& Synthesizer::operator=(Synthesizer&&) noexcept = default;
Synthesizer::~Synthesizer() = default;

Result<bool> Synthesizer::step() {
  Impl& impl = *impl_;
  if (impl.finished) return false;
  if (impl.error) return std::unexpected(*impl.error);
  const bool complete = impl.tensor_idx == impl.tensors.size();
  if (Status status = complete ? impl.writer.finish() : impl.write_chunk(); !status) {
    impl.error = status.error();
    return std::unexpected(*impl.error);
  }
  impl.finished = complete;
  return !complete;
}

uint64_t Synthesizer::bytes_done() const { return impl_->bytes_done; }
uint64_t Synthesizer::bytes_total() const { return impl_->bytes_total; }

}  // namespace ruvllm
