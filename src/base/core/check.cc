#include "base/core/check.h"

#include <atomic>

namespace ruvllm {
namespace {
std::atomic<FatalHandler> g_fatal_handler{nullptr};
}  // namespace

FatalHandler set_fatal_handler(FatalHandler handler) { return g_fatal_handler.exchange(handler); }

void check_failed(const char* file, int line, const char* expression) {
  if (FatalHandler handler = g_fatal_handler.load()) handler(file, line, expression);
  __builtin_trap();
}

}  // namespace ruvllm
