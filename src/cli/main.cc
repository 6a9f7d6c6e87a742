#include <clocale>
#include <cstdio>
#include <cstring>
#include <exception>

#include <langinfo.h>
#include <signal.h>

#include "base/core/check.h"
#include "cli/app.h"

namespace {

void print_failed_check(const char* file, int line, const char* expression) {
  (void)std::fprintf(stderr,
                     "ruvllm: internal error: %s:%d: %s\n"
                     "This is a bug; please report it with the command and the model file.\n",
                     file, line, expression);
}

}  // namespace

int main(int argc, char** argv) {
  ruvllm::set_fatal_handler(&print_failed_check);
  // A reader that goes away and a file that may grow no further show as failed writes, so that
  // files in work are cleaned up.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  // Texts are UTF-8 whatever the locale says; the line editor counts characters by it.
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
  try {
    ruvllm::cli::CommandLine command_line;
    return command_line.execute(argc, argv);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "ruvllm: error: %s\n", error.what());
    return 1;
  }
}
