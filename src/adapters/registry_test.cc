#include "adapters/registry.h"

#include <gtest/gtest.h>

#include "adapters/test_adapters.h"

namespace ruvllm::adapters {
namespace {

TEST(AdapterRegistry, NamesPassToNewGenerationsAndHoldersKeepTheirs) {
  AdapterRegistry registry;
  const auto first = registry.put(full_adapter("style", small_shape(), 2, 1));
  EXPECT_EQ(first.generation, 1u);
  const auto held = registry.find("style");
  ASSERT_TRUE(held.has_value());
  const auto second = registry.put(full_adapter("style", small_shape(), 3, 1));
  EXPECT_EQ(second.generation, 2u);
  EXPECT_EQ(held->adapter->max_rank(), 2);
  EXPECT_EQ(registry.find("style")->adapter->max_rank(), 3);
  EXPECT_EQ(registry.list().size(), 1u);
  EXPECT_TRUE(registry.remove("style").has_value());
  EXPECT_FALSE(registry.remove("style").has_value());
  EXPECT_EQ(registry.put(full_adapter("style", small_shape(), 1, 1)).generation, 3u);
}

TEST(AdapterRegistry, UnknownNamesListTheKnown) {
  AdapterRegistry registry;
  registry.put(full_adapter("a", small_shape(), 1, 1));
  registry.put(full_adapter("b", small_shape(), 1, 1));
  const auto missing = registry.find("c");
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message().find("'c'; loaded are: a, b"), std::string::npos);
}

}  // namespace
}  // namespace ruvllm::adapters
