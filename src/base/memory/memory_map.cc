#include "base/memory/memory_map.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace ruvllm {
namespace {

// "7f00-7f10 rw-p 00000000 00:00 0    [heap]": the range and what follows the inode.
struct Header {
  MemoryRange range;
  std::string_view name;
};
std::optional<Header> parse_header(std::string_view line) {
  Header header;
  const char* const end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, header.range.begin, 16);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, header.range.end, 16);
  if (second.ec != std::errc()) return std::nullopt;
  // Permissions, offset, device and inode come before the name.
  std::string_view rest(second.ptr, static_cast<size_t>(end - second.ptr));
  for (int field = 0; field < 4; ++field) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    rest.remove_prefix(std::min(rest.find(' '), rest.size()));
  }
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  header.name = rest;
  return header;
}

RegionKind kind_of(const Header& header, const std::vector<MemoryRegion>& before) {
  if (header.name == "[heap]") return RegionKind::kHeap;
  if (header.name.starts_with("[stack")) return RegionKind::kStack;
  if (header.name.starts_with("[v") || header.name.starts_with('/')) return RegionKind::kFile;
  // The loader maps a file's zeroed data without a name, right behind the file.
  const bool follows_file = header.name.empty() && !before.empty() &&
                            before.back().kind == RegionKind::kFile &&
                            before.back().range.end == header.range.begin;
  return follows_file ? RegionKind::kFile : RegionKind::kAnonymous;
}

}  // namespace

std::vector<MemoryRegion> parse_memory_map(std::string_view smaps) {
  constexpr std::string_view kResident = "Rss:";
  std::vector<MemoryRegion> regions;
  while (!smaps.empty()) {
    const size_t length = std::min(smaps.find('\n'), smaps.size());
    std::string_view line = smaps.substr(0, length);
    smaps.remove_prefix(std::min(length + 1, smaps.size()));
    if (line.starts_with(kResident) && !regions.empty()) {
      line.remove_prefix(std::min(line.find_first_of("0123456789"), line.size()));
      uint64_t kib = 0;
      std::from_chars(line.data(), line.data() + line.size(), kib);
      regions.back().resident = kib * 1024;
    } else if (const std::optional<Header> header = parse_header(line)) {
      regions.push_back({header->range, kind_of(*header, regions), 0});
    }
  }
  return regions;
}

std::vector<MemoryRegion> process_memory_map() {
  std::ifstream file("/proc/self/smaps");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return parse_memory_map(text);
}

HeapUse heap_use() {
#if defined(__GLIBC__)
  const struct mallinfo2 info = ::mallinfo2();
  return {info.uordblks + info.hblkhd, info.arena + info.hblkhd};
#else
  return {};
#endif
}

}  // namespace ruvllm
