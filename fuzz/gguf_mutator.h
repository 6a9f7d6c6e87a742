// Mutates GGUF files for libFuzzer.
//
// Random flips mostly die at the magic, so half of the mutations edit one to three fields of a file
// that parses: counts, lengths, types, dimensions, offsets, values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace ruvllm::fuzz {

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

inline uint64_t interesting(uint64_t old, std::minstd_rand& rng) {
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

// Half of the results are libFuzzer's own mutations, half edits of fields.
inline size_t mutate_gguf(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
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

}  // namespace ruvllm::fuzz
