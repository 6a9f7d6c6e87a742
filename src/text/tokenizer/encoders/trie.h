// The tokens that a text begins with, shortest first. Immutable, shared by all threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer/vocab/vocab.h"

namespace ruvllm::text {

class Trie {
 public:
  Trie();

  // Of equal keys the last counts. `key` is not empty.
  void insert(std::string_view key, TokenId id);

  // Calls `use(length, id)` for each key that `text` begins with.
  template <typename Use>
  void for_each_prefix(std::string_view text, const Use& use) const {
    uint32_t node = kRoot;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node == kRoot) return;
      if (ids_[node] >= 0) use(i + 1, ids_[node]);
    }
  }

 private:
  struct Edge {
    uint32_t parent;
    uint32_t child;  // kRoot: free
    uint8_t byte;
  };
  static constexpr uint32_t kRoot = 0;

  uint32_t child(uint32_t parent, uint8_t byte) const {
    for (size_t i = slot_of(parent, byte);; i = (i + 1) & (edges_.size() - 1)) {
      const Edge& edge = edges_[i];
      if (edge.child == kRoot || (edge.parent == parent && edge.byte == byte)) return edge.child;
    }
  }
  size_t slot_of(uint32_t parent, uint8_t byte) const;
  void grow();

  std::vector<TokenId> ids_;  // by node; -1: no key ends here
  std::vector<Edge> edges_;   // open addressing, at most half full
  uint64_t seed_ = 0;
};

}  // namespace ruvllm::text
