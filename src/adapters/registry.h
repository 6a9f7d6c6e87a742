// The adapters of one model by name, each version with a generation number of its own.
//
// Thread-safe. Adapters are immutable and shared: whoever holds one keeps it, whatever is loaded or
// removed meanwhile.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/adapter.h"
#include "base/core/error.h"

namespace ruvllm::adapters {

class AdapterRegistry {
 public:
  struct Entry {
    std::shared_ptr<const Adapter> adapter;
    uint64_t generation = 0;
  };

  // Takes the name over from an adapter that has it. Generations count from 1.
  Entry put(std::shared_ptr<const Adapter> adapter);
  Result<Entry> find(std::string_view name) const;  // kNotFound names the known ones
  Status remove(std::string_view name);
  std::vector<Entry> list() const;  // by name

 private:
  std::unexpected<Error> unknown(std::string_view name) const;

  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  uint64_t last_generation_ = 0;
};

}  // namespace ruvllm::adapters
