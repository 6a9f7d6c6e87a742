// Which files of a repository make up the model that a name means. The same for the listing of a
// server and for what lies in the cache.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"

namespace ruvllm::hub {

struct RepositoryFile {
  std::string path;
  uint64_t size = 0;
  std::string blob;  // SHA-256 of large files, git's SHA-1 of small ones: the name of its blob
};

struct Selection {
  std::string selector;   // what names this model among those of the repository; "": safetensors
  std::string main_path;  // of the file to open; "": the folder itself
  std::vector<RepositoryFile> files;
};

// `selector` "": Q4_K_M, else Q8_0, else F16, else safetensors, else the only GGUF there is.
// `what` names the repository in errors, which list what there is.
Result<Selection> select_files(const std::vector<RepositoryFile>& files, std::string_view selector,
                               std::string_view what);

// All models among the files; incomplete sets are left out.
std::vector<Selection> all_selections(const std::vector<RepositoryFile>& files);

}  // namespace ruvllm::hub
