#include "base/system/proc_files.h"

#include <fcntl.h>
#include <unistd.h>

namespace ruvllm {

std::string read_small_file(const std::string& path) {
  constexpr size_t kMaxBytes = 64 * 1024;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string content(kMaxBytes, '\0');
  size_t size = 0;
  while (size < kMaxBytes) {
    const ssize_t got = ::read(fd, content.data() + size, kMaxBytes - size);
    if (got <= 0) break;
    size += static_cast<size_t>(got);
  }
  ::close(fd);
  content.resize(size);
  return content;
}

std::vector<std::string> cgroup_v2_folders() {
  const std::string membership = read_small_file("/proc/self/cgroup");
  const size_t line = membership.find("0::");
  if (line == std::string::npos) return {};
  std::string path = membership.substr(line + 3, membership.find('\n', line) - line - 3);
  std::vector<std::string> folders;
  while (!path.empty() && path != "/") {
    folders.push_back("/sys/fs/cgroup" + path);
    path.resize(path.rfind('/'));
  }
  folders.emplace_back("/sys/fs/cgroup");
  return folders;
}

}  // namespace ruvllm
