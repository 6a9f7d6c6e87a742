#include "text/template/families/families.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "text/template/chat_template.h"

namespace ruvllm::text {
namespace {

using Json = nlohmann::ordered_json;

const Json kTurns = {{{"role", "system"}, {"content", "Be kind."}},
                     {{"role", "user"}, {"content", "Hi"}},
                     {{"role", "assistant"}, {"content", "Hello"}},
                     {{"role", "user"}, {"content", "Bye"}}};

std::string rendered(std::string_view family, const Json& messages, const Json& more = {}) {
  const TemplateFamily* found = find_family(family);
  if (found == nullptr) return "no such family";
  const auto parsed = ChatTemplate::parse(template_source(*found));
  if (!parsed) return "error: " + parsed.error().message();
  Json variables = {{"messages", messages},
                    {"add_generation_prompt", true},
                    {"tools", nullptr},
                    {"bos_token", "<s>"},
                    {"eos_token", "</s>"}};
  if (more.is_object()) variables.update(more);
  const auto text = parsed->render(variables);
  return text ? *text : "error: " + text.error().message();
}

TEST(TemplateFamilies, TurnsLookAsTheModelsWereTrainedOn) {
  const std::pair<const char*, const char*> expected[] = {
      {"chatml",
       "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
       "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
       "<|im_start|>assistant\n"},
      {"llama3",
       "<|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
       "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
       "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>"
       "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
       "<|start_header_id|>assistant<|end_header_id|>\n\n"},
      {"llama2",
       "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Bye [/INST]"},
      {"mistral-v1", " [INST] Be kind.\n\nHi [/INST] Hello</s> [INST] Bye [/INST]"},
      {"mistral-v3", "[INST] Be kind.\n\nHi[/INST] Hello</s>[INST] Bye[/INST]"},
      {"mistral-tekken", "[INST]Be kind.\n\nHi[/INST]Hello</s>[INST]Bye[/INST]"},
      {"mistral-v7",
       "[SYSTEM_PROMPT]Be kind.[/SYSTEM_PROMPT][INST]Hi[/INST]Hello</s>[INST]Bye[/INST]"},
      {"gemma",
       "<start_of_turn>user\nBe "
       "kind.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n"
       "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"},
      {"phi3",
       "<|system|>\nBe kind.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello<|end|>\n"
       "<|user|>\nBye<|end|>\n<|assistant|>\n"},
      {"zephyr",
       "<|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello</s>\n<|user|>\nBye</s>\n"
       "<|assistant|>\n"},
      {"deepseek", "Be kind.\n\nUser: Hi\n\nAssistant: Hello</s>User: Bye\n\nAssistant:"},
      {"deepseek-v3", "Be kind.<｜User｜>Hi<｜Assistant｜>Hello</s><｜User｜>Bye<｜Assistant｜>"},
      {"command-r",
       "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be kind.<|END_OF_TURN_TOKEN|>"
       "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hi<|END_OF_TURN_TOKEN|>"
       "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Hello<|END_OF_TURN_TOKEN|>"
       "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Bye<|END_OF_TURN_TOKEN|>"
       "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"},
      {"granite",
       "<|start_of_role|>system<|end_of_role|>Be kind.<|end_of_text|>\n"
       "<|start_of_role|>user<|end_of_role|>Hi<|end_of_text|>\n"
       "<|start_of_role|>assistant<|end_of_role|>Hello<|end_of_text|>\n"
       "<|start_of_role|>user<|end_of_role|>Bye<|end_of_text|>\n"
       "<|start_of_role|>assistant<|end_of_role|>"},
      {"gpt-oss",
       "<|start|>system<|message|>Reasoning: medium\n\n# Valid channels: analysis, commentary, "
       "final. Channel must be included for every message.<|end|>"
       "<|start|>developer<|message|>Be kind.<|end|><|start|>user<|message|>Hi<|end|>"
       "<|start|>assistant<|channel|>final<|message|>Hello<|end|>"
       "<|start|>user<|message|>Bye<|end|><|start|>assistant"},
      {"alpaca",
       "Be kind.\n\n### Instruction:\nHi\n\n### Response:\nHello\n\n### Instruction:\nBye\n\n"
       "### Response:\n"},
  };
  EXPECT_EQ(std::size(expected), template_families().size());
  for (const auto& [family, text] : expected) EXPECT_EQ(rendered(family, kTurns), text) << family;
}

TEST(TemplateFamilies, ReadToolsCallsAndResults) {
  const Json call = {{"type", "function"},
                     {"function", {{"name", "now"}, {"arguments", {{"zone", "UTC"}}}}}};
  const Json messages = {{{"role", "user"}, {"content", "Time?"}},
                         {{"role", "assistant"}, {"content", ""}, {"tool_calls", {call}}},
                         {{"role", "tool"}, {"content", "12:00"}}};
  const Json tools = {{{"type", "function"}, {"function", {{"name", "now"}}}}};
  EXPECT_EQ(rendered("chatml", messages, {{"tools", tools}}),
            "<|im_start|>system\nTo call a function, answer with {\"name\": ..., \"arguments\": "
            "{...}} alone. The functions are:\n{\"name\": \"now\"}<|im_end|>\n"
            "<|im_start|>user\nTime?<|im_end|>\n"
            "<|im_start|>assistant\n{\"name\": \"now\", \"arguments\": {\"zone\": "
            "\"UTC\"}}<|im_end|>\n<|im_start|>tool\n12:00<|im_end|>\n<|im_start|>assistant\n");
  for (const TemplateFamily& family : template_families()) {
    SCOPED_TRACE(family.name);
    for (const Json& conversation : {messages, kTurns}) {
      const std::string text = rendered(family.name, conversation, {{"tools", tools}});
      EXPECT_NE(text.find("{\"name\": \"now\"}"), std::string::npos) << text;
    }
    EXPECT_NE(rendered(family.name, messages).find("12:00"), std::string::npos);
  }
}

TEST(TemplateFamilies, RefuseRolesThatNobodyKnows) {
  const Json messages = {{{"role", "endoftext"}, {"content", "x"}}};
  EXPECT_NE(rendered("phi3", messages).find("the role 'endoftext' is not known"),
            std::string::npos);
}

std::string detected(const std::vector<std::string>& control, std::string_view architecture = "",
                     std::string_view name = "", const std::string& pre = "") {
  VocabSpec vocab;
  vocab.pre = pre;
  vocab.tokens = control;
  vocab.kinds.assign(control.size(), TokenKind::kControl);
  const TemplateFamily* family = detect_family(vocab, architecture, name);
  return family != nullptr ? std::string(family->name) : "";
}

TEST(TemplateFamilies, AreFoundByTokensArchitectureAndName) {
  EXPECT_EQ(detected({"<|im_start|>", "<|im_end|>"}, "llama"), "chatml");
  EXPECT_EQ(detected({"<|im_start|>"}), "");
  EXPECT_EQ(detected({"<|start|>", "<|channel|>", "<|message|>", "<|end|>"}), "gpt-oss");
  EXPECT_EQ(detected({"<|start_header_id|>", "<|eot_id|>"}), "llama3");
  EXPECT_EQ(detected({"[INST]", "[/INST]"}), "mistral-v3");
  EXPECT_EQ(detected({"[INST]", "[/INST]"}, "", "", "tekken"), "mistral-tekken");
  EXPECT_EQ(detected({"[INST]", "[/INST]", "[SYSTEM_PROMPT]"}, "", "", "tekken"), "mistral-v7");
  EXPECT_EQ(detected({"<|user|>", "<|assistant|>", "<|end|>"}), "phi3");
  EXPECT_EQ(detected({"<|user|>", "<|assistant|>"}), "zephyr");
  EXPECT_EQ(detected({"<｜User｜>", "<｜Assistant｜>"}, "deepseek2"), "deepseek-v3");
  EXPECT_EQ(detected({}, "deepseek2"), "deepseek");
  EXPECT_EQ(detected({}, "gemma2"), "gemma");
  EXPECT_EQ(detected({}, "llama", "Llama-2-7b-Chat"), "llama2");
  EXPECT_EQ(detected({}, "llama", "Llama-2-7b"), "");
  EXPECT_EQ(detected({}, "llama", "Mistral 7B Instruct v0.1"), "mistral-v1");
  EXPECT_EQ(detected({}, "gpt2", "gpt2"), "");
}

TEST(TemplateFamilies, OrdinaryTokensAreNoSign) {
  VocabSpec vocab;
  vocab.tokens = {"<|im_start|>", "<|im_end|>"};
  vocab.kinds.assign(2, TokenKind::kNormal);
  EXPECT_EQ(detect_family(vocab, "llama", ""), nullptr);
}

}  // namespace
}  // namespace ruvllm::text
