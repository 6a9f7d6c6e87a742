#include "cli/terminal/text.h"

#include <limits>

#include <gtest/gtest.h>

namespace ruvllm::cli {
namespace {

TEST(Format, Units) {
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(std::numeric_limits<uint64_t>::max()), "16.0 EiB");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(494'032'768), "494.0 M");
  EXPECT_EQ(format_count(7'241'732'096), "7.24 B");
  EXPECT_EQ(format_duration(7.4), "0:07");
  EXPECT_EQ(format_duration(3723.0), "1:02:03");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Quote, StaysOnOneLine) {
  EXPECT_EQ(quote("a'b\\\n\t\r\x01"), R"('a\'b\\\n\t\r\x01')");
  EXPECT_EQ(quote("naïve"), "'naïve'");
}

TEST(Table, AlignsByCharactersNotBytes) {
  Table table({Table::Align::kRight, Table::Align::kLeft, Table::Align::kLeft});
  table.add_row({"1", "naïve", "x"});
  table.add_row({"234", "a"});
  EXPECT_EQ(table.render(), "  1  naïve  x\n234  a\n");
}

}  // namespace
}  // namespace ruvllm::cli
