// Where the stacks of our threads lie, for memory reports.
#pragma once

#include <vector>

#include "base/memory/memory_map.h"

namespace ruvllm {

// Makes the calling thread's stack known as long as it lives; start_thread() does so.
class ThreadStackRecord {
 public:
  ThreadStackRecord();
  ThreadStackRecord(const ThreadStackRecord&) = delete;
  ThreadStackRecord& operator=(const ThreadStackRecord&) = delete;
  ~ThreadStackRecord();

 private:
  MemoryRange stack_;
};

// Of the threads that run now; the main thread's is a region of its own kind.
std::vector<MemoryRange> thread_stacks();

}  // namespace ruvllm
