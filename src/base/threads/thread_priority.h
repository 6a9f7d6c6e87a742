// Threads that yield to others.
#pragma once

#include "base/core/error.h"

namespace ruvllm {

// From now on the calling thread, and on Linux each thread that it starts, gets the processor only
// when others leave it: nice 19. A device made afterwards works at that priority as a whole. There
// is no way back without privileges. kUnavailable with the system's reason.
Status lower_thread_priority();

}  // namespace ruvllm
