#include "cli/terminal/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace ruvllm::cli {

std::string Style::wrap(std::string_view code, std::string_view text) const {
  if (!enabled_) return std::string(text);
  return fmt::format("\033[{}m{}\033[0m", code, text);
}

Output::Output(bool json, bool no_color)
    : json_(json),
      out_is_terminal_(isatty(STDOUT_FILENO) == 1),
      err_is_terminal_(isatty(STDERR_FILENO) == 1),
      out_style_(out_is_terminal_ && !json && !no_color),
      err_style_(err_is_terminal_ && !json && !no_color) {}

bool Output::write(std::string_view text) {
  if (write_errno_ != 0) return false;
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) write_errno_ = errno != 0 ? errno : EIO;
  return written;
}

bool Output::write_json(const Json& value) { return write(dump_json(value) + "\n"); }

void Output::note(std::string_view text) const {
  const std::string line = fmt::format("{}\n", text);
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

Status Output::finish() const {
  if (write_errno_ == 0 || write_errno_ == EPIPE) return {};
  return fail(ErrorCode::kUnavailable,
              "cannot write to standard output: {}; the output is incomplete",
              std::strerror(write_errno_));
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void report_error(Output& output, std::string_view code, std::string_view message) {
  output.note(fmt::format("ruvllm: {} {}", output.err_style().red("error:"), message));
  if (output.json()) {
    output.write_json(Json{{"error", {{"code", code}, {"message", message}}}});
  }
}

}  // namespace ruvllm::cli
