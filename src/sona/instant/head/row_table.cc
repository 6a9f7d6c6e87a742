#include "sona/instant/head/row_table.h"

#include <algorithm>
#include <cstddef>

namespace ruvllm::sona {

RowTable::Taken RowTable::free_slot() {
  if (num_rows() < max_rows_) {
    last_used_.push_back(0);
    return {num_rows() - 1, true, -1};
  }
  const auto oldest = std::min_element(last_used_.begin(), last_used_.end());
  const int32_t slot = static_cast<int32_t>(oldest - last_used_.begin());
  const auto entry =
      std::ranges::find_if(entries_, [slot](const Entry& e) { return e.slot == slot; });
  const int32_t token = entry->token;
  entries_.erase(entry);
  return {slot, true, token};
}

RowTable::Taken RowTable::take(int32_t token) {
  const auto place = [&] {
    return std::lower_bound(entries_.begin(), entries_.end(), token,
                            [](const Entry& entry, int32_t id) { return entry.token < id; });
  };
  const auto found = place();
  const bool is_new = found == entries_.end() || found->token != token;
  Taken taken = {is_new ? 0 : found->slot, false, -1};
  if (is_new) {
    taken = free_slot();
    entries_.insert(place(), {token, taken.slot});
  }
  last_used_[static_cast<size_t>(taken.slot)] = ++now_;
  return taken;
}

bool RowTable::is_consistent() const {
  const size_t count = last_used_.size();
  if (max_rows_ < 1 || count > static_cast<size_t>(max_rows_) || entries_.size() != count) {
    return false;
  }
  std::vector<bool> is_taken(count);
  for (size_t i = 0; i < count; ++i) {
    const auto [token, slot] = entries_[i];
    if (token < 0 || (i > 0 && token <= entries_[i - 1].token)) return false;
    if (slot < 0 || static_cast<size_t>(slot) >= count || is_taken[static_cast<size_t>(slot)]) {
      return false;
    }
    is_taken[static_cast<size_t>(slot)] = true;
    if (last_used_[i] > now_) return false;
  }
  return true;
}

void RowTable::clear() {
  entries_.clear();
  last_used_.clear();
}

}  // namespace ruvllm::sona
