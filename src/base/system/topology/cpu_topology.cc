#include "base/system/topology/cpu_topology.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/system/proc_files.h"
#include "base/system/topology/hwloc_topology.h"

namespace ruvllm {
namespace {

constexpr uint32_t kMostProcessors = 1 << 16;  // more are nonsense

bool has(std::span<const uint32_t> numbers, uint32_t number) {
  return std::ranges::find(numbers, number) != numbers.end();
}

// Intel's kernels name the fast cores; Arm's give every processor a capacity.
std::vector<uint32_t> fast_of(const std::string& folder, std::span<const uint32_t> allowed) {
  const std::vector<uint32_t> named =
      parse_processor_list(read_small_file(folder + "/devices/cpu_core/cpus"));
  std::vector<uint32_t> capacities;
  for (const uint32_t processor : allowed) {
    const std::string text = read_small_file(folder + "/devices/system/cpu/cpu" +
                                             std::to_string(processor) + "/cpu_capacity");
    uint32_t capacity = 0;
    std::from_chars(text.data(), text.data() + text.size(), capacity);
    capacities.push_back(has(named, processor) ? UINT32_MAX : capacity);
  }
  const uint32_t most = capacities.empty() ? 0 : std::ranges::max(capacities);
  std::vector<uint32_t> fast;
  for (size_t i = 0; i < allowed.size(); ++i) {
    if (capacities[i] == most) fast.push_back(allowed[i]);
  }
  return fast;
}

}  // namespace

std::vector<uint32_t> parse_processor_list(const std::string& list) {
  std::vector<uint32_t> numbers;
  const char* at = list.data();
  const char* const end = at + list.size();
  for (;;) {
    uint32_t first = 0, last = 0;
    const auto begun = std::from_chars(at, end, first);
    if (begun.ec != std::errc()) return numbers;
    at = begun.ptr;
    last = first;
    if (at != end && *at == '-') {
      const auto ended = std::from_chars(at + 1, end, last);
      if (ended.ec != std::errc()) return numbers;
      at = ended.ptr;
    }
    if (last >= kMostProcessors) return numbers;
    for (uint32_t number = first; number <= last; ++number) numbers.push_back(number);
    if (at == end || *at != ',') return numbers;
    ++at;
  }
}

CpuTopology read_sys_topology(const std::string& sys_folder, std::span<const uint32_t> allowed) {
  std::set<std::string> cores, fast_cores, packages;
  CpuTopology topology;
  topology.source = "/sys";
  topology.fast_processors = fast_of(sys_folder, allowed);
  for (const uint32_t processor : allowed) {
    const std::string folder =
        sys_folder + "/devices/system/cpu/cpu" + std::to_string(processor) + "/topology/";
    const std::string siblings = read_small_file(folder + "thread_siblings_list");
    // Without a word about siblings a processor is a core.
    const std::string core = siblings.empty() ? std::to_string(processor) : siblings;
    if (siblings.empty()) topology.source = "none";
    cores.insert(core);
    if (has(topology.fast_processors, processor)) fast_cores.insert(core);
    packages.insert(read_small_file(folder + "physical_package_id"));
  }
  std::set<uint32_t> nodes;
  for (const uint32_t node :
       parse_processor_list(read_small_file(sys_folder + "/devices/system/node/online"))) {
    const std::vector<uint32_t> members = parse_processor_list(read_small_file(
        sys_folder + "/devices/system/node/node" + std::to_string(node) + "/cpulist"));
    if (std::ranges::any_of(members, [&](uint32_t member) { return has(allowed, member); })) {
      nodes.insert(node);
    }
  }
  const auto count = [](const auto& set) {
    return std::max(1u, static_cast<uint32_t>(set.size()));
  };
  topology.num_processors = count(allowed);
  topology.num_cores = count(cores);
  topology.num_fast_cores = count(fast_cores);
  topology.num_packages = count(packages);
  topology.num_memory_nodes = count(nodes);
  return topology;
}

CpuTopology cpu_topology() {
  const std::vector<uint32_t> allowed = allowed_processors();
  if (const Result<CpuTopology> found = read_hwloc_topology("", allowed)) return *found;
  return read_sys_topology("/sys", allowed);
}

Result<CpuTopology> describe_topology(const std::string& description,
                                      std::span<const uint32_t> allowed) {
  if (description.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the description of the processors is empty");
  }
  return read_hwloc_topology(description, allowed);
}

}  // namespace ruvllm
