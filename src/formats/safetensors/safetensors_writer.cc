#include "formats/safetensors/safetensors_writer.h"

#include <cstdint>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/core/checked.h"
#include "formats/gguf/types.h"
#include "formats/io/output_file.h"

namespace ruvllm::formats {
namespace {

std::unexpected<Error> refuse(const std::string& path, const SafeTensor& tensor,
                              std::string_view reason) {
  return fail(ErrorCode::kInvalidArgument, "{}: tensor {} {}", path, formats::quoted(tensor.name), reason);
}

Status check_size(const std::string& path, const SafeTensor& tensor) {
  std::optional<uint64_t> bytes = safe_type_bytes(tensor.type);
  for (const uint64_t dim : tensor.shape) {
    if (bytes) bytes = checked_mul<uint64_t>(*bytes, dim);
  }
  if (bytes == tensor.data.size()) return {};
  return refuse(path, tensor,
                fmt::format("has {} bytes, which do not fit shape {} of type {}",
                            tensor.data.size(), shape_text(tensor.shape),
                            safe_type_name(tensor.type)));
}

}  // namespace

Status write_safetensors(const std::string& path, std::span<const SafeTensor> tensors,
                         std::span<const std::pair<std::string, std::string>> metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  uint64_t offset = 0;
  for (const SafeTensor& tensor : tensors) {
    RUVLLM_TRY(check_size(path, tensor));
    if (header.contains(tensor.name)) return refuse(path, tensor, "is given twice; give it once");
    const uint64_t end = offset + tensor.data.size();
    header[tensor.name] = {{"dtype", safe_type_name(tensor.type)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  OutputFile file(path);
  RUVLLM_TRY(file.open());
  RUVLLM_TRY(file.write(std::as_bytes(std::span(&length, 1))));
  RUVLLM_TRY(file.write(std::as_bytes(std::span(text))));
  for (const SafeTensor& tensor : tensors) RUVLLM_TRY(file.write(tensor.data));
  return file.commit();
}

}  // namespace ruvllm::formats
