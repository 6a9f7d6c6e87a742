#include "formats/gguf/assembly/assemble.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/core/checked.h"
#include "formats/gguf/impl.h"
#include "formats/gguf/parser.h"
#include "formats/gguf/types.h"

namespace ruvllm::formats {
namespace {

Status check_tensor(const GgufAssembledTensor& tensor, const std::string& path) {
  if (tensor.name.empty() || tensor.name.size() > kGgufMaxTensorNameBytes) {
    return fail(ErrorCode::kCorrupt, "{}: tensor name {} has {} bytes; expected 1 to {}", path,
                formats::quoted(tensor.name), tensor.name.size(), kGgufMaxTensorNameBytes);
  }
  if (tensor.dims.empty() || tensor.dims.size() > kGgufMaxDims) {
    return fail(ErrorCode::kCorrupt, "{}: tensor {} has {} dimensions; expected 1 to {}", path,
                formats::quoted(tensor.name), tensor.dims.size(), kGgufMaxDims);
  }
  std::optional<size_t> bytes = row_bytes(tensor.dtype, tensor.dims[0]);
  for (const uint64_t dim : std::span(tensor.dims).subspan(1)) {
    if (bytes) bytes = checked_mul<size_t>(*bytes, dim);
  }
  if (!bytes || *bytes == 0 || *bytes != tensor.data.size()) {
    return fail(ErrorCode::kCorrupt, "{}: tensor {} of shape [{}] and type {} has {} bytes", path,
                formats::quoted(tensor.name), fmt::join(tensor.dims, ", "), dtype_info(tensor.dtype).name,
                tensor.data.size());
  }
  return {};
}

}  // namespace

Result<GgufFile> GgufFile::assemble(GgufAssembly assembly) {
  RUVLLM_TRY(assembly.metadata.check(assembly.path));
  auto impl = std::make_unique<Impl>();
  impl->path = std::move(assembly.path);
  impl->format = std::move(assembly.format);
  GgufEncoder header;
  header.put_header(0, assembly.metadata.num_entries());
  header.put_bytes(assembly.metadata.bytes());
  impl->header = std::move(header).take();
  impl->memory = impl->header;
  RUVLLM_ASSIGN(impl->tables, parse_gguf_tables(impl->memory, impl->path));

  impl->names.reserve(assembly.tensors.size());  // tensors point into the strings
  impl->tables.tensors.reserve(assembly.tensors.size());
  for (GgufAssembledTensor& source : assembly.tensors) {
    RUVLLM_TRY(check_tensor(source, impl->path));
    GgufTensor tensor{};
    tensor.name = impl->names.emplace_back(std::move(source.name));
    tensor.dtype = source.dtype;
    tensor.num_dims = static_cast<uint32_t>(source.dims.size());
    std::ranges::fill(tensor.dims, uint64_t{1});
    std::ranges::copy(source.dims, tensor.dims);
    tensor.data = source.data;
    impl->tables.tensors.push_back(tensor);
  }
  impl->parts = std::move(assembly.mappings);
  impl->buffers = std::move(assembly.buffers);
  RUVLLM_TRY(impl->index_names());
  GgufFile file(std::move(impl));
  RUVLLM_TRY(file.check_intact());
  return file;
}

}  // namespace ruvllm::formats
