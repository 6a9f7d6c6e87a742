#include "cli/options/request/adapter.h"

#include <gtest/gtest.h>

namespace ruvllm::cli {
namespace {

TEST(ParseAdapter, TakesANumberAfterTheLastColonForTheScale) {
  const auto expect = [](std::string_view text, std::string_view path, float scale) {
    const auto source = parse_adapter(text);
    ASSERT_TRUE(source.has_value()) << text;
    EXPECT_EQ(source->path, path);
    EXPECT_EQ(source->name, path);
    EXPECT_FLOAT_EQ(source->scale, scale);
  };
  expect("style", "style", 1.0f);
  expect("a/style.gguf:0.5", "a/style.gguf", 0.5f);
  expect("style:-2", "style", -2.0f);
  expect("odd:name", "odd:name", 1.0f);
  expect("odd:name:1", "odd:name", 1.0f);
  expect("far:1e9", "far:1e9", 1.0f);
  EXPECT_FALSE(parse_adapter("").has_value());
  EXPECT_FALSE(parse_adapter(":0.5").has_value());
}

}  // namespace
}  // namespace ruvllm::cli
