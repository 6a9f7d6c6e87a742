// Numbers, quoted text and tables for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::cli {

// "29.0 MiB"; bytes below 1 KiB in full.
std::string format_bytes(uint64_t bytes);
// "7.24 B", "494 M": decimal, as models are named.
std::string format_count(uint64_t count);
// "0:07", "12:03", "1:02:03".
std::string format_duration(double seconds);

// 'text' on one line: quotes, backslashes and control characters escaped.
std::string quote(std::string_view text);

// Terminal columns of UTF-8 text, one for each character.
size_t display_width(std::string_view text);

// Columns of equal width, two spaces between; numbers to the right.
class Table {
 public:
  enum class Align { kLeft, kRight };
  explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}

  void add_row(std::vector<std::string> cells);
  std::string render() const;

 private:
  std::vector<Align> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace ruvllm::cli
