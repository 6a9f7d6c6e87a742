#include "sona/loops/user/serving.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace ruvllm::sona {

using adapters::FastHeadRows;
using adapters::HeadAdapter;

namespace {

std::vector<int32_t> all_rows(std::span<const std::shared_ptr<const HeadAdapter>> heads) {
  std::vector<int32_t> tokens;
  for (const auto& head : heads) {
    tokens.insert(tokens.end(), head->row_tokens.begin(), head->row_tokens.end());
  }
  std::ranges::sort(tokens);
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

FastHeadRows spread(const HeadAdapter& head, std::span<const int32_t> tokens) {
  const FastHeadRows& source = head.fast_heads.front();
  const size_t num_blocks = static_cast<size_t>(head.features->padded_dim() / kBlock32);
  FastHeadRows rows;
  rows.rows.resize(tokens.size() * num_blocks);
  rows.biases.resize(tokens.size());
  size_t place = 0;
  for (size_t r = 0; r < head.row_tokens.size(); ++r) {
    while (tokens[place] != head.row_tokens[r]) ++place;
    std::copy_n(source.rows.begin() + static_cast<ptrdiff_t>(r * num_blocks), num_blocks,
                rows.rows.begin() + static_cast<ptrdiff_t>(place * num_blocks));
    rows.biases[place] = source.biases[r];
  }
  return rows;
}

}  // namespace

std::shared_ptr<const HeadAdapter> join_heads(
    const HeadAdapter& common, std::span<const std::shared_ptr<const HeadAdapter>> heads,
    uint64_t generation) {
  auto joined = std::make_shared<HeadAdapter>(common);
  joined->generation = generation;
  joined->row_tokens = all_rows(heads);
  joined->fast_heads.clear();
  for (const auto& head : heads) joined->fast_heads.push_back(spread(*head, joined->row_tokens));

  const size_t num_others = common.num_experts() - 1;
  const double num_experts = static_cast<double>(num_others + heads.size());
  const double base = num_experts > 0 ? common.prior[0] : 1.0;
  double others = 0;
  for (size_t k = 1; k <= num_others; ++k) others += common.prior[k];
  joined->prior.assign(1, base);
  joined->prior.insert(joined->prior.end(), heads.size(), (1 - base) / num_experts);
  for (size_t k = 1; k <= num_others; ++k) {
    const double share = (1 - base) * static_cast<double>(num_others) / num_experts;
    joined->prior.push_back(share * common.prior[k] / others);
  }
  return joined;
}

}  // namespace ruvllm::sona
