#include "kernels/ref/kv_store.h"

#include <cstring>

#include "base/numeric/half.h"

namespace ruvllm::kernels::ref {
namespace {

template <class Number>
Number number_at(const std::byte* src, size_t index) {
  Number number;
  std::memcpy(&number, src + index * sizeof(number), sizeof(number));
  return number;
}

int level_at(size_t bits, const std::byte* run, size_t index) {
  if (bits == 8) return number_at<int8_t>(run, index);
  if (bits == 4) {
    const int both = number_at<uint8_t>(run, index % 32);
    return index < 32 ? both & 15 : both >> 4;
  }
  const size_t lane = index % 16;
  const int low = number_at<uint8_t>(run, lane);
  if (bits == 2) return low >> (index / 16 * 2) & 3;
  const int high = number_at<uint8_t>(run + 16, lane / 2) >> (lane % 2 * 4) & 15;
  return (high << 8 | low) >> (index / 16 * 3) & 7;
}

// Number `index` of a run with scale `scale_idx` of `num_scales`.
StoredNumber decode(size_t bits, const std::byte* run, size_t index, const std::byte* scales,
                    size_t scale_idx, size_t num_scales) {
  StoredNumber result = {level_at(bits, run, index), 0.0f, 0.0f, 0.0f};
  result.scale = f16_to_f32(number_at<uint16_t>(scales, scale_idx));
  if (bits < 8) result.minimum = f16_to_f32(number_at<uint16_t>(scales, num_scales + scale_idx));
  result.value = static_cast<float>(result.level) * result.scale;
  if (bits < 8) result.value += result.minimum;
  return result;
}

}  // namespace

StoredNumber stored_key(KvStoreFormat format, size_t head_dim, const std::byte* keys, size_t token,
                        size_t dim) {
  const size_t bits = key_bits(format), run_bytes = bits * 8;
  return decode(bits, keys + dim / 2 * run_bytes, 2 * token + dim % 2,
                keys + head_dim / 2 * run_bytes, dim, head_dim);
}

StoredNumber stored_value(KvStoreFormat format, size_t head_dim, const std::byte* values,
                          size_t token, size_t dim) {
  const size_t bits = value_bits(format), run_bytes = bits * 8;
  const size_t runs = (head_dim + 31) / 32;
  const size_t group = stored_group(bits, head_dim);
  return decode(bits, values + (token / 2 * runs + dim / 32) * run_bytes, dim % 32 * 2 + token % 2,
                values + 16 * runs * run_bytes, dim / group * 32 + token, head_dim / group * 32);
}

}  // namespace ruvllm::kernels::ref
