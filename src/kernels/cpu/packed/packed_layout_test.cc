#include "kernels/cpu/packed/packed_layout.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/numeric/random_stream.h"
#include "tensor/dtype.h"

namespace ruvllm::kernels {
namespace {

class PackedLayoutTest : public testing::TestWithParam<DType> {};

// Whatever the rows hold, a row of a slice becomes again what it was.
TEST_P(PackedLayoutTest, UnpackedRowsAreTheFiles) {
  PackedLayout layout = packed_layout(GetParam());
  ASSERT_GT(layout.num_words, 0);
  const RandomStream random(7);
  uint64_t counter = 0;
  for (const bool swap : {false, true}) {
    layout.swap_middle_bytes = swap;
    for (const int32_t num_blocks : {1, 2, 3, 5, 8}) {
      for (const int32_t num_rows : {1, 7, kSliceRows}) {
        const size_t row_bytes =
            static_cast<size_t>(num_blocks) * static_cast<size_t>(layout.block_bytes);
        std::vector<std::byte> rows(row_bytes * static_cast<size_t>(num_rows));
        for (std::byte& byte : rows) byte = static_cast<std::byte>(random.bits(++counter));
        std::vector<std::byte> slice(row_bytes * kSliceRows), row(row_bytes);
        pack_slice_generic(layout, rows.data(), row_bytes, num_rows, num_blocks, slice.data());
        for (int32_t r = 0; r < kSliceRows; ++r) {
          unpack_row(layout, slice.data(), r, num_blocks, row.data());
          const size_t source = static_cast<size_t>(std::min(r, num_rows - 1)) * row_bytes;
          const std::vector<std::byte> expected(
              rows.begin() + static_cast<ptrdiff_t>(source),
              rows.begin() + static_cast<ptrdiff_t>(source + row_bytes));
          ASSERT_EQ(row, expected) << num_blocks << " blocks, row " << r << " of " << num_rows;
        }
      }
    }
  }
}

std::vector<DType> packed_types() {
  std::vector<DType> types;
  for (size_t i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    const PackedLayout layout = packed_layout(dtype);
    if (layout.num_words > 0 && !layout.is_rounded()) types.push_back(dtype);
  }
  return types;
}

INSTANTIATE_TEST_SUITE_P(Types, PackedLayoutTest, testing::ValuesIn(packed_types()),
                         [](const auto& test) { return std::string(dtype_info(test.param).name); });

}  // namespace
}  // namespace ruvllm::kernels
