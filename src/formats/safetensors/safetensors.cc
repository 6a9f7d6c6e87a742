#include "formats/safetensors/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/core/checked.h"
#include "formats/gguf/types.h"
#include "formats/safetensors/header.h"

namespace ruvllm::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read as they are stored");

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the reference implementation has it

constexpr std::string_view kDamaged = "the file is damaged or incomplete, download it again";

// What people download by mistake in place of a model.
std::string_view remedy(std::string_view start) {
  if (start.starts_with("version ")) return "it is a Git LFS pointer, fetch the file itself";
  if (start.starts_with("<")) return "it looks like a web page, download the file itself";
  return kDamaged;
}

Result<std::string_view> header_text(std::span<const std::byte> bytes, const std::string& file) {
  uint64_t length = 0;
  if (bytes.size() < kLengthBytes) {
    return fail(ErrorCode::kCorrupt, "{}: {} bytes are too few for a safetensors file; {}", file,
                bytes.size(), kDamaged);
  }
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (length > kMaxHeaderBytes) {
    return fail(ErrorCode::kCorrupt,
                "{}: a header length (byte 0) of {} is more than the limit of {}; {}", file, length,
                kMaxHeaderBytes, remedy(all));
  }
  if (length > bytes.size() - kLengthBytes) {
    return fail(ErrorCode::kCorrupt,
                "{}: a header length (byte 0) of {}, but only {} bytes follow; {}", file, length,
                bytes.size() - kLengthBytes, remedy(all));
  }
  return all.substr(kLengthBytes, length);
}

// The bytes that shape and type ask for.
std::optional<uint64_t> expected_bytes(const SafeTensorEntry& entry) {
  std::optional<uint64_t> bytes = safe_type_bytes(entry.type);
  for (const uint64_t dim : entry.shape) {
    if (bytes) bytes = checked_mul<uint64_t>(*bytes, dim);
  }
  return bytes;
}

Result<SafeTensor> place_tensor(SafeTensorEntry entry, std::span<const std::byte> data,
                                const std::string& file) {
  if (entry.begin > entry.end || entry.end > data.size()) {
    return fail(
        ErrorCode::kCorrupt,
        "{}: tensor {}: field 'data_offsets' is [{}, {}], but the file has {} bytes of data; "
        "{}",
        file, formats::quoted(entry.name), entry.begin, entry.end, data.size(), kDamaged);
  }
  if (expected_bytes(entry) != entry.end - entry.begin) {
    return fail(ErrorCode::kCorrupt,
                "{}: tensor {}: field 'data_offsets' gives {} bytes, which is not what shape {} of "
                "type {} takes; {}",
                file, formats::quoted(entry.name), entry.end - entry.begin, shape_text(entry.shape),
                safe_type_name(entry.type), kDamaged);
  }
  return SafeTensor{std::move(entry.name), entry.type, std::move(entry.shape),
                    data.subspan(entry.begin, entry.end - entry.begin)};
}

Status check_overlaps(std::span<const SafeTensor> tensors, const std::string& file) {
  std::vector<const SafeTensor*> by_address;
  by_address.reserve(tensors.size());
  for (const SafeTensor& tensor : tensors) {
    if (!tensor.data.empty()) by_address.push_back(&tensor);
  }
  std::ranges::sort(by_address, {}, [](const SafeTensor* tensor) { return tensor->data.data(); });
  for (size_t i = 1; i < by_address.size(); ++i) {
    const SafeTensor& before = *by_address[i - 1];
    if (before.data.data() + before.data.size() <= by_address[i]->data.data()) continue;
    return fail(ErrorCode::kCorrupt,
                "{}: tensor {}: field 'data_offsets' overlaps that of tensor {}; {}", file,
                formats::quoted(by_address[i]->name), formats::quoted(before.name), kDamaged);
  }
  return {};
}

const SafeTensor* find_by_name(std::span<const SafeTensor> sorted, std::string_view name) {
  const auto found = std::ranges::lower_bound(
      sorted, name, {}, [](const SafeTensor& tensor) { return std::string_view(tensor.name); });
  return found != sorted.end() && found->name == name ? &*found : nullptr;
}

}  // namespace

std::string shape_text(std::span<const uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes, std::string name) {
  SafetensorsFile file;
  file.path_ = std::move(name);
  RUVLLM_ASSIGN(const std::string_view text, header_text(bytes, file.path_));
  RUVLLM_ASSIGN(std::vector<SafeTensorEntry> entries, parse_safetensors_header(text, file.path_));
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + text.size());
  std::ranges::sort(entries, {}, &SafeTensorEntry::name);
  const auto twin = std::ranges::adjacent_find(entries, {}, &SafeTensorEntry::name);
  if (twin != entries.end()) {
    return fail(ErrorCode::kCorrupt, "{}: tensor {} occurs twice; {}", file.path_,
                formats::quoted(twin->name), kDamaged);
  }
  file.tensors_.reserve(entries.size());
  for (SafeTensorEntry& entry : entries) {
    RUVLLM_ASSIGN(SafeTensor tensor, place_tensor(std::move(entry), data, file.path_));
    file.tensors_.push_back(std::move(tensor));
  }
  RUVLLM_TRY(check_overlaps(file.tensors_, file.path_));
  return file;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  RUVLLM_ASSIGN(MappedFile mapping, MappedFile::open(path));
  Result<SafetensorsFile> file = parse(mapping.bytes(), path);
  if (mapping.damaged()) {
    return fail(ErrorCode::kUnavailable,
                "{}: the file changed or was truncated while it was read; load it again", path);
  }
  if (file) file->mapping_.push_back(std::move(mapping));
  return file;
}

const SafeTensor* SafetensorsFile::find(std::string_view name) const {
  return find_by_name(tensors_, name);
}

const SafeTensor* SafetensorsSet::find(std::string_view name) const {
  return find_by_name(tensors_, name);
}

Status SafetensorsSet::check_intact() const {
  const auto damaged = std::ranges::find_if(mappings_, &MappedFile::damaged);
  if (damaged == mappings_.end()) return {};
  return fail(ErrorCode::kUnavailable,
              "{}: the file changed or was truncated while in use; load it again", damaged->path());
}

void SafetensorsSet::release_pages(std::span<const std::byte> bytes) const {
  for (const MappedFile& mapping : mappings_) mapping.release_pages(bytes);
}

const std::string& SafetensorsSet::path_of(const SafeTensor& tensor) const {
  for (const MappedFile& mapping : mappings_) {
    const std::byte* begin = mapping.bytes().data();
    if (tensor.data.data() >= begin && tensor.data.data() <= begin + mapping.bytes().size()) {
      return mapping.path();
    }
  }
  return folder_;
}

}  // namespace ruvllm::formats
