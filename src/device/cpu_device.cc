#include "device/cpu_device.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "base/system/cpu_info.h"
#include "base/system/topology/cpu_topology.h"
#include "tensor/dtype.h"

namespace ruvllm::device {
namespace {

struct Isa {
  const char* name;
  bool (*supported)(const CpuFeatures& features);
  void (*overlay)(kernels::KernelTable& table);
};

// Worst first: each is laid over the ones before it.
constexpr Isa kIsas[] = {
    {"generic", [](const CpuFeatures&) { return true; }, kernels::fill_generic},
#if defined(__x86_64__)
    {"avx2", [](const CpuFeatures& features) { return features.avx2; }, kernels::overlay_avx2},
    {"avx_vnni", [](const CpuFeatures& features) { return features.avx_vnni; },
     kernels::overlay_avx_vnni},
    {"avx512",
     [](const CpuFeatures& features) {
       return features.avx2 && features.avx512 && features.avx512_vnni;
     },
     kernels::overlay_avx512},
    {"amx", [](const CpuFeatures& features) { return features.avx512_vnni && features.amx_int8; },
     kernels::overlay_amx},
#elif defined(__aarch64__)
    {"neon", [](const CpuFeatures&) { return true; }, kernels::overlay_neon},
    {"neon_dotprod", [](const CpuFeatures& features) { return features.neon_dotprod; },
     kernels::overlay_neon_dotprod},
    {"neon_i8mm",
     [](const CpuFeatures& features) { return features.neon_dotprod && features.neon_i8mm; },
     kernels::overlay_neon_i8mm},
#endif
};

// Threads as many as the fast cores stay on these; others may go anywhere.
ThreadTeamOptions choose_team(uint32_t num_threads) {
  const CpuTopology topology = cpu_topology();
  ThreadTeamOptions team;
  team.num_threads = num_threads != 0 ? num_threads : topology.num_threads(cpu_allowance());
  if (topology.is_hybrid() && team.num_threads <= topology.num_fast_cores) {
    team.processors = topology.fast_processors;
  }
  return team;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : kIsas) {
    if (isa.supported(cpu_features())) names.emplace_back(isa.name);
  }
  return names;
}

Result<KernelChoice> choose_kernels(std::string_view forced_isa) {
  const bool known = forced_isa.empty() || std::ranges::any_of(kIsas, [&](const Isa& isa) {
                       return isa.name == forced_isa;
                     });
  const std::vector<std::string> available = available_isas();
  if (!known) {
    return fail(ErrorCode::kInvalidArgument,
                "instruction set '{}' is unknown; this machine has: {}", forced_isa,
                fmt::join(available, ", "));
  }
  if (!forced_isa.empty() && std::ranges::find(available, forced_isa) == available.end()) {
    return fail(ErrorCode::kUnsupported,
                "instruction set '{}' is not supported by this processor; it has: {}", forced_isa,
                fmt::join(available, ", "));
  }
  KernelChoice choice;
  for (const Isa& isa : kIsas) {
    if (!isa.supported(cpu_features())) continue;
    isa.overlay(choice.table);
    choice.isa = isa.name;
    if (choice.isa == forced_isa) break;
  }
  return choice;
}

std::vector<std::pair<std::string, std::string>> describe_kernels(
    const kernels::KernelTable& table) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (size_t i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    rows.emplace_back(fmt::format("matmul {}", dtype_info(dtype).name),
                      table.product(dtype, kernels::kWeightGroup).name);
  }
  rows.emplace_back("elementwise", table.elementwise.name);
  rows.emplace_back("attention", table.attention.name);
  return rows;
}

Result<std::unique_ptr<CpuDevice>> CpuDevice::create(uint32_t num_threads,
                                                     std::string_view forced_isa) {
  if (num_threads > kMaxTeamThreads) {
    return fail(ErrorCode::kInvalidArgument, "{} threads asked for; the limit is {}", num_threads,
                kMaxTeamThreads);
  }
  RUVLLM_ASSIGN(KernelChoice choice, choose_kernels(forced_isa));
  std::unique_ptr<CpuDevice> device(new CpuDevice(std::move(choice), choose_team(num_threads)));
  RUVLLM_TRY(device->team_.status());
  return device;
}

}  // namespace ruvllm::device
