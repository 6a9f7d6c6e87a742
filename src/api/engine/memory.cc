// Engine::memory(): the kernel's list of mappings, each given to the purpose that owns it.
#include <algorithm>
#include <array>
#include <vector>

#include "api/engine/engine_impl.h"
#include "base/memory/memory_map.h"
#include "base/system/memory_info.h"
#include "base/threads/thread_stack.h"
#include <ruvllm/engine.h>

namespace ruvllm {
namespace {

// Takes the regions for which owns(region) out of the list; returns their resident bytes.
template <typename Owns>
uint64_t take(std::vector<MemoryRegion>& regions, const Owns& owns) {
  uint64_t bytes = 0;
  std::erase_if(regions, [&](const MemoryRegion& region) {
    if (!owns(region)) return false;
    bytes += region.resident;
    return true;
  });
  return bytes;
}

uint64_t take_ranges(std::vector<MemoryRegion>& regions, std::span<const MemoryRange> owned) {
  return take(regions, [&](const MemoryRegion& region) {
    return std::ranges::any_of(
        owned, [&](const MemoryRange& range) { return range.contains(region.range); });
  });
}

// Files in which tensors lie, and buffers that a tensor begins (reordered ones of a checkpoint).
uint64_t take_weights(std::vector<MemoryRegion>& regions, const formats::GgufFile& file) {
  std::vector<uintptr_t> tensors;
  for (const formats::GgufTensor& tensor : file.tensors()) {
    tensors.push_back(reinterpret_cast<uintptr_t>(tensor.data.data()));
  }
  std::ranges::sort(tensors);
  return take(regions, [&](const MemoryRegion& region) {
    const auto first = std::ranges::lower_bound(tensors, region.range.begin);
    if (first == tensors.end() || *first >= region.range.end) return false;
    return region.kind == RegionKind::kFile || *first == region.range.begin;
  });
}

}  // namespace

MemoryReport Engine::memory() const {
  const model::Model& model = *impl_->model;
  const engine::StepLoop& loop = *impl_->loop;
  MemoryReport report;
  report.weights_mapped = model.file().mapped_bytes();
  report.cache_reserved = loop.cache_bytes_reserved();
  report.cache_used = loop.cache_bytes_used();
  report.cache_cached = loop.cache_bytes_cached();
  report.workspace = loop.workspace_bytes();
  report.process_resident = process_resident_bytes();

  std::vector<MemoryRegion> regions = process_memory_map();
  report.weights_resident = take_weights(regions, model.file());
  report.weights_packed = take_ranges(regions, std::array{model.packed_range()});
  if (const model::Model* draft = impl_->draft_model.get(); draft != nullptr) {
    report.weights_mapped += draft->file().mapped_bytes();
    report.weights_resident += take_weights(regions, draft->file());
    report.weights_packed += take_ranges(regions, std::array{draft->packed_range()});
  }
  report.cache_resident = take_ranges(regions, loop.cache_ranges());
  report.workspace_resident = take_ranges(regions, loop.workspace_ranges());
  report.stacks = take_ranges(regions, thread_stacks());
  const auto of_kind = [&](RegionKind kind) {
    return take(regions, [&](const MemoryRegion& region) { return region.kind == kind; });
  };
  report.stacks += of_kind(RegionKind::kStack);
  report.code = of_kind(RegionKind::kFile);
  // What is left is the heap, as far as the allocator has taken memory at all.
  const uint64_t left = of_kind(RegionKind::kHeap) + of_kind(RegionKind::kAnonymous);
  const uint64_t heap = std::min(left, heap_use().taken);
  report.other = left - heap;
  report.tokenizer = std::min(heap, impl_->tokenizer_bytes);
  report.heap = heap - report.tokenizer;
  return report;
}

}  // namespace ruvllm
