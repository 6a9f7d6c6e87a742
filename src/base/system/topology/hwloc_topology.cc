#include "base/system/topology/hwloc_topology.h"

#if defined(RUVLLM_HAS_HWLOC)

#include <algorithm>
#include <memory>

#include <hwloc.h>

namespace ruvllm {
namespace {

struct DestroyTopology {
  void operator()(hwloc_topology* topology) const { ::hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, DestroyTopology>;

struct FreeBitmap {
  void operator()(hwloc_bitmap_s* bitmap) const { ::hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, FreeBitmap>;

std::unexpected<Error> failure(const char* what) {
  return fail(ErrorCode::kUnsupported, "hwloc cannot {} the topology of the processors", what);
}

Result<Topology> load(const std::string& description, std::span<const uint32_t> allowed) {
  hwloc_topology_t raw = nullptr;
  if (::hwloc_topology_init(&raw) != 0) return failure("begin");
  Topology topology(raw);
  int status = 0;
  if (description.starts_with('<')) {
    // With its final zero.
    status = ::hwloc_topology_set_xmlbuffer(raw, description.c_str(),
                                            static_cast<int>(description.size() + 1));
  } else if (!description.empty()) {
    status = ::hwloc_topology_set_synthetic(raw, description.c_str());
  }
  if (status != 0) return failure("understand");
  if (::hwloc_topology_load(raw) != 0) return failure("read");
  if (allowed.empty()) return topology;
  const Bitmap processors(::hwloc_bitmap_alloc());
  if (processors == nullptr) return failure("restrict");
  for (const uint32_t processor : allowed) ::hwloc_bitmap_set(processors.get(), processor);
  if (::hwloc_topology_restrict(raw, processors.get(), 0) != 0) return failure("restrict");
  return topology;
}

// Processors of the most capable kind; all if there is one kind, or hwloc cannot rank them.
Bitmap fast_processors(hwloc_topology_t topology) {
  Bitmap fast(::hwloc_bitmap_dup(::hwloc_topology_get_topology_cpuset(topology)));
  const int kinds = ::hwloc_cpukinds_get_nr(topology, 0);
  if (fast == nullptr || kinds < 2) return fast;
  // Ranked by rising capability. One that has none of our processors does not count.
  const Bitmap of_kind(::hwloc_bitmap_alloc());
  for (unsigned kind = static_cast<unsigned>(kinds); kind-- > 0;) {
    int efficiency = -1;
    ::hwloc_cpukinds_get_info(topology, kind, of_kind.get(), &efficiency, nullptr, nullptr, 0);
    if (efficiency < 0) return fast;
    if (::hwloc_bitmap_intersects(of_kind.get(), fast.get()) == 0) continue;
    ::hwloc_bitmap_and(fast.get(), fast.get(), of_kind.get());
    return fast;
  }
  return fast;
}

uint32_t count(hwloc_topology_t topology, hwloc_obj_type_t type) {
  return static_cast<uint32_t>(std::max(0, ::hwloc_get_nbobjs_by_type(topology, type)));
}

// Of objects that have some of `processors`; memory without processors of ours stays in a
// restricted topology, and the packages around it.
uint32_t count_of(hwloc_topology_t topology, hwloc_obj_type_t type,
                  hwloc_const_bitmap_t processors) {
  uint32_t number = 0;
  for (uint32_t i = 0; i < count(topology, type); ++i) {
    hwloc_obj* const object = ::hwloc_get_obj_by_type(topology, type, i);
    if (::hwloc_bitmap_intersects(object->cpuset, processors) != 0) ++number;
  }
  return number;
}

}  // namespace

Result<CpuTopology> read_hwloc_topology(const std::string& description,
                                        std::span<const uint32_t> allowed) {
  RUVLLM_ASSIGN(const Topology loaded, load(description, allowed));
  hwloc_topology* const topology = loaded.get();
  CpuTopology found;
  found.source = "hwloc";
  found.num_processors = count(topology, HWLOC_OBJ_PU);
  found.num_cores = count(topology, HWLOC_OBJ_CORE);
  if (found.num_processors == 0 || found.num_cores == 0) return failure("find cores in");
  const hwloc_const_bitmap_t all = ::hwloc_topology_get_topology_cpuset(topology);
  found.num_packages = std::max(1u, count_of(topology, HWLOC_OBJ_PACKAGE, all));
  found.num_memory_nodes = std::max(1u, count_of(topology, HWLOC_OBJ_NUMANODE, all));
  const Bitmap fast = fast_processors(topology);
  if (fast == nullptr) return failure("rank");
  found.num_fast_cores = count_of(topology, HWLOC_OBJ_CORE, fast.get());
  for (int processor = ::hwloc_bitmap_first(fast.get()); processor >= 0;
       processor = ::hwloc_bitmap_next(fast.get(), processor)) {
    found.fast_processors.push_back(static_cast<uint32_t>(processor));
  }
  return found;
}

}  // namespace ruvllm

#else

namespace ruvllm {

Result<CpuTopology> read_hwloc_topology(const std::string& /*description*/,
                                        std::span<const uint32_t> /*allowed*/) {
  return fail(ErrorCode::kUnsupported, "this build has no hwloc");
}

}  // namespace ruvllm

#endif
