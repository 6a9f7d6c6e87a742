// Messages of several lines: a line that ends in a backslash goes on, and a block stands between
// lines of three quotes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ruvllm::cli {

class MultilineInput {
 public:
  // The whole message when `line` completed it.
  std::optional<std::string> add_line(std::string_view line);
  bool in_progress() const { return in_block_ || continued_; }
  void reset();

 private:
  std::optional<std::string> complete();

  std::string text_;
  bool in_block_ = false;
  bool continued_ = false;
};

}  // namespace ruvllm::cli
