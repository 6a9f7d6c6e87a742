#include "engine/loop/kept_prefixes.h"

#include <span>

namespace ruvllm::engine {
namespace {

// The last token is computed in any case: its logits are wanted.
std::span<const int32_t> adoptable(const Sequence& sequence) {
  return std::span<const int32_t>(sequence.tokens).first(sequence.num_cacheable());
}

}  // namespace

void KeptPrefixes::prepare(Sequence& sequence) const {
  const SequenceRequest& request = sequence.request;
  if (!request.generates() || !request.cache_prompt) return;
  const Hash128 adapters = request.adapters ? request.adapters->keys_identity() : Hash128{};
  sequence.pages.share_under(cache_.index().root(request.cache_salt, adapters));
}

void KeptPrefixes::adopt(Sequence& sequence) {
  if (!sequence.pages.is_sharing()) return;
  const std::span<const int32_t> tokens = adoptable(sequence);
  sequence.num_computed = sequence.pages.adopt(cache_, tokens);
  if (sequence.drafts) speculator_->adopt(sequence, tokens);
}

PageCounts KeptPrefixes::count_in_use(Sequence& sequence) const {
  if (!sequence.pages.is_sharing()) return {};
  const cache::PagesInUse found = sequence.pages.count_in_use(cache_, adoptable(sequence));
  return {found.half, found.stored};
}

void KeptPrefixes::keep(Sequence& sequence) {
  const auto tokens =
      std::span<const int32_t>(sequence.tokens).first(static_cast<size_t>(sequence.num_computed));
  // The draft model may be ahead, of a sequence that was preempted; its last row may be of a draft.
  if (sequence.drafts) {
    speculator_->keep(sequence,
                      std::span<const int32_t>(sequence.tokens).first(sequence.tokens.size() - 1));
  }
  sequence.pages.keep(cache_, tokens);
  release(sequence);
}

void KeptPrefixes::release(Sequence& sequence) {
  if (sequence.drafts) speculator_->release(sequence);
  sequence.pages.release(cache_);
}

}  // namespace ruvllm::engine
