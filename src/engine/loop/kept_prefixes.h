// Reuse of keys and values that earlier requests computed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/sequence_pages.h"
#include "engine/sequence.h"
#include "engine/speculation/speculator.h"

namespace ruvllm::engine {

// Finished sequences whose pages are kept: a request that starts with the same tokens (the next
// turn of a chat) takes them over instead of computing them again. Engine thread only; allocates
// nothing after its construction.
class KeptPrefixes {
 public:
  // `speculator` may be none; both outlive it.
  KeptPrefixes(cache::KvCache& cache, Speculator* speculator, uint32_t max_kept);

  // A sequence that starts takes over the longest prefix that fits, if there is one.
  void adopt(Sequence& sequence);
  // What a sequence that ended leaves: its pages are kept, or released.
  void keep(Sequence& sequence);
  void release(Sequence& sequence);

  // False: there is none.
  bool drop_oldest();

 private:
  struct Prefix {
    std::vector<int32_t> tokens;                           // those with keys and values
    std::shared_ptr<const adapters::AdapterSet> adapters;  // that made them
    cache::SequencePages pages;
    DraftCache draft_cache;  // of the draft model, if there is one
  };

  cache::KvCache& cache_;
  Speculator* speculator_;
  uint32_t max_kept_;
  std::vector<Prefix> kept_;  // oldest first
};

}  // namespace ruvllm::engine
