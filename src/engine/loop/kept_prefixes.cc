#include "engine/loop/kept_prefixes.h"

#include <algorithm>
#include <span>
#include <utility>

namespace ruvllm::engine {
namespace {

size_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  const auto [end, unused] = std::ranges::mismatch(a, b);
  return static_cast<size_t>(end - a.begin());
}

}  // namespace

KeptPrefixes::KeptPrefixes(cache::KvCache& cache, Speculator* speculator, uint32_t max_kept)
    : cache_(cache), speculator_(speculator), max_kept_(max_kept) {
  kept_.reserve(size_t{max_kept} + 1);
}

void KeptPrefixes::adopt(Sequence& sequence) {
  size_t best_length = 0;
  auto best = kept_.end();
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    if (!adapters::same_set(it->adapters.get(), sequence.request.adapters.get())) continue;
    // The last token is computed in any case: its logits are wanted.
    const size_t length =
        std::min(common_prefix(it->tokens, sequence.tokens), sequence.tokens.size() - 1);
    if (length > best_length && it->pages.can_continue_at(cache_, static_cast<int32_t>(length))) {
      best_length = length;
      best = it;
    }
  }
  if (best_length < static_cast<size_t>(kernels::kPageTokens)) return;
  sequence.num_computed = static_cast<int32_t>(best_length);
  sequence.pages.adopt(cache_, best->pages, sequence.num_computed);
  if (speculator_ != nullptr) speculator_->adopt(sequence, best->draft_cache);
  kept_.erase(best);
}

void KeptPrefixes::keep(Sequence& sequence) {
  DraftCache draft_cache;
  if (sequence.drafts) {
    draft_cache = std::move(sequence.drafts->cache);
    speculator_->rewind(draft_cache, sequence.num_computed);
  }
  sequence.tokens.resize(static_cast<size_t>(sequence.num_computed));
  kept_.push_back({std::move(sequence.tokens), std::move(sequence.request.adapters),
                   std::move(sequence.pages), std::move(draft_cache)});
  if (kept_.size() > max_kept_) drop_oldest();
}

void KeptPrefixes::release(Sequence& sequence) {
  if (sequence.drafts) speculator_->rewind(sequence.drafts->cache, 0);
  sequence.pages.release(cache_);
}

bool KeptPrefixes::drop_oldest() {
  if (kept_.empty()) return false;
  Prefix& oldest = kept_.front();
  oldest.pages.release(cache_);
  if (speculator_ != nullptr) speculator_->rewind(oldest.draft_cache, 0);
  kept_.erase(kept_.begin());
  return true;
}

}  // namespace ruvllm::engine
