// What the processor can do and how much of it we may use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm {

struct CpuFeatures {
  bool avx2 = false;    // with FMA and F16C
  bool avx512 = false;  // F, BW, DQ, VL, and all of avx2
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool avx_vnni = false;
  bool amx_int8 = false;  // with the right to its tiles
  bool neon_dotprod = false;
  bool neon_i8mm = false;

  // Lower-case names of what is there.
  std::vector<std::string> names() const;
};

// Features that both the processor and the operating system support. Cached; thread-safe.
const CpuFeatures& cpu_features();

struct CpuAllowance {
  uint32_t logical_processors = 1;   // in the machine
  uint32_t affinity_processors = 1;  // in this process's affinity mask
  double cgroup_quota = 0.0;         // processors' worth of time a period; 0: no limit
  // min(affinity, quota rounded up), at least 1: more threads than that only wait for each other.
  uint32_t num_threads() const;
};
CpuAllowance cpu_allowance();

// The numbers of the processors in this process's affinity mask; never empty.
std::vector<uint32_t> allowed_processors();

std::string cpu_name();

// "max 100000" or "150000 100000" (cgroup v2 cpu.max) as processors; 0 for no limit or nonsense.
double parse_cpu_max(std::string_view text);

}  // namespace ruvllm
