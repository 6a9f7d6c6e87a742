// The CPU backend: a thread team and the kernels chosen for this processor.
//
// The kernel table is immutable after create(). Not thread-safe: one step runs at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "base/threads/thread_team.h"
#include "kernels/cpu/kernel_table.h"

namespace ruvllm::device {

// Instruction sets that this processor and this build can run, worst first; "generic" always.
std::vector<std::string> available_isas();

struct KernelChoice {
  std::string isa;
  kernels::KernelTable table;
};
// forced_isa "": the best. kInvalidArgument for an unknown name, kUnsupported for one that this
// processor lacks; both name the choices.
Result<KernelChoice> choose_kernels(std::string_view forced_isa);

// (operation, implementation), for reports: ("matmul q4_K", "avx2 ..."), ...
std::vector<std::pair<std::string, std::string>> describe_kernels(
    const kernels::KernelTable& table);

class CpuDevice {
 public:
  // num_threads 0: one a physical core, of the fast kind where there are several, as far as
  // affinity and cgroup quota allow; more than 256 is refused.
  static Result<std::unique_ptr<CpuDevice>> create(uint32_t num_threads,
                                                   std::string_view forced_isa);

  const std::string& isa() const { return choice_.isa; }
  const kernels::KernelTable& kernels() const { return choice_.table; }
  ThreadTeam& team() { return team_; }

 private:
  CpuDevice(KernelChoice choice, const ThreadTeamOptions& team)
      : choice_(std::move(choice)), team_(team) {}

  KernelChoice choice_;
  ThreadTeam team_;
};

}  // namespace ruvllm::device
