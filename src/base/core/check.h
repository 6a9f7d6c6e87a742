// Checks for bugs of ours, never for input: RUVLLM_CHECK always, RUVLLM_DCHECK in debug builds.
// A failed check calls the installed fatal handler and then traps; `cli` installs one that prints.
#pragma once

namespace ruvllm {

using FatalHandler = void (*)(const char* file, int line, const char* expression);

// Installs the process-wide handler and returns the previous one. Thread-safe.
FatalHandler set_fatal_handler(FatalHandler handler);

[[noreturn]] void check_failed(const char* file, int line, const char* expression);

}  // namespace ruvllm

#define RUVLLM_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::ruvllm::check_failed(__FILE__, __LINE__, #condition))
#ifdef NDEBUG
#define RUVLLM_DCHECK(condition) void(0)
#else
#define RUVLLM_DCHECK(condition) RUVLLM_CHECK(condition)
#endif
