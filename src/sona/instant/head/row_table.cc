#include "sona/instant/head/row_table.h"

#include <algorithm>
#include <cstddef>

namespace ruvllm::sona {

int32_t RowTable::free_slot() {
  if (num_rows() < max_rows_) {
    last_used_.push_back(0);
    return num_rows() - 1;
  }
  const auto oldest = std::min_element(last_used_.begin(), last_used_.end());
  const int32_t slot = static_cast<int32_t>(oldest - last_used_.begin());
  std::erase_if(entries_, [slot](const Entry& entry) { return entry.slot == slot; });
  return slot;
}

RowTable::Taken RowTable::take(int32_t token) {
  const auto place = [&] {
    return std::lower_bound(entries_.begin(), entries_.end(), token,
                            [](const Entry& entry, int32_t id) { return entry.token < id; });
  };
  const auto found = place();
  const bool is_new = found == entries_.end() || found->token != token;
  int32_t slot = 0;
  if (is_new) {
    slot = free_slot();
    entries_.insert(place(), {token, slot});
  } else {
    slot = found->slot;
  }
  last_used_[static_cast<size_t>(slot)] = ++now_;
  return {slot, is_new};
}

void RowTable::clear() {
  entries_.clear();
  last_used_.clear();
}

}  // namespace ruvllm::sona
