// A file system for SQLite's tests, over the system's own: writes and syncs that fail on demand,
// and what a disk may hold after a power loss.
//
// Power loss: of each file, what was synced is there; of each sector of 512 bytes written since,
// the old or the new content; of its size, the old or the new one. Not thread-safe; one at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <sqlite3.h>

#include "base/core/check.h"
#include "base/numeric/random_stream.h"

namespace ruvllm::sona {

class FaultVfs {
 public:
  // Name to open databases with.
  static constexpr const char* kName = "fault";
  static constexpr size_t kSectorBytes = 512;

  enum class Fault { kNone, kDiskFull, kWriteFails, kSyncFails };

  FaultVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
    vfs_.zName = kName;
    vfs_.pAppData = this;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.xOpen = &FaultVfs::open;
    RUVLLM_CHECK(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
  }
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  ~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }

  // The operation of this kind after `num_good` good ones fails, and `num_bad` in all.
  void fail(Fault fault, uint64_t num_good, uint64_t num_bad) {
    fault_ = fault;
    num_good_ = num_good;
    num_bad_ = num_bad;
  }
  bool has_failed() const { return has_failed_; }

  // Called before each sync and after each write.
  void set_hook(std::function<void()> hook) { hook_ = std::move(hook); }

  // By path, what each file may hold if the power goes now.
  std::map<std::string, std::string> after_power_loss(uint64_t seed) const {
    const RandomStream random(seed);
    uint64_t count = 0;
    std::map<std::string, std::string> out;
    for (const auto& [path, image] : images_) {
      std::string content = image.current;
      content.resize(std::max(content.size(), image.synced.size()));
      for (size_t at = 0; at < content.size(); at += kSectorBytes) {
        if (random.bits(count++) % 2 == 0 || at >= image.synced.size()) continue;
        const size_t size = std::min(kSectorBytes, image.synced.size() - at);
        content.replace(at, size, image.synced, at, size);
      }
      content.resize(random.bits(count++) % 2 == 0 ? image.synced.size() : image.current.size());
      out[path] = std::move(content);
    }
    return out;
  }

 private:
  struct Image {
    std::string synced;
    std::string current;
  };
  struct File {
    sqlite3_file base;
    FaultVfs* owner;
    Image* image;  // of files that outlive a transaction; else null
  };

  static sqlite3_file* real_of(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + sizeof(File));
  }
  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

  bool fails(bool is_sync) {
    const bool is_meant = fault_ != Fault::kNone && (fault_ == Fault::kSyncFails) == is_sync;
    if (!is_meant) return false;
    if (num_good_ > 0) {
      --num_good_;
      return false;
    }
    if (num_bad_ == 0) return false;
    --num_bad_;
    has_failed_ = true;
    return true;
  }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
    auto* self = static_cast<FaultVfs*>(vfs->pAppData);
    File& own = of(file);
    own.base.pMethods = nullptr;
    own.owner = self;
    own.image = nullptr;
    const int code = self->real_->xOpen(self->real_, name, real_of(file), flags, out);
    if (code != SQLITE_OK) return code;
    own.base.pMethods = &kMethods;
    if (name != nullptr && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0) {
      own.image = &self->images_[name];
      self->load(file);
    }
    return SQLITE_OK;
  }

  // What is there at the start counts as synced.
  void load(sqlite3_file* file) {
    Image& image = *of(file).image;
    sqlite3_int64 size = 0;
    real_of(file)->pMethods->xFileSize(real_of(file), &size);
    std::string content(static_cast<size_t>(size), '\0');
    real_of(file)->pMethods->xRead(real_of(file), content.data(), static_cast<int>(size), 0);
    if (image.current == content) return;
    image.current = content;
    image.synced = content;
  }

  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    File& own = of(file);
    if (own.owner->fails(false)) {
      return own.owner->fault_ == Fault::kDiskFull ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    const int code = real_of(file)->pMethods->xWrite(real_of(file), data, size, offset);
    if (code != SQLITE_OK || own.image == nullptr) return code;
    std::string& current = own.image->current;
    const auto at = static_cast<size_t>(offset);
    const auto count = static_cast<size_t>(size);
    current.resize(std::max(current.size(), at + count));
    current.replace(at, count, static_cast<const char*>(data), count);
    if (own.owner->hook_) own.owner->hook_();
    return code;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    File& own = of(file);
    if (own.image != nullptr) own.image->current.resize(static_cast<size_t>(size));
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
  }
  static int sync(sqlite3_file* file, int flags) {
    File& own = of(file);
    if (own.owner->hook_) own.owner->hook_();
    if (own.owner->fails(true)) return SQLITE_IOERR_FSYNC;
    if (own.image != nullptr) own.image->synced = own.image->current;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
  }

  // The rest is the system's.
  static int close(sqlite3_file* f) { return real_of(f)->pMethods->xClose(real_of(f)); }
  static int read(sqlite3_file* f, void* to, int size, sqlite3_int64 offset) {
    return real_of(f)->pMethods->xRead(real_of(f), to, size, offset);
  }
  static int file_size(sqlite3_file* f, sqlite3_int64* size) {
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
  }
  static int lock(sqlite3_file* f, int level) {
    return real_of(f)->pMethods->xLock(real_of(f), level);
  }
  static int unlock(sqlite3_file* f, int level) {
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
  }
  static int check_lock(sqlite3_file* f, int* out) {
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
  }
  static int control(sqlite3_file* f, int operation, void* argument) {
    return real_of(f)->pMethods->xFileControl(real_of(f), operation, argument);
  }
  static int sector_size(sqlite3_file*) { return static_cast<int>(kSectorBytes); }
  static int characteristics(sqlite3_file*) { return 0; }  // promises nothing
  static int map_shared(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
  }
  static int lock_shared(sqlite3_file* f, int offset, int count, int flags) {
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, count, flags);
  }
  static void barrier(sqlite3_file* f) { real_of(f)->pMethods->xShmBarrier(real_of(f)); }
  static int unmap_shared(sqlite3_file* f, int is_deleted) {
    return real_of(f)->pMethods->xShmUnmap(real_of(f), is_deleted);
  }

  static constexpr sqlite3_io_methods kMethods{2,
                                               close,
                                               read,
                                               write,
                                               truncate,
                                               sync,
                                               file_size,
                                               lock,
                                               unlock,
                                               check_lock,
                                               control,
                                               sector_size,
                                               characteristics,
                                               map_shared,
                                               lock_shared,
                                               barrier,
                                               unmap_shared,
                                               nullptr,
                                               nullptr};

  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::map<std::string, Image> images_;
  std::function<void()> hook_;
  Fault fault_ = Fault::kNone;
  uint64_t num_good_ = 0;
  uint64_t num_bad_ = 0;
  bool has_failed_ = false;
};

}  // namespace ruvllm::sona
