#include "base/system/memory_info.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include <sys/resource.h>
#include <unistd.h>

#include "base/system/proc_files.h"

namespace ruvllm {
namespace {

// The number after `key` in "Key:   123 kB" text; 0 if absent.
uint64_t number_after(const std::string& text, std::string_view key) {
  size_t at = text.find(key);
  if (at == std::string::npos) return 0;
  at += key.size();
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  uint64_t value = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), value);
  return value;
}

}  // namespace

MemoryInfo memory_info() {
  const std::string meminfo = read_small_file("/proc/meminfo");
  MemoryInfo info;
  info.total = number_after(meminfo, "MemTotal:") * 1024;
  info.available = number_after(meminfo, "MemAvailable:") * 1024;
  info.budget = info.available;
  for (const std::string& folder : cgroup_v2_folders()) {
    const uint64_t limit = number_after(read_small_file(folder + "/memory.max"), "");
    if (limit == 0) continue;  // "max", or no such file
    if (info.cgroup_limit == 0 || limit < info.cgroup_limit) info.cgroup_limit = limit;
    const uint64_t used = number_after(read_small_file(folder + "/memory.current"), "");
    info.budget = std::min(info.budget, limit > used ? limit - used : 0);
  }
  return info;
}

uint64_t process_resident_bytes() {
  const std::string statm = read_small_file("/proc/self/statm");
  const size_t space = statm.find(' ');
  if (space == std::string::npos) return 0;
  return number_after(statm.substr(space), "") * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t process_peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace ruvllm
