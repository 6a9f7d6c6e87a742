// Templates with the constructs of real models' ones over whole conversations, with tools, results
// and thoughts; expected output from jinja2 (tools/templates/compare.py makes and checks it, and
// compares the templates that models ship, which are not ours to copy).
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "text/template/chat_template.h"

namespace ruvllm::text {
namespace {

using Json = nlohmann::ordered_json;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(ChatTemplateCases, ConversationsRenderAsJinja2RendersThem) {
  const std::filesystem::path data = RUVLLM_SOURCE_DIR "/tests/data";
  const Json cases =
      Json::parse(read_file(data / "jinja_cases_chat.json"), nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(cases.is_object());
  ASSERT_GE(cases["cases"].size(), 150u);
  std::map<std::string, Json> inputs;
  for (const Json& input : cases["inputs"]) inputs[input["name"]] = input["variables"];
  for (const Json& item : cases["cases"]) {
    const std::string name = item["template"];
    const std::string input = item["input"];
    SCOPED_TRACE(name + ": " + input);
    const auto parsed = ChatTemplate::parse(read_file(data / "chat_templates" / name));
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
    const auto text = parsed->render(inputs.at(input));
    if (item.contains("expected")) {
      ASSERT_TRUE(text.has_value()) << text.error().message();
      EXPECT_EQ(*text, item["expected"].get<std::string>());
    } else {
      EXPECT_FALSE(text.has_value()) << *text;
    }
  }
}

}  // namespace
}  // namespace ruvllm::text
