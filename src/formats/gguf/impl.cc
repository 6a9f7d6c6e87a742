// GgufFile: opening one file or a split set, and look-ups; the typed getters are in values.cc.
#include "formats/gguf/impl.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/system/mapped_file.h"
#include "formats/gguf/gguf.h"
#include "formats/gguf/parser.h"
#include "formats/gguf/types.h"

namespace ruvllm::formats {
namespace {

constexpr std::string_view kSplitCount = "split.count";
constexpr std::string_view kSplitNumber = "split.no";
constexpr std::string_view kSplitTensors = "split.tensors.count";

// llama.cpp's naming: parts count from 1 in names, from 0 in metadata.
std::string split_suffix(uint64_t part_idx, uint64_t num_parts) {
  return fmt::format("-{:05}-of-{:05}.gguf", part_idx + 1, num_parts);
}

std::unexpected<Error> damage(const std::string& path) {
  return fail(ErrorCode::kUnavailable,
              "{}: the file changed or was truncated while in use; load it again", path);
}

}  // namespace

MatrixView GgufTensor::matrix() const {
  const uint64_t rows = dims[1] * dims[2] * dims[3];
  return {.data = data.data(),
          .dtype = dtype,
          .num_rows = static_cast<uint32_t>(rows),
          .num_cols = static_cast<uint32_t>(dims[0]),
          .row_stride = data.size() / rows};
}

Status GgufFile::Impl::index_names() {
  if (const GgufEntry* twin = entry_index.build(tables.entries)) {
    return fail(
        ErrorCode::kCorrupt,
        "{}: metadata key {} occurs twice; convert the model again with a current converter", path,
        quoted(twin->key));
  }
  if (const GgufTensor* twin = tensor_index.build(tables.tensors)) {
    return fail(ErrorCode::kCorrupt,
                "{}: tensor {} occurs twice; convert the model again with a current converter",
                path, quoted(twin->name));
  }
  return {};
}

Result<GgufFile> GgufFile::parse(std::span<const std::byte> bytes, std::string name) {
  auto impl = std::make_unique<Impl>();
  impl->path = std::move(name);
  impl->memory = bytes;
  RUVLLM_ASSIGN(impl->tables, parse_gguf_tables(bytes, impl->path));
  RUVLLM_TRY(impl->index_names());
  return GgufFile(std::move(impl));
}

Result<std::unique_ptr<GgufFile::Impl>> GgufFile::Impl::open_one(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  RUVLLM_ASSIGN(MappedFile mapping, MappedFile::open(path));
  Result<GgufTables> tables = parse_gguf_tables(mapping.bytes(), path);
  if (mapping.damaged()) return damage(path);
  if (!tables) return std::unexpected(std::move(tables).error());
  impl->tables = *std::move(tables);
  impl->parts.push_back(std::move(mapping));
  RUVLLM_TRY(impl->index_names());
  return impl;
}

Result<GgufFile::Impl::SplitPosition> GgufFile::Impl::split_position() const {
  SplitPosition position;
  if (find_entry(kSplitCount) == nullptr) return position;
  RUVLLM_ASSIGN(const uint64_t num_parts, get_uint(kSplitCount));
  if (num_parts <= 1) return position;
  RUVLLM_ASSIGN(position.part_idx, get_uint(kSplitNumber));
  position.num_parts = num_parts;
  if (num_parts > std::numeric_limits<uint16_t>::max() || position.part_idx >= num_parts) {
    return fail(ErrorCode::kCorrupt,
                "{}: metadata keys '{}' and '{}' say part {} (from 0) of {}; the file is damaged, "
                "download it again",
                path, kSplitNumber, kSplitCount, position.part_idx, num_parts);
  }
  return position;
}

Status GgufFile::Impl::add_parts(const SplitPosition& position) {
  const std::string suffix = split_suffix(position.part_idx, position.num_parts);
  if (!path.ends_with(suffix)) {
    return fail(ErrorCode::kInvalidArgument,
                "{}: part {} of a set of {}, but its name does not end in '{}'; rename it so that "
                "the other parts can be found",
                path, position.part_idx + 1, position.num_parts, suffix);
  }
  const std::string stem = path.substr(0, path.size() - suffix.size());
  if (position.part_idx != 0) {
    return fail(ErrorCode::kInvalidArgument, "{}: this is part {} of {}; open the first part, {}",
                path, position.part_idx + 1, position.num_parts,
                stem + split_suffix(0, position.num_parts));
  }
  for (uint64_t part_idx = 1; part_idx < position.num_parts; ++part_idx) {
    const std::string part_path = stem + split_suffix(part_idx, position.num_parts);
    RUVLLM_TRY(add_part(part_path, part_idx, position.num_parts));
  }
  if (find_entry(kSplitTensors) == nullptr) return index_names();
  RUVLLM_ASSIGN(const uint64_t num_tensors, get_uint(kSplitTensors));
  if (num_tensors != tables.tensors.size()) {
    return fail(
        ErrorCode::kCorrupt,
        "{}: metadata key '{}' announces {} tensors, but the {} parts hold {}; download all "
        "parts again",
        path, kSplitTensors, num_tensors, position.num_parts, tables.tensors.size());
  }
  return index_names();
}

Status GgufFile::Impl::add_part(const std::string& part_path, uint64_t part_idx,
                                uint64_t num_parts) {
  Result<std::unique_ptr<Impl>> opened = open_one(part_path);
  if (!opened.has_value()) {
    return std::unexpected(std::move(opened).error().with_context(
        fmt::format("part {} of {}", part_idx + 1, num_parts)));
  }
  Impl& part = **opened;
  RUVLLM_ASSIGN(const SplitPosition position, part.split_position());
  if (position.part_idx != part_idx || position.num_parts != num_parts) {
    return fail(ErrorCode::kCorrupt,
                "{}: its metadata says part {} of {}, but its name part {} of {}; it belongs to "
                "another set, download it again",
                part_path, position.part_idx + 1, position.num_parts, part_idx + 1, num_parts);
  }
  tables.tensors.insert(tables.tensors.end(), part.tables.tensors.begin(),
                        part.tables.tensors.end());
  parts.push_back(std::move(part.parts.front()));
  return {};
}

Result<GgufFile> GgufFile::open(const std::string& path) {
  RUVLLM_ASSIGN(std::unique_ptr<Impl> impl, Impl::open_one(path));
  RUVLLM_ASSIGN(const Impl::SplitPosition position, impl->split_position());
  if (position.num_parts > 1) RUVLLM_TRY(impl->add_parts(position));
  return GgufFile(std::move(impl));
}

GgufFile::GgufFile(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;
GgufFile::~GgufFile() = default;

const std::string& GgufFile::path() const { return impl_->path; }
uint32_t GgufFile::version() const { return impl_->tables.version; }
std::string GgufFile::format() const {
  return impl_->format.empty() ? fmt::format("GGUF v{}", version()) : impl_->format;
}
std::span<const GgufEntry> GgufFile::entries() const { return impl_->tables.entries; }
std::span<const GgufTensor> GgufFile::tensors() const { return impl_->tables.tensors; }

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  return impl_->tensor_index.find(impl_->tables.tensors, name);
}

const GgufEntry* GgufFile::find_entry(std::string_view key) const { return impl_->find_entry(key); }

bool GgufFile::has(std::string_view key) const { return find_entry(key) != nullptr; }

std::span<const std::byte> GgufFile::encoded_value(std::string_view key) const {
  const GgufEntry* entry = find_entry(key);
  return entry != nullptr ? impl_->value_of(*entry) : std::span<const std::byte>();
}

bool GgufFile::damaged() const { return std::ranges::any_of(impl_->parts, &MappedFile::damaged); }

Status GgufFile::check_intact() const {
  const auto part = std::ranges::find_if(impl_->parts, &MappedFile::damaged);
  if (part == impl_->parts.end()) return {};
  return damage(part->path());
}

void GgufFile::release_pages(std::span<const std::byte> bytes) const {
  for (const MappedFile& part : impl_->parts) part.release_pages(bytes);
}

uint64_t GgufFile::mapped_bytes() const {
  uint64_t bytes = impl_->memory.size();
  for (const MappedFile& part : impl_->parts) bytes += part.bytes().size();
  for (const Buffer& buffer : impl_->buffers) bytes += buffer.size();
  return bytes;
}

uint64_t GgufFile::resident_bytes() const {
  uint64_t bytes = impl_->memory.size();
  for (const MappedFile& part : impl_->parts) bytes += part.resident_bytes();
  for (const Buffer& buffer : impl_->buffers) bytes += buffer.size();
  return bytes;
}

}  // namespace ruvllm::formats
