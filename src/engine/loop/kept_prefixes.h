// Keys and values that requests share: of the prompt's beginning, as far as any other request,
// running or finished, has computed the same tokens under the same salt and adapters.
#pragma once

#include "cache/kv_cache.h"
#include "engine/scheduling/page_budget.h"
#include "engine/sequence.h"
#include "engine/speculation/speculator.h"

namespace ruvllm::engine {

class KeptPrefixes {
 public:
  // `speculator` may be none; both outlive it.
  KeptPrefixes(cache::KvCache& cache, Speculator* speculator)
      : cache_(cache), speculator_(speculator) {}

  // Before admission, on any thread: settles whom the sequence shares with.
  void prepare(Sequence& sequence) const;

  // The rest on the engine thread, allocating nothing. A sequence that starts, or starts again,
  // takes over the longest prefix of its tokens that there is.
  void adopt(Sequence& sequence);
  // Of the pages that adopt() would take over, those that others hold now.
  PageCounts count_in_use(Sequence& sequence) const;
  // A sequence that ends or gives way leaves its pages to others, or to nobody.
  void keep(Sequence& sequence);
  void release(Sequence& sequence);

 private:
  cache::KvCache& cache_;
  Speculator* speculator_;
};

}  // namespace ruvllm::engine
