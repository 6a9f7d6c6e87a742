#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "cache/snapshot/snapshot.h"
#include "cache/snapshot/snapshot_format.h"

namespace ruvllm::cache {
namespace {

std::unexpected<Error> system_failure(const std::string& path, const char* what) {
  return fail(ErrorCode::kUnavailable, "{}: cannot {}: {}", path, what, std::strerror(errno));
}

// A file beside `path` that takes its place when it is complete; until then it goes with the
// object.
class NewFile {
 public:
  explicit NewFile(std::string path)
      : path_(std::move(path)), new_path_(fmt::format("{}.{}.tmp", path_, ::getpid())) {}
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (fd_ >= 0) ::close(fd_);
    if (is_there_) ::unlink(new_path_.c_str());
  }

  Status open() {
    ::unlink(new_path_.c_str());  // of a process of this number that ended in the middle
    fd_ = ::open(new_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd_ < 0) return system_failure(new_path_, "create");
    is_there_ = true;
    return {};
  }

  Status write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return system_failure(new_path_, "write");
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return {};
  }

  // A rename lasts only once the folder is on disk, too.
  Status replace() {
    if (::fsync(fd_) != 0) return system_failure(new_path_, "write to disk");
    if (std::rename(new_path_.c_str(), path_.c_str()) != 0) return system_failure(path_, "replace");
    is_there_ = false;
    const std::string parent = std::filesystem::path(path_).parent_path().string();
    const int folder =
        ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return system_failure(path_, "open the folder");
    const bool is_synced = ::fsync(folder) == 0;
    ::close(folder);
    return is_synced ? Status() : system_failure(path_, "write the folder to disk");
  }

 private:
  std::string path_;
  std::string new_path_;
  int fd_ = -1;
  bool is_there_ = false;
};

// Blocks by worth; of a chain the earlier ones first, as those behind them need them.
std::vector<uint32_t> blocks_by_worth(const KvCache& cache) {
  const PrefixIndex& index = cache.index();
  std::vector<std::pair<uint64_t, uint32_t>> order;  // worth, block
  for (uint32_t i = 0; i < index.end_of_blocks(); ++i) {
    const PrefixBlock& block = index.block(i);
    if (block.is_used == 0) continue;
    uint64_t worth = 0;
    for (const Tier tier : {Tier::kBinary16, Tier::kStored}) {
      if (block.page(tier) == PrefixBlock::kNoPage) continue;
      worth = std::max(worth, cache.pool(tier).worth_of(block.page(tier)));
    }
    order.emplace_back(worth, i);
  }
  std::ranges::sort(order, [&](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first > b.first;
    return index.block(a.second).depth < index.block(b.second).depth;
  });
  std::vector<uint32_t> blocks(order.size());
  std::ranges::transform(order, blocks.begin(), [](const auto& each) { return each.second; });
  return blocks;
}

SnapshotBlock describe(const PrefixBlock& block) {
  SnapshotBlock out{};
  out.parent = block.parent;
  out.hash = block.hash;
  out.depth = block.depth;
  out.num_tokens = block.num_tokens;
  for (size_t i = 0; i < kNumTiers; ++i) {
    if (block.pages[i] != PrefixBlock::kNoPage) out.tiers |= 1u << i;
  }
  std::ranges::copy(block.tokens(), out.tokens.begin());
  return out;
}

uint64_t bytes_of(const PrefixBlock& block, const SnapshotHeader& header) {
  uint64_t bytes = sizeof(SnapshotBlock);
  for (size_t i = 0; i < kNumTiers; ++i) {
    if (block.pages[i] != PrefixBlock::kNoPage) bytes += header.page_bytes[i];
  }
  return bytes;
}

Status write_block(NewFile& file, const KvCache& cache, const PrefixBlock& block) {
  SnapshotBlock record = describe(block);
  SipHasher hasher(cache.index().key());
  hasher.add(record.covered());
  std::array<std::span<const std::byte>, kNumTiers> pages;
  for (size_t i = 0; i < kNumTiers; ++i) {
    if (block.pages[i] == PrefixBlock::kNoPage) continue;
    pages[i] = cache.pool(static_cast<Tier>(i)).bytes_of(block.pages[i]);
    hasher.add(pages[i]);
  }
  record.checksum = hasher.finish();
  RUVLLM_TRY(file.write(std::as_bytes(std::span(&record, 1))));
  for (const std::span<const std::byte> page : pages) RUVLLM_TRY(file.write(page));
  return {};
}

}  // namespace

Result<SnapshotReport> save_snapshot(const KvCache& cache, const std::string& path,
                                     Hash128 fingerprint, uint64_t max_bytes) {
  SnapshotHeader header{};
  header.magic = SnapshotHeader::kMagic;
  header.version = SnapshotHeader::kVersion;
  header.fingerprint = fingerprint;
  header.key = cache.index().key();
  header.page_bytes[0] = cache.pages().page_bytes();
  if (cache.has_store()) header.page_bytes[1] = cache.store().page_bytes();

  const std::vector<uint32_t> blocks = blocks_by_worth(cache);
  SnapshotReport report;
  report.bytes = sizeof(header);
  for (const uint32_t block : blocks) {
    const uint64_t bytes = bytes_of(cache.index().block(block), header);
    if (report.bytes + bytes > max_bytes) break;
    report.bytes += bytes;
    ++report.num_blocks;
  }
  report.num_left_out = static_cast<uint32_t>(blocks.size()) - report.num_blocks;
  header.num_blocks = report.num_blocks;
  header.checksum = header_checksum(header);

  NewFile file(path);
  RUVLLM_TRY(file.open());
  RUVLLM_TRY(file.write(std::as_bytes(std::span(&header, 1))));
  for (uint32_t i = 0; i < report.num_blocks; ++i) {
    RUVLLM_TRY(write_block(file, cache, cache.index().block(blocks[i])));
  }
  RUVLLM_TRY(file.replace());
  return report;
}

}  // namespace ruvllm::cache
