#include "base/threads/thread_priority.h"

#include <cerrno>
#include <system_error>

#include <sys/resource.h>

namespace ruvllm {

Status lower_thread_priority() {
#if defined(__APPLE__)
  const int result = setpriority(PRIO_DARWIN_THREAD, 0, PRIO_DARWIN_BG);
#else
  constexpr int kLowest = 19;
  // Of Linux, against POSIX: 0 is the calling thread, not its process (sched(7)).
  const int result = setpriority(PRIO_PROCESS, 0, kLowest);
#endif
  if (result == 0) return {};
  return fail(ErrorCode::kUnavailable, "the system does not lower a thread's priority: {}",
              std::generic_category().message(errno));
}

}  // namespace ruvllm
