#include "text/tokenizer/encoders/trie.h"

#include <utility>

#include "text/tokenizer/bpe/hash.h"

namespace ruvllm::text {

Trie::Trie()
    : ids_(1, -1), edges_(64, Edge{0, kRoot, 0}), seed_(seed_from_address(edges_.data())) {}

size_t Trie::slot_of(uint32_t parent, uint8_t byte) const {
  return mix_hash((uint64_t{parent} << 8 | byte) ^ seed_, seed_ | 1) & (edges_.size() - 1);
}

void Trie::grow() {
  std::vector<Edge> old =
      std::exchange(edges_, std::vector<Edge>(edges_.size() * 2, Edge{0, kRoot, 0}));
  for (const Edge& edge : old) {
    if (edge.child == kRoot) continue;
    size_t i = slot_of(edge.parent, edge.byte);
    while (edges_[i].child != kRoot) i = (i + 1) & (edges_.size() - 1);
    edges_[i] = edge;
  }
}

void Trie::insert(std::string_view key, TokenId id) {
  uint32_t node = kRoot;
  for (const char character : key) {
    const auto byte = static_cast<uint8_t>(character);
    uint32_t next = child(node, byte);
    if (next == kRoot) {
      if (ids_.size() * 2 >= edges_.size()) grow();
      next = static_cast<uint32_t>(ids_.size());
      size_t i = slot_of(node, byte);
      while (edges_[i].child != kRoot) i = (i + 1) & (edges_.size() - 1);
      edges_[i] = {node, next, byte};
      ids_.push_back(-1);
    }
    node = next;
  }
  ids_[node] = id;
}

}  // namespace ruvllm::text
