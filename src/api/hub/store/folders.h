// Walking folders that other programs write too: what cannot be read is left out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ruvllm::hub {

// Names in a folder, sorted; empty if it cannot be read.
std::vector<std::string> folder_names(const std::string& folder);
// Paths of all files and links below, relative to it, sorted; at most `max_depth` folders deep.
std::vector<std::string> files_below(const std::string& folder, int max_depth = 6);
// Seconds since 1970; 0 if unknown.
int64_t modified_seconds(const std::string& path);
// Removes `folder` and the folders in it that hold no files.
void remove_empty_folders(const std::string& folder);

}  // namespace ruvllm::hub
