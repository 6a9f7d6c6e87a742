#include "api/hub/store/folders.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <sys/stat.h>

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

void collect(const fs::path& folder, const std::string& prefix, int depth,
             std::vector<std::string>& out) {
  if (depth == 0) return;
  for (const std::string& name : folder_names(folder)) {
    std::error_code error;
    const fs::file_status status = fs::symlink_status(folder / name, error);
    if (error) continue;
    if (fs::is_directory(status)) {
      collect(folder / name, prefix + name + "/", depth - 1, out);
    } else {
      out.push_back(prefix + name);
    }
  }
}

}  // namespace

std::vector<std::string> folder_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> files_below(const std::string& folder, int max_depth) {
  std::vector<std::string> files;
  collect(folder, "", max_depth, files);
  return files;
}

int64_t modified_seconds(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? int64_t{info.st_mtim.tv_sec} : 0;
}

void remove_empty_folders(const std::string& folder) {
  std::error_code ignored;
  for (const std::string& name : folder_names(folder)) {
    const fs::path path = fs::path(folder) / name;
    if (fs::is_directory(fs::symlink_status(path, ignored))) remove_empty_folders(path);
  }
  fs::remove(folder, ignored);  // fails, as wanted, if something is in it
}

}  // namespace ruvllm::hub
