// Small reads from /proc and the cgroup file system.
#pragma once

#include <string>
#include <vector>

namespace ruvllm {

// The whole file, at most 64 KiB; empty when it cannot be read.
std::string read_small_file(const std::string& path);

// Folders of this process's cgroup (version 2) from its own up to the root; empty without one.
std::vector<std::string> cgroup_v2_folders();

}  // namespace ruvllm
