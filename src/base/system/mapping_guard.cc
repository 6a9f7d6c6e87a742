#include "base/system/mapping_guard.h"

#include <cerrno>
#include <csignal>
#include <mutex>

#include <sys/mman.h>
#include <unistd.h>

namespace ruvllm {
namespace {

using Record = MappingGuard::Record;

static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "the signal handler must not lock");

std::mutex g_mutex;  // of those who write records; the handler never takes it
std::atomic<Record*> g_records{nullptr};
struct sigaction g_previous{};
uintptr_t g_page_bytes = 4096;

// The end of the range that `address` lies in, or 0. A guarded range that is being read is not
// being changed, so records that change meanwhile cannot be the one sought.
uintptr_t find_damaged(uintptr_t address) {
  for (Record* record = g_records.load(); record != nullptr; record = record->next) {
    const uint32_t version = record->version.load();
    const uintptr_t begin = record->begin.load(), end = record->end.load();
    if (version % 2 != 0 || record->version.load() != version) continue;
    if (address < begin || address >= end) continue;
    record->damaged.store(true);
    return end;
  }
  return 0;
}

// The rest of the mapping, not the page alone: of a large model that was cut off, every page would
// otherwise cost a signal.
bool replace_by_zeros(uintptr_t address) {
  const uintptr_t end = find_damaged(address);
  if (end == 0) return false;
  const uintptr_t first = address & ~(g_page_bytes - 1);
  void* const page = reinterpret_cast<void*>(first);
  return ::mmap(page, end - first, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
         MAP_FAILED;
}

void pass_on(int signal_number, siginfo_t* info, void* context) {
  if ((g_previous.sa_flags & SA_SIGINFO) != 0) {
    g_previous.sa_sigaction(signal_number, info, context);
    return;
  }
  const bool fault = info->si_code > 0;  // raised by the kernel, not sent by a process
  if (g_previous.sa_handler == SIG_IGN && !fault) return;
  if (g_previous.sa_handler == SIG_DFL || g_previous.sa_handler == SIG_IGN) {
    // A faulting access is repeated after the return and now ends the process, as it would have.
    ::signal(signal_number, SIG_DFL);
    if (!fault) ::raise(signal_number);
    return;
  }
  g_previous.sa_handler(signal_number);
}

void handle_bus_error(int signal_number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool fault = info->si_code > 0;
  if (!fault || !replace_by_zeros(reinterpret_cast<uintptr_t>(info->si_addr))) {
    pass_on(signal_number, info, context);
  }
  errno = saved_errno;
}

void install_handler() {
  g_page_bytes = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction action{};
  action.sa_sigaction = handle_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  // The previous action first: the new handler may run before sigaction() returns.
  ::sigaction(SIGBUS, nullptr, &g_previous);
  ::sigaction(SIGBUS, &action, nullptr);
}

void set_range(Record& record, uintptr_t begin, uintptr_t end) {
  record.version.fetch_add(1);
  record.begin.store(begin);
  record.end.store(end);
  record.damaged.store(false);
  record.version.fetch_add(1);
}

}  // namespace

MappingGuard::MappingGuard(const std::byte* data, size_t size) {
  static std::once_flag installed;
  std::call_once(installed, install_handler);
  const std::lock_guard lock(g_mutex);
  record_ = g_records.load();
  while (record_ != nullptr && record_->end.load() != 0) record_ = record_->next;
  if (record_ == nullptr) {
    record_ = new Record();
    record_->next = g_records.load();
    g_records.store(record_);
  }
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t end = (begin + size + g_page_bytes - 1) / g_page_bytes * g_page_bytes;
  set_range(*record_, begin, end);
}

void MappingGuard::release() {
  if (record_ == nullptr) return;
  const std::lock_guard lock(g_mutex);
  set_range(*record_, 0, 0);
  record_ = nullptr;
}

}  // namespace ruvllm
