#include "text/tokenizer/vocab/special_tokens.h"

#include <algorithm>
#include <bit>
#include <string>

#include "text/tokenizer/bpe/hash.h"

namespace ruvllm::text {
namespace {

constexpr TokenId kNone = -1;

bool is_special(TokenKind kind) {
  return kind == TokenKind::kControl || kind == TokenKind::kUnknown ||
         kind == TokenKind::kUserDefined;
}

}  // namespace

SpecialTokens::SpecialTokens(std::span<const std::string> tokens,
                             std::span<const TokenKind> kinds) {
  size_t num_bytes = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (is_special(kinds[i])) num_bytes += tokens[i].size();
  }
  nodes_.push_back({kRoot, kRoot, kNone, kNone, 0});
  if (num_bytes == 0) return;
  nodes_.reserve(num_bytes + 1);
  children_.assign(std::bit_ceil(num_bytes + num_bytes / 2), kRoot);
  seed_ = seed_from_address(children_.data());
  lengths_.resize(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!is_special(kinds[i]) || tokens[i].empty()) continue;
    lengths_[i] = static_cast<uint32_t>(tokens[i].size());
    const bool user_defined = kinds[i] == TokenKind::kUserDefined;
    has_user_defined_ |= user_defined;
    add(tokens[i], static_cast<TokenId>(i), user_defined);
  }
  link_suffixes();
}

size_t SpecialTokens::slot_of(uint32_t parent, uint8_t byte) const {
  return mix_hash((uint64_t{parent} << 8 | byte) ^ seed_, seed_ | 1) & (children_.size() - 1);
}

uint32_t SpecialTokens::child(uint32_t parent, uint8_t byte) const {
  if (parent == kRoot) return first_[byte];
  for (size_t i = slot_of(parent, byte);; i = (i + 1) & (children_.size() - 1)) {
    const uint32_t node = children_[i];
    if (node == kRoot || (nodes_[node].parent == parent && nodes_[node].byte == byte)) return node;
  }
}

void SpecialTokens::add(std::string_view text, TokenId id, bool user_defined) {
  uint32_t node = kRoot;
  for (size_t i = text.size(); i-- > 0;) {
    const auto byte = static_cast<uint8_t>(text[i]);
    uint32_t next = child(node, byte);
    if (next == kRoot) {
      next = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back({node, kRoot, kNone, kNone, byte});
      if (node == kRoot) {
        first_[byte] = next;
      } else {
        size_t slot = slot_of(node, byte);
        while (children_[slot] != kRoot) slot = (slot + 1) & (children_.size() - 1);
        children_[slot] = next;
      }
    }
    node = next;
  }
  nodes_[node].any = id;
  if (user_defined) nodes_[node].user_defined = id;
}

// Breadth first: a node's suffix is shorter than the node, so it is complete by then.
void SpecialTokens::link_suffixes() {
  std::vector<uint32_t> depths(nodes_.size(), 0);  // parents come before children in nodes_
  for (size_t i = 1; i < nodes_.size(); ++i) depths[i] = depths[nodes_[i].parent] + 1;
  const uint32_t max_depth = *std::ranges::max_element(depths);
  std::vector<uint32_t> begins(max_depth + 2, 0);
  for (const uint32_t depth : depths) ++begins[depth + 1];
  for (size_t depth = 1; depth < begins.size(); ++depth) begins[depth] += begins[depth - 1];
  std::vector<uint32_t> order(nodes_.size());
  for (uint32_t i = 0; i < nodes_.size(); ++i) order[begins[depths[i]]++] = i;
  for (const uint32_t index : order) {
    if (index == kRoot) continue;
    Node& node = nodes_[index];
    uint32_t suffix = kRoot;
    for (uint32_t from = node.parent; from != kRoot && suffix == kRoot;) {
      from = nodes_[from].suffix;
      suffix = child(from, node.byte);
    }
    node.suffix = suffix;
    if (node.any == kNone) node.any = nodes_[suffix].any;
    if (node.user_defined == kNone) node.user_defined = nodes_[suffix].user_defined;
  }
}

std::vector<SpecialMatch> SpecialTokens::find(std::string_view text, bool with_control,
                                              std::span<const ByteRange> literal) const {
  std::vector<SpecialMatch> matches;
  if (nodes_.size() == 1 || !(with_control || has_user_defined_)) return matches;
  uint32_t state = kRoot;
  for (size_t i = text.size(); i-- > 0;) {
    const auto byte = static_cast<uint8_t>(text[i]);
    uint32_t next = child(state, byte);
    while (next == kRoot && state != kRoot) {
      state = nodes_[state].suffix;
      next = child(state, byte);
    }
    state = next;
    const TokenId id = with_control ? nodes_[state].any : nodes_[state].user_defined;
    if (id != kNone) matches.push_back({i, i + lengths_[static_cast<size_t>(id)], id});
  }
  std::ranges::reverse(matches);
  size_t end = 0;
  auto next_literal = literal.begin();
  std::erase_if(matches, [&](const SpecialMatch& match) {
    if (match.begin < end) return true;
    while (next_literal != literal.end() && next_literal->begin < match.begin) ++next_literal;
    if (next_literal != literal.end() && next_literal->end <= match.end) return true;
    end = match.end;
    return false;
  });
  return matches;
}

}  // namespace ruvllm::text
