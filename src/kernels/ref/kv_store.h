// Scalar decoding of the store's pages (cpu/kv_store.h), for tests.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kv_store.h"

namespace ruvllm::kernels::ref {

struct StoredNumber {
  int level;
  float scale, minimum;  // minimum 0 with 8 bits
  float value;
};

// `keys` and `values` point to those of one page of one head.
StoredNumber stored_key(KvStoreFormat format, size_t head_dim, const std::byte* keys, size_t token,
                        size_t dim);
StoredNumber stored_value(KvStoreFormat format, size_t head_dim, const std::byte* values,
                          size_t token, size_t dim);

}  // namespace ruvllm::kernels::ref
