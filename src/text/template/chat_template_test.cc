#include "text/template/chat_template.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ruvllm::text {
namespace {

using Json = nlohmann::ordered_json;

Result<std::string> render(std::string_view source, const Json& variables = Json::object()) {
  auto parsed = ChatTemplate::parse(source);
  if (!parsed) return std::unexpected<Error>(std::move(parsed).error());
  return parsed->render(variables);
}

std::string rendered(std::string_view source, const Json& variables = Json::object()) {
  auto text = render(source, variables);
  return text ? *text : "error: " + text.error().message();
}

Json load_cases() {
  std::ifstream file(RUVLLM_SOURCE_DIR "/tests/data/jinja_cases.json");
  return Json::parse(file, nullptr, /*allow_exceptions=*/false);
}

// Hundreds of templates whose output jinja2 itself produced.
TEST(ChatTemplate, AgreesWithJinja2) {
  const Json data = load_cases();
  ASSERT_TRUE(data.is_object());
  ASSERT_GT(data["cases"].size(), 400u);
  for (const Json& item : data["cases"]) {
    std::string source = item["template"];
    if (source.starts_with('@')) source = data["templates"][source.substr(1)];
    Json variables = item.value("variables", Json::object());
    variables["strftime_now"] = data["clock"];
    SCOPED_TRACE(source + "\nwith " + variables.dump());
    const auto text = render(source, variables);
    if (item.contains("expected")) {
      ASSERT_TRUE(text.has_value()) << text.error().message();
      EXPECT_EQ(*text, item["expected"].get<std::string>());
    } else {
      EXPECT_FALSE(text.has_value()) << *text;
    }
  }
}

TEST(ChatTemplate, RaiseExceptionGivesItsMessage) {
  const auto text = render("a\n  {{ raise_exception('Roles must alternate!') }}");
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(text.error().message(), "chat template, line 2, column 21: Roles must alternate!");
}

TEST(ChatTemplate, ErrorsNameLineAndColumn) {
  const auto message = [](std::string_view source) {
    const auto text = render(source);
    return text ? "no error: " + *text : text.error().message();
  };
  EXPECT_EQ(message("é{{ x.y.z }}"),
            "chat template, line 1, column 7: 'x' is undefined, so it has no 'y'");
  EXPECT_EQ(message("{{ 'a' | nofilter }}"),
            "chat template, line 1, column 10: there is no filter 'nofilter'");
  EXPECT_EQ(message("\n\n{% if x %}"),
            "chat template, line 3, column 11: the template ends where {% endif %} is expected");
  EXPECT_EQ(message("{{ 1 +\n }}"),
            "chat template, line 2, column 2: '}}' where an expression is expected");
  EXPECT_EQ(message("{{ 'abc }}"),
            "chat template, line 1, column 4: the string is not closed; add '");
  EXPECT_EQ(message("a{# b"), "chat template, line 1, column 2: the comment is not closed; add #}");
  EXPECT_EQ(message("{{ 1 + 'a' }}"),
            "chat template, line 1, column 8: + does not work between int and str");
  EXPECT_EQ(message("{% macro m() %}\n{{ 1 // 0 }}{% endmacro %}{{ m() }}"),
            "chat template, line 2, column 9: division by zero");
}

TEST(ChatTemplate, IntegersDoNotWrapAround) {
  for (const char* source :
       {"{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}",
        "{{ 9223372036854775807 * 2 }}", "{{ 10 ** 19 }}", "{{ 9223372036854775808 }}",
        "{{ (-9223372036854775807 - 1) // -1 }}", "{{ -(-9223372036854775807 - 1) }}",
        "{{ (-9223372036854775807 - 1)|abs }}", "{{ 1e30|int }}"}) {
    const auto text = render(source);
    ASSERT_FALSE(text.has_value()) << source << " gave " << *text;
    EXPECT_NE(text.error().message().find("64 bits"), std::string::npos) << text.error().message();
  }
  EXPECT_EQ(rendered("{{ (-9223372036854775807 - 1) % -1 }}"), "0");
  EXPECT_EQ(rendered("{{ 'abc'[::-9223372036854775807 - 1] }}"), "c");
}

TEST(ChatTemplate, TheClockComesFromTheVariables) {
  EXPECT_EQ(rendered("{{ strftime_now('%Y-%m-%d %H:%M') }}", {{"strftime_now", 86400}}),
            "1970-01-02 00:00");
  const std::string year = rendered("{{ strftime_now('%Y') }}");
  EXPECT_GE(year, "2024");
  EXPECT_EQ(year.size(), 4u);
}

TEST(ChatTemplate, KeepsTheOrderOfKeys) {
  const Json variables = Json::parse(R"({"x": {"z": 1, "a": {"c": 2, "b": 3}}})");
  EXPECT_EQ(rendered("{{ x | tojson }}", variables), R"({"z": 1, "a": {"c": 2, "b": 3}})");
}

TEST(ChatTemplate, OneTemplateRendersManyTimes) {
  auto parsed =
      ChatTemplate::parse("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + k %}{{ ns.n }}");
  ASSERT_TRUE(parsed.has_value());
  for (int k = 0; k < 3; ++k) {
    const auto text = parsed->render({{"k", k}});
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(*text, std::to_string(k));
  }
}

TEST(ChatTemplate, BytesThatAreNoUtf8PassThrough) {
  const std::string bad = "a\xff\xe4\xbd";
  Json variables;
  variables["x"] = bad;
  EXPECT_EQ(rendered("{{ x }}", variables), bad);
  EXPECT_EQ(rendered("{{ x | length }}", variables), "4");
  EXPECT_EQ(rendered("{{ x | tojson }}", variables), "\"" + bad + "\"");
  EXPECT_EQ(rendered("{{ x[::-1] }}", variables),
            "\xbd\xe4\xff"
            "a");
}

TEST(ChatTemplate, VariablesMustBeAnObject) {
  const auto text = render("x", Json::array());
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace ruvllm::text
