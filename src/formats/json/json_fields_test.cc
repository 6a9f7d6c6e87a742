#include "formats/json/json_fields.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ruvllm::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

JsonFields fields(const char* text) {
  return JsonFields::of(nlohmann::json::parse(text), "dir/x.json", "an x.json").value();
}

template <typename T>
std::string message(const Result<T>& result) {
  return result ? "none" : result.error().message();
}

TEST(JsonFields, ReadsEachType) {
  const JsonFields all = fields(
      R"({"n": 3, "whole": 1e6, "x": -0.5, "yes": true, "s": "a", "xs": [1, 2.5], "ss": ["b"],
          "none": null, "in": {"n": 4}})");
  EXPECT_EQ(all.integer("n").value(), 3u);
  EXPECT_EQ(all.integer("whole").value(), 1000000u);
  EXPECT_EQ(all.number("x").value(), -0.5);
  EXPECT_TRUE(all.boolean("yes").value());
  EXPECT_EQ(all.string("s").value(), "a");
  EXPECT_THAT(all.numbers("xs").value(), ElementsAre(1.0, 2.5));
  EXPECT_THAT(all.strings("ss").value(), ElementsAre("b"));
  EXPECT_EQ(all.section("in").value().integer("n").value(), 4u);
  EXPECT_FALSE(all.has("none"));
  EXPECT_TRUE(all.has_any({"none", "n"}));
  EXPECT_EQ(all.integer_or("none", 7).value(), 7u);
  EXPECT_EQ(all.string_or("other", "z").value(), "z");
  EXPECT_TRUE(all.section("other").value().values().empty());
}

TEST(JsonFields, NamesFileFieldAndReason) {
  const JsonFields all = fields(
      R"({"n": -1, "half": 0.5, "huge": 2147483648, "s": 1, "xs": [1, "a"], "in": {"n": "a"}})");
  EXPECT_THAT(message(all.integer("n")), HasSubstr("dir/x.json: field 'n' is not a whole number"));
  EXPECT_THAT(message(all.integer("half")), HasSubstr("whole number"));
  EXPECT_THAT(message(all.integer("huge")), HasSubstr("whole number"));
  EXPECT_THAT(message(all.integer_or("half", 1)), HasSubstr("'half'"));
  EXPECT_THAT(message(all.number("gone")), HasSubstr("'gone' is missing"));
  EXPECT_THAT(message(all.boolean("s")), HasSubstr("neither true nor false"));
  EXPECT_THAT(message(all.string("s")), HasSubstr("is not text"));
  EXPECT_THAT(message(all.numbers("xs")), HasSubstr("list of numbers"));
  EXPECT_THAT(message(all.strings("xs")), HasSubstr("list of texts"));
  EXPECT_THAT(message(all.section("in").value().number("n")), HasSubstr("'in.n' is not a number"));
  EXPECT_THAT(message(all.section("n")), HasSubstr("no object"));
  EXPECT_THAT(message(JsonFields::of(nlohmann::json::array(), "dir/x.json", "an x.json")),
              HasSubstr("dir/x.json: not a JSON object; name an x.json"));
}

}  // namespace
}  // namespace ruvllm::formats
