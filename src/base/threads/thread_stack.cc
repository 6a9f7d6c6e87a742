#include "base/threads/thread_stack.h"

#include <algorithm>
#include <mutex>

#include <pthread.h>

namespace ruvllm {
namespace {

struct Stacks {
  std::mutex mutex;
  std::vector<MemoryRange> ranges;
};

// Never destroyed: threads may end after static objects do.
Stacks& stacks() {
  static Stacks& all = *new Stacks;
  return all;
}

MemoryRange own_stack() {
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return {};
  void* begin = nullptr;
  size_t size = 0;
  const bool known = ::pthread_attr_getstack(&attributes, &begin, &size) == 0;
  ::pthread_attr_destroy(&attributes);
  return known ? MemoryRange::of(begin, size) : MemoryRange{};
}

}  // namespace

ThreadStackRecord::ThreadStackRecord() : stack_(own_stack()) {
  const std::lock_guard lock(stacks().mutex);
  stacks().ranges.push_back(stack_);
}

ThreadStackRecord::~ThreadStackRecord() {
  const std::lock_guard lock(stacks().mutex);
  std::vector<MemoryRange>& ranges = stacks().ranges;
  const auto own = std::ranges::find(ranges, stack_.begin, &MemoryRange::begin);
  if (own != ranges.end()) ranges.erase(own);
}

std::vector<MemoryRange> thread_stacks() {
  const std::lock_guard lock(stacks().mutex);
  return stacks().ranges;
}

}  // namespace ruvllm
