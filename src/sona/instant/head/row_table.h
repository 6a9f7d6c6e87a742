// Which tokens have rows in the fast heads: created by targets, at most max_rows, the one whose
// token was not a target for the longest time gives way.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::sona {

class RowTable {
 public:
  struct Entry {
    int32_t token;
    int32_t slot;
  };
  struct Taken {
    int32_t slot;
    bool is_new;      // the slot's values belong to another token, or to none
    int32_t evicted;  // that token, or -1
  };

  explicit RowTable(int32_t max_rows) : max_rows_(max_rows) {}

  int32_t num_rows() const { return static_cast<int32_t>(last_used_.size()); }
  // By token, ascending.
  std::span<const Entry> entries() const { return entries_; }

  // The slot of a token that is a target now; slots count from 0 without gaps.
  Taken take(int32_t token);
  void clear();

  // state/fields.h
  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    fields.number("now", self.now_);
    fields.array("entries", self.entries_);
    fields.array("last_used", self.last_used_);
    if constexpr (Fields::kReads) {
      fields.require(self.is_consistent(), "entries", "rows do not fit each other");
    }
  }

 private:
  // And the token that it belonged to, or -1.
  Taken free_slot();
  bool is_consistent() const;

  int32_t max_rows_;
  uint64_t now_ = 0;
  std::vector<Entry> entries_;
  std::vector<uint64_t> last_used_;  // by slot
};

}  // namespace ruvllm::sona
