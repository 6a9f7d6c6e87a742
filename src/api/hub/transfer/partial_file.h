// A download in work: the bytes at their places in "<blob>.ruvllm.incomplete", and beside it a
// small JSON file that says which are there. Not "<blob>.incomplete": huggingface_hub takes that
// for a prefix of the content, while this one is filled in several places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::hub {

// [begin, end) of the content, of which [begin, position) is written.
struct FilePart {
  uint64_t begin = 0;
  uint64_t position = 0;
  uint64_t end = 0;
  bool complete() const { return position == end; }
  bool operator==(const FilePart&) const = default;
};

// What the JSON file holds. `validator` is the server's word for this content (ETag).
struct PartialState {
  uint64_t size = 0;
  std::string validator;
  std::vector<FilePart> parts;
};
std::string format_partial_state(const PartialState& state);
// Nothing if it is not what format_partial_state() writes, or parts do not tile [0, size).
std::optional<PartialState> parse_partial_state(const std::string& text);

// As even as possible, none smaller than `min_bytes`.
std::vector<FilePart> plan_parts(uint64_t size, uint32_t num_parts, uint64_t min_bytes);

// One writer (hold the blob's lock).
class PartialFile {
 public:
  explicit PartialFile(std::string path) : path_(std::move(path)) {}
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  // Goes on with what an earlier run left if that is of the same size; else like restart().
  Status open(uint64_t size, uint32_t num_parts, uint64_t min_part_bytes);
  // Nothing is there. Size 0 with `size_known` false: one part, without end until finish_at().
  Status restart(uint64_t size, bool size_known, uint32_t num_parts, uint64_t min_part_bytes);
  void finish_at_current_size();

  const std::vector<FilePart>& parts() const { return state_.parts; }
  const std::string& path() const { return path_; }
  uint64_t size() const { return state_.size; }
  bool size_known() const { return size_known_; }
  bool resumed() const { return resumed_; }
  const std::string& validator() const { return state_.validator; }
  void set_validator(std::string validator) { state_.validator = std::move(validator); }

  uint64_t bytes_present() const;
  uint64_t contiguous_bytes() const;  // from the beginning
  bool complete() const;

  Status write(size_t part_idx, std::span<const std::byte> bytes);
  // Fills `buffer` from `offset`, which lies in the contiguous bytes; returns how many.
  Result<size_t> read(uint64_t offset, std::span<std::byte> buffer) const;

  // Data first, then what is said about it.
  Status save_state();
  Status sync();
  void remove_state() const;
  void remove();  // both files

 private:
  std::string state_path() const { return path_ + ".json"; }
  bool load_state(uint64_t size);

  std::string path_;
  int fd_ = -1;
  PartialState state_;
  bool size_known_ = true;
  bool resumed_ = false;
};

}  // namespace ruvllm::hub
