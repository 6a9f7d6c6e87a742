// Hostile templates end in an error, never in a crash or in unbounded memory.
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "text/template/chat_template.h"

namespace ruvllm::text {
namespace {

using Json = nlohmann::ordered_json;

std::string repeat(std::string_view text, size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

void expect_exhausted(const std::string& source, const TemplateLimits& limits = {},
                      const Json& variables = Json::object()) {
  SCOPED_TRACE(source.substr(0, 200));
  auto parsed = ChatTemplate::parse(source, limits);
  if (!parsed) {
    EXPECT_EQ(parsed.error().code(), ErrorCode::kResourceExhausted) << parsed.error().message();
    EXPECT_NE(parsed.error().message().find("line 1, column "), std::string::npos)
        << parsed.error().message();
    return;
  }
  const auto text = parsed->render(variables);
  ASSERT_FALSE(text.has_value()) << "rendered " << text->size() << " bytes";
  EXPECT_EQ(text.error().code(), ErrorCode::kResourceExhausted) << text.error().message();
  EXPECT_NE(text.error().message().find("line 1, column "), std::string::npos)
      << text.error().message();
}

TEST(ChatTemplateLimits, DeepNestingIsRefusedWhileParsing) {
  constexpr size_t kDeep = 100'000;
  const std::string open = "{{ ";
  expect_exhausted(open + repeat("(", kDeep) + "1" + repeat(")", kDeep) + " }}");
  expect_exhausted(open + repeat("[", kDeep) + repeat("]", kDeep) + " }}");
  expect_exhausted(open + repeat("{1:", kDeep) + "1" + repeat("}", kDeep) + " }}");
  expect_exhausted(open + repeat("not ", kDeep) + "1 }}");
  expect_exhausted(open + repeat("-", kDeep) + "1 }}");
  expect_exhausted(open + "x" + repeat(".a", kDeep) + " }}");
  expect_exhausted(open + "x" + repeat("[0]", kDeep) + " }}");
  expect_exhausted(open + "x" + repeat("()", kDeep) + " }}");
  expect_exhausted(open + "x" + repeat("|e", kDeep) + " }}");
  expect_exhausted(open + "x" + repeat(" is none", kDeep) + " }}");
  expect_exhausted(open + repeat("1 if x else ", 80'000) + "1 }}");
  expect_exhausted(open + repeat("x(", kDeep) + repeat(")", kDeep) + " }}");
  expect_exhausted(repeat("{% if 1 %}", 90'000));
  expect_exhausted(repeat("{% for x in y %}", 50'000));
  expect_exhausted("{% for " + repeat("(", kDeep) + "x" + repeat(")", kDeep) + " in y %}");
  expect_exhausted("{% filter " + repeat("e|", kDeep) + "e %}{% endfilter %}");
}

TEST(ChatTemplateLimits, LongFlatChainsAreNoNesting) {
  const std::string source = "{{ 0" + repeat(" + 1", 50'000) + " }}{{ ''" +
                             repeat(" ~ 'a'", 50'000) + " }}{% if 0 %}" +
                             repeat("{% elif 0 %}", 10'000) + "{% endif %}";
  auto parsed = ChatTemplate::parse(source);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
  const auto text = parsed->render(Json::object());
  ASSERT_TRUE(text.has_value()) << text.error().message();
  EXPECT_EQ(*text, "50000" + repeat("a", 50'000));
}

TEST(ChatTemplateLimits, MacrosThatCallThemselvesEnd) {
  expect_exhausted("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
  expect_exhausted(
      "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}");
  expect_exhausted("{% macro m(x=m()) %}{% endmacro %}{{ m() }}");
  expect_exhausted("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}");
  expect_exhausted("{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}");
  expect_exhausted("{% macro m() %}" + repeat("{% if 1 %}", 100) + "{{ [[[[[[m()]]]]]] }}" +
                   repeat("{% endif %}", 100) + "{% endmacro %}{{ m() }}");
}

TEST(ChatTemplateLimits, StepsAreBounded) {
  expect_exhausted(
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}");
  expect_exhausted("{% set l = [1] %}{% for x in l %}{% set _ = l.append(1) %}{% endfor %}");
  // Work on long strings costs steps, too.
  expect_exhausted(
      "{% set s = 'a' * 4000000 %}{% for i in range(1000) %}{{ 'b' in s }}{% endfor %}");
  TemplateLimits limits;
  limits.max_steps = 10;
  expect_exhausted("{{ 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 }}", limits);
}

TEST(ChatTemplateLimits, OutputAndIntermediatesAreBounded) {
  expect_exhausted("{{ 'a' * 1000000000000 }}");
  expect_exhausted("{{ 'ab' * 9223372036854775807 }}");
  expect_exhausted("{{ [0] * 1000000000 }}");
  expect_exhausted("{{ range(10 ** 9) }}");
  expect_exhausted("{{ range(-9223372036854775807, 9223372036854775807) }}");
  expect_exhausted("{% set s = 'a' * 3000 %}{{ s | replace('a', s) }}");
  expect_exhausted("{% set s = 'a' * 3000 %}{{ ([s] * 3000) | join(s) }}");
  expect_exhausted("{{ '%1000000000s' % 'x' }}");
  expect_exhausted("{{ '{:999999999}'.format('x') }}");
  expect_exhausted("{{ 'x'.ljust(1000000000) }}");
  expect_exhausted("{{ 'x' | center(1000000000) }}");
  expect_exhausted("{{ ('a\\n' * 1000000) | indent(1000) }}");
  expect_exhausted("{{ ('a ' * 1000000).split() }}");
  expect_exhausted("{{ ('a' * 4000000) | list }}");
  expect_exhausted("{{ [1] | batch(1000000000, 0) | list }}");
  expect_exhausted("{{ [1] | slice(1000000000) | list }}");
  expect_exhausted(
      "{% set ns = namespace(s='a') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% "
      "endfor %}");
  expect_exhausted(
      "{% set ns = namespace(l=[1]) %}{% for i in range(64) %}{% set ns.l = ns.l + ns.l %}{% "
      "endfor %}");
  TemplateLimits limits;
  limits.max_output_bytes = 100;
  expect_exhausted(
      "{% for i in range(2) "
      "%}0123456789012345678901234567890123456789012345678901234567890123456789{% endfor %}",
      limits);
}

TEST(ChatTemplateLimits, ManyLargeValuesAtOnceAreBounded) {
  expect_exhausted(
      "{% set l = [] %}{% for i in range(1000) %}{% set _ = l.append('a' * 4000000) %}{% endfor "
      "%}");
  expect_exhausted("{% for i in range(1000) %}{% set x = [0] * 80000 %}{% endfor %}");
}

TEST(ChatTemplateLimits, ValuesThatHoldThemselvesDoNotPrintForever) {
  expect_exhausted("{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}");
  expect_exhausted("{% set l = [] %}{% set _ = l.append(l) %}{{ l }}");
  expect_exhausted("{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}");
  expect_exhausted(
      "{% set a = [] %}{% set _ = a.append(a) %}{% set b = [] %}{% set _ = b.append(b) %}{{ a == b "
      "}}");
  expect_exhausted("{% set d = {} %}{% set _ = d.update({'d': d}) %}{{ d }}");
  // As wide as it is deep: 2 ** 60 items to print.
  expect_exhausted(
      "{% set ns = namespace(l=[]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% "
      "endfor %}{{ ns.l }}");
}

TEST(ChatTemplateLimits, DeepVariablesAreRefused) {
  Json deep = 1;
  for (int i = 0; i < 1000; ++i) deep = Json::array({std::move(deep)});
  auto parsed = ChatTemplate::parse("x");
  ASSERT_TRUE(parsed.has_value());
  const auto text = parsed->render({{"deep", deep}});
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_NE(text.error().message().find("'deep'"), std::string::npos);
}

// A clock that goes on by a millisecond whenever it is read.
uint64_t slow_clock() {
  static uint64_t now_ns = 0;
  return now_ns += 1'000'000;
}

TEST(ChatTemplateLimits, TheClockIsTheLastResort) {
  TemplateLimits limits;
  limits.now_ns = slow_clock;
  limits.max_milliseconds = 20;
  const auto render = [&](int turns) {
    const auto parsed = ChatTemplate::parse("{% for i in range(n) %}{{ i }},{% endfor %}", limits);
    return parsed->render({{"n", turns}});
  };
  // Below 20 readings of the clock, one every 1024 steps.
  EXPECT_TRUE(render(1000).has_value());
  const auto text = render(50'000);
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_NE(text.error().message().find("chat template, line 1, column "), std::string::npos);
  EXPECT_NE(text.error().message().find("more than 20 ms of processor time"), std::string::npos)
      << text.error().message();
}

TEST(ChatTemplateLimits, SourceSizeIsBounded) {
  TemplateLimits limits;
  limits.max_source_bytes = 10;
  EXPECT_TRUE(ChatTemplate::parse("0123456789", limits).has_value());
  const auto parsed = ChatTemplate::parse("0123456789a", limits);
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().code(), ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace ruvllm::text
