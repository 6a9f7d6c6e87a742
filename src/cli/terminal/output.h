// Standard output and standard error of the command: colour, JSON, and whether anybody still reads.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "base/core/error.h"

namespace ruvllm::cli {

using Json = nlohmann::ordered_json;

// Escape sequences around a text, or the text alone when colour is off.
class Style {
 public:
  explicit Style(bool enabled) : enabled_(enabled) {}
  bool enabled() const { return enabled_; }
  std::string bold(std::string_view text) const { return wrap("1", text); }
  std::string dim(std::string_view text) const { return wrap("2", text); }
  std::string red(std::string_view text) const { return wrap("1;31", text); }
  std::string green(std::string_view text) const { return wrap("32", text); }
  std::string cyan(std::string_view text) const { return wrap("36", text); }

 private:
  std::string wrap(std::string_view code, std::string_view text) const;

  bool enabled_;
};

// Colour follows the stream: a terminal, no --json, no NO_COLOR. One thread.
class Output {
 public:
  Output(bool json, bool no_color);

  bool json() const { return json_; }
  bool out_is_terminal() const { return out_is_terminal_; }
  bool err_is_terminal() const { return err_is_terminal_; }
  const Style& out_style() const { return out_style_; }
  const Style& err_style() const { return err_style_; }

  // Writes to standard output at once; false when the reader is gone or the disk is full, and
  // everything after that is dropped.
  bool write(std::string_view text);
  // One line; bytes that are not UTF-8 become U+FFFD, as JSON cannot carry them.
  bool write_json(const Json& value);
  // A line for people on standard error.
  void note(std::string_view text) const;
  bool closed() const { return write_errno_ != 0; }
  // The error of a failed write. A reader that closed the pipe has what it wanted: no error.
  Status finish() const;

 private:
  bool json_;
  bool out_is_terminal_;
  bool err_is_terminal_;
  Style out_style_;
  Style err_style_;
  int write_errno_ = 0;
};

std::string dump_json(const Json& value);

// "ruvllm: error: message" on standard error and, with --json, an error object on standard output.
void report_error(Output& output, std::string_view code, std::string_view message);

}  // namespace ruvllm::cli
