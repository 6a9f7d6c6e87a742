// Finds things by name in a table that stays where it is: 4 bytes per row, no copies of names.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

namespace ruvllm::formats {

template <typename Row, std::string_view Row::* kName>
class NameIndex {
 public:
  // Returns a row whose name another row has too, or nullptr. Then the index must not be used.
  const Row* build(std::span<const Row> rows) {
    const auto name_of = [rows](uint32_t row_idx) { return rows[row_idx].*kName; };
    sorted_.resize(rows.size());
    std::iota(sorted_.begin(), sorted_.end(), 0u);
    std::ranges::sort(sorted_, {}, name_of);
    const auto twin = std::ranges::adjacent_find(sorted_, std::equal_to<>(), name_of);
    return twin == sorted_.end() ? nullptr : &rows[std::max(twin[0], twin[1])];
  }

  // `rows` as given to build().
  const Row* find(std::span<const Row> rows, std::string_view name) const {
    const auto name_of = [rows](uint32_t row_idx) { return rows[row_idx].*kName; };
    const auto found = std::ranges::lower_bound(sorted_, name, {}, name_of);
    return found != sorted_.end() && name_of(*found) == name ? &rows[*found] : nullptr;
  }

 private:
  std::vector<uint32_t> sorted_;  // row numbers in the order of their names
};

}  // namespace ruvllm::formats
