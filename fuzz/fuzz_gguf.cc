// GGUF files: whatever the bytes, parsing returns a file whose every part can be read, or an error.
//
// Random flips mostly die at the magic, so half of the mutations edit one to three fields of a file
// that parses: counts, lengths, types, dimensions, offsets.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include "base/core/check.h"
#include "formats/gguf/gguf.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace ruvllm::formats {
namespace {

struct Field {
  size_t offset;
  size_t size;  // bytes
};

// The fields of a file that starts well, as far as it can be followed.
class FieldWalk {
 public:
  explicit FieldWalk(std::span<const uint8_t> bytes) : bytes_(bytes) {
    if (bytes.size() < 24) return;
    pos_ = 4;
    take(4);
    const uint64_t num_tensors = take(8);
    const uint64_t num_entries = take(8);
    for (uint64_t i = 0; i < num_entries && alive_; ++i) walk_entry();
    for (uint64_t i = 0; i < num_tensors && alive_; ++i) walk_tensor();
  }

  const std::vector<Field>& fields() const { return fields_; }

 private:
  uint64_t take(size_t size) {
    if (!alive_ || bytes_.size() - pos_ < size) {
      alive_ = false;
      return 0;
    }
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + pos_, size);
    fields_.push_back({pos_, size});
    pos_ += size;
    return value;
  }
  void skip(uint64_t size) {
    alive_ = alive_ && size <= bytes_.size() - pos_;
    if (alive_) pos_ += size;
  }
  void walk_entry() {
    skip(take(8));
    walk_value(take(4));
  }
  void walk_value(uint64_t type) {
    constexpr size_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8) {
      skip(take(8));
    } else if (type == 9) {
      const uint64_t element = take(4);
      const uint64_t count = take(8);
      for (uint64_t i = 0; i < count && alive_ && element != 9; ++i) walk_value(element);
    } else if (type < std::size(kSizes)) {
      take(kSizes[type]);
    } else {
      alive_ = false;
    }
  }
  void walk_tensor() {
    skip(take(8));
    const uint64_t num_dims = take(4);
    for (uint64_t i = 0; i < num_dims && alive_; ++i) take(8);
    take(4);
    take(8);
  }

  std::span<const uint8_t> bytes_;
  size_t pos_ = 0;
  bool alive_ = true;
  std::vector<Field> fields_;
};

uint64_t interesting(uint64_t old, std::minstd_rand& rng) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  const uint64_t values[] = {0,
                             1,
                             old + 1,
                             old - 1,
                             old * 2,
                             old / 2,
                             old ^ (uint64_t{1} << (rng() % 64)),
                             rng() % 48,
                             32 * (rng() % 64),
                             uint64_t{1} << (rng() % 64),
                             kMax,
                             kMax - rng() % 64,
                             uint64_t{1} << 31,
                             (uint64_t{1} << 63) - rng() % 3};
  return values[rng() % std::size(values)];
}

}  // namespace
}  // namespace ruvllm::formats

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  using namespace ruvllm::formats;
  std::minstd_rand rng(seed);
  const FieldWalk walk({data, size});
  if (rng() % 2 == 0 || walk.fields().empty()) return LLVMFuzzerMutate(data, size, max_size);
  const size_t num_edits = 1 + rng() % 3;
  for (size_t i = 0; i < num_edits; ++i) {
    const Field field = walk.fields()[rng() % walk.fields().size()];
    uint64_t value = 0;
    std::memcpy(&value, data + field.offset, field.size);
    value = interesting(value, rng);
    std::memcpy(data + field.offset, &value, field.size);
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm::formats;
  const auto file = GgufFile::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!file.has_value()) {
    RUVLLM_CHECK(file.error().message().starts_with("fuzz.gguf: "));
    return 0;
  }
  unsigned sum = 0;
  for (const GgufTensor& tensor : file->tensors()) {
    RUVLLM_CHECK(file->find_tensor(tensor.name) == &tensor);
    const ruvllm::MatrixView matrix = tensor.matrix();
    RUVLLM_CHECK(matrix.row_stride * matrix.num_rows == tensor.data.size());
    for (const std::byte byte : tensor.data) sum += std::to_integer<unsigned>(byte);
  }
  for (const GgufEntry& entry : file->entries()) {
    RUVLLM_CHECK(file->find_entry(entry.key) == &entry);
    sum += static_cast<unsigned>(file->format_value(entry.key, 1000).size());
    sum += file->get_uint(entry.key).has_value() + file->get_int(entry.key).has_value();
    sum += file->get_float(entry.key).has_value() + file->get_bool(entry.key).has_value();
    sum += file->get_string(entry.key).has_value();
    sum += file->get_string_array(entry.key).has_value();
    sum += file->get_int_array(entry.key).has_value();
    sum += file->get_float_array(entry.key).has_value();
  }
  static volatile unsigned sink;
  sink = sum;
  return 0;
}
