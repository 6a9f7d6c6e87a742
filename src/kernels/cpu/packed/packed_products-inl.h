// All packed products for one vector type: the constant an instruction set's source defines.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/packed/packed_block32-inl.h"
#include "kernels/cpu/packed/packed_float16-inl.h"
#include "kernels/cpu/packed/packed_formats-inl.h"
#include "kernels/cpu/packed/packed_layout.h"
#include "kernels/cpu/packed/packed_matmul-inl.h"
#include "kernels/cpu/packed/packed_products.h"
#include "kernels/cpu/packed/packed_superblock-inl.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {
namespace {

template <class V, class Format>
void packed_product(const MatmulArgs& args) noexcept {
  matmul_packed<V, Format>(args);
}

template <class V, class Format, DType kType>
void packing_product(const MatmulArgs& args) noexcept {
  PackedLayout layout = packed_layout(kType);
  layout.swap_middle_bytes &= !HasProductsOfQ16<V>;
  matmul_packing<V, Format>(args, layout);
}

template <class V>
constexpr PackedProducts packed_products() {
  PackedProducts products;
  const auto add = [&]<class Format, DType kType>() {
    products.by_type[static_cast<size_t>(kType)] = {packed_product<V, Format>,
                                                    packing_product<V, Format, kType>};
  };
  add.template operator()<PackedQ4_0<V>, DType::kQ4_0>();
  add.template operator()<PackedQ4_1<V>, DType::kQ4_1>();
  add.template operator()<PackedQ5_0<V>, DType::kQ5_0>();
  add.template operator()<PackedQ5_1<V>, DType::kQ5_1>();
  add.template operator()<PackedQ8_0<V>, DType::kQ8_0>();
  add.template operator()<PackedMXFP4<V>, DType::kMXFP4>();
  add.template operator()<PackedIQ4_NL<V>, DType::kIQ4_NL>();
  add.template operator()<PackedIQ4XS<V>, DType::kIQ4_XS>();
  add.template operator()<PackedQ2K<V>, DType::kQ2_K>();
  add.template operator()<PackedQ3K<V>, DType::kQ3_K>();
  add.template operator()<PackedQ4K<V>, DType::kQ4_K>();
  add.template operator()<PackedQ5K<V>, DType::kQ5_K>();
  add.template operator()<PackedQ6K<V>, DType::kQ6_K>();
  if constexpr (HasRoundedPairs<V>) {
    add.template operator()<PackedFloat16<V>, DType::kF16>();
    add.template operator()<PackedFloat16<V>, DType::kBF16>();
  }
  products.pack_slice = pack_slice_with<V>;
  products.swaps_middle_bytes = !HasProductsOfQ16<V>;
  return products;
}

}  // namespace
}  // namespace ruvllm::kernels
