#include "base/system/cpu_info.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include <sched.h>
#include <unistd.h>

#include "base/system/proc_files.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

namespace ruvllm {
namespace {

#if defined(__x86_64__)
// __builtin_cpu_supports lacks these two in the oldest compiler we build with.
bool cpuid_7_1_eax(int bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> bit & 1u) != 0;
}
bool cpuid_7_0_edx(int bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx >> bit & 1u) != 0;
}

// Linux lets a process use the tile registers (8 KiB a thread) only after it has asked for them;
// threads inherit the right. Older kernels, and signal stacks too small for the registers, say no.
bool may_use_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

#if defined(__aarch64__) && defined(__APPLE__)
bool sysctl_flag(const char* name) {
  int value = 0;
  size_t size = sizeof(value);
  return ::sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
#endif

CpuFeatures detect() {
  CpuFeatures found;
#if defined(__x86_64__)
  __builtin_cpu_init();
  found.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("f16c");
  // These ask XCR0 too, whether the operating system saves the registers.
  found.avx512 = found.avx2 && __builtin_cpu_supports("avx512f") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl");
  found.avx512_vnni = found.avx512 && __builtin_cpu_supports("avx512vnni");
  found.avx512_bf16 = found.avx512 && cpuid_7_1_eax(5);
  found.avx_vnni = found.avx2 && cpuid_7_1_eax(4);
  found.amx_int8 = found.avx512 && cpuid_7_0_edx(24) && cpuid_7_0_edx(25) && may_use_tiles();
#elif defined(__aarch64__) && defined(__APPLE__)
  found.neon_dotprod = sysctl_flag("hw.optional.arm.FEAT_DotProd");
  found.neon_i8mm = sysctl_flag("hw.optional.arm.FEAT_I8MM");
#elif defined(__aarch64__) && defined(__linux__)
  found.neon_dotprod = (::getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  found.neon_i8mm = (::getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#endif
  return found;
}

uint32_t online_processors() {
  const long logical = ::sysconf(_SC_NPROCESSORS_ONLN);
  return logical > 0 ? static_cast<uint32_t>(logical) : 1;
}

// The tightest quota from our cgroup up to the root; version 2, then version 1.
double cgroup_cpu_quota() {
  double tightest = 0.0;
  for (const std::string& folder : cgroup_v2_folders()) {
    const double quota = parse_cpu_max(read_small_file(folder + "/cpu.max"));
    if (quota > 0.0 && (tightest == 0.0 || quota < tightest)) tightest = quota;
  }
  if (tightest > 0.0) return tightest;
  const std::string v1 = "/sys/fs/cgroup/cpu/cpu.cfs_";
  return parse_cpu_max(read_small_file(v1 + "quota_us") + " " + read_small_file(v1 + "period_us"));
}

}  // namespace

std::vector<std::string> CpuFeatures::names() const {
  const std::pair<bool, const char*> all[] = {{avx2, "avx2"},
                                              {avx512, "avx512"},
                                              {avx512_vnni, "avx512_vnni"},
                                              {avx512_bf16, "avx512_bf16"},
                                              {avx_vnni, "avx_vnni"},
                                              {amx_int8, "amx_int8"},
                                              {neon_dotprod, "neon_dotprod"},
                                              {neon_i8mm, "neon_i8mm"}};
  std::vector<std::string> found;
  for (const auto& [present, name] : all) {
    if (present) found.emplace_back(name);
  }
  return found;
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures kFeatures = detect();
  return kFeatures;
}

uint32_t CpuAllowance::num_threads() const {
  uint32_t threads = affinity_processors;
  if (cgroup_quota > 0.0) {
    threads = std::min(threads, static_cast<uint32_t>(std::ceil(cgroup_quota)));
  }
  return std::max(threads, 1u);
}

std::vector<uint32_t> allowed_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<uint32_t> processors;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (uint32_t i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) processors.push_back(i);
    }
  }
  if (processors.empty()) {  // more than the set holds
    processors.resize(online_processors());
    std::iota(processors.begin(), processors.end(), 0u);
  }
  return processors;
}

CpuAllowance cpu_allowance() {
  CpuAllowance allowance;
  allowance.logical_processors = online_processors();
  allowance.affinity_processors = static_cast<uint32_t>(allowed_processors().size());
  allowance.cgroup_quota = cgroup_cpu_quota();
  return allowance;
}

std::string cpu_name() {
  const std::string info = read_small_file("/proc/cpuinfo");
  const size_t key = info.find("model name");
  if (key == std::string::npos) return "unknown";
  const size_t colon = info.find(':', key);
  const size_t end = info.find('\n', key);
  if (colon == std::string::npos || end == std::string::npos || colon + 2 > end) return "unknown";
  return info.substr(colon + 2, end - colon - 2);
}

double parse_cpu_max(std::string_view text) {
  double quota = 0.0, period = 0.0;
  const char* end = text.data() + text.size();
  const auto [after_quota, quota_error] = std::from_chars(text.data(), end, quota);
  if (quota_error != std::errc()) return 0.0;  // "max", or empty
  const char* rest = after_quota;
  while (rest != end && (*rest == ' ' || *rest == '\n')) ++rest;
  const auto [after_period, period_error] = std::from_chars(rest, end, period);
  if (period_error != std::errc() || !(quota > 0.0) || !(period > 0.0)) return 0.0;
  return quota / period;
}

}  // namespace ruvllm
