// The prefixes of a cache in a file, so that they outlive the process (docs/kv-cache.md).
//
// The file holds tokens, that is the text of those who used the cache, and is readable by its owner
// alone. What is in it is untrusted when it is read: a checksum covers each block with its
// pages, and what does not agree is left out. Not thread-safe: nothing else uses the cache
// meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/core/error.h"
#include "base/numeric/siphash.h"
#include "cache/kv_cache.h"

namespace ruvllm::cache {

struct SnapshotReport {
  uint32_t num_blocks = 0;    // written, or restored
  uint32_t num_refused = 0;   // in the file, but damaged
  uint32_t num_left_out = 0;  // for which there was no room, in the file or in the cache
  uint64_t bytes = 0;         // of the file
};

// Writes what is in the index into a new file that then takes the place of `path`, those of
// most worth first, at most max_bytes. `fingerprint` stands for all that makes keys and values.
Result<SnapshotReport> save_snapshot(const KvCache& cache, const std::string& path,
                                     Hash128 fingerprint, uint64_t max_bytes);

// Into a cache whose index is empty, which takes over the file's key. kNotFound: no such file;
// kCorrupt or kUnsupported: nothing of it can be used, and nothing changed.
Result<SnapshotReport> load_snapshot(KvCache& cache, const std::string& path, Hash128 fingerprint);
// The same from memory; `name` is used in errors.
Result<SnapshotReport> parse_snapshot(KvCache& cache, std::span<const std::byte> bytes,
                                      const std::string& name, Hash128 fingerprint);

}  // namespace ruvllm::cache
