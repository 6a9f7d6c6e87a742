#include "base/system/cpu_info.h"
#include "base/system/memory_info.h"
#include "base/system/topology/cpu_topology.h"
#include "device/cpu_device.h"
#include <ruvllm/inspect.h>
#include <ruvllm/settings.h>

namespace ruvllm {

Result<SystemReport> describe_system(const std::string& cpu_isa) {
  RUVLLM_ASSIGN(const device::KernelChoice choice, device::choose_kernels(cpu_isa));
  const CpuAllowance allowance = cpu_allowance();
  const MemoryInfo memory = memory_info();
  SystemReport report;
  report.version = version();
  report.cpu_name = cpu_name();
  report.cpu_features = cpu_features().names();
  report.logical_processors = allowance.logical_processors;
  report.allowed_processors = allowance.affinity_processors;
  report.cpu_quota = allowance.cgroup_quota;
  const CpuTopology topology = cpu_topology();
  report.topology_source = topology.source;
  report.physical_cores = topology.num_cores;
  report.fast_cores = topology.num_fast_cores;
  report.memory_nodes = topology.num_memory_nodes;
  report.num_threads = topology.num_threads(allowance);
  report.memory_total = memory.total;
  report.memory_available = memory.available;
  report.memory_budget = memory.budget;
  report.memory_limit = memory.cgroup_limit;
  report.isa = choice.isa;
  report.isas_available = device::available_isas();
  report.kernels = device::describe_kernels(choice.table);
  report.devices = {"cpu"};
  return report;
}

}  // namespace ruvllm
